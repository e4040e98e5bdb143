"""A folder whose command is killed, twice, ends as one that was left alone."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("click")

from crfrnn.cli import batch
from tests.cli.scenes import OPTIONS, picture, scene

KINDS = 25  # of images; the others are links to them


def made(root, count, broken):
    """A folder of so many cases, some of them damaged, and the names of these."""
    for name in ("images", "probs"):
        (root / name).mkdir()
    for number in range(KINDS):
        image, probs, _ = scene((24, 32), 5, seed=number, channels=3)
        picture(root / f"images/{number:05}.png", image)
        np.save(root / f"probs/{number:05}.npy", probs[::4, ::4].astype(np.float16))
    bad = set(range(KINDS, count, (count - KINDS) // broken)[:broken])
    for number in range(KINDS, count):
        for name in ("images/{:05}.png", "probs/{:05}.npy"):
            os.link(root / name.format(number % KINDS), root / name.format(number))
    for number in bad:
        damaged = root / ("images/{:05}.png" if number % 2 else "probs/{:05}.npy").format(number)
        content = damaged.read_bytes()
        damaged.unlink()
        damaged.write_bytes(content[: len(content) // 2])
    return {f"{number:05}" for number in bad}


def command(root, out):
    how = ["--upsample", "--ignore-below=0.001", "--palette", "--confidence=0.6", "--jobs=2"]
    folders = (root / "images", root / "probs", "-o", root / out)
    return [sys.executable, "-m", "crfrnn", "refine", *map(str, folders), *how, *OPTIONS]


def killed_at(arguments, record, lines):
    """Starts it, and kills it -9 as soon as its record has so many lines."""
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process = subprocess.Popen(arguments, **quiet)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        if record.exists() and record.read_bytes().count(b"\n") >= lines:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL, "it had ended before it was killed"


def to_the_end(arguments):
    """The summary, and the names of the cases that failed."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=900)
    failed = {
        line.split()[1].rstrip(":") for line in done.stderr.splitlines() if "Failed: " in line
    }
    return done.stdout.splitlines()[-1], failed


def results(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.skipif(sys.platform == "win32", reason="signals, links")
@pytest.mark.nightly
def test_killed_twice(tmp_path, count=1000, broken=20):
    bad = made(tmp_path, count, broken)
    assert len(bad) == broken
    summary, failed = to_the_end(command(tmp_path, "whole"))
    assert failed == bad
    assert summary.startswith(f"{count - broken} refined, 0 complete already, {broken} failed")
    for third in (1, 2):
        record = tmp_path / "killed" / batch.RECORD
        killed_at(command(tmp_path, "killed"), record, third * count // 4)
    before = results(tmp_path / "killed")
    assert count // 3 < len(before) < count - broken
    summary, failed = to_the_end(command(tmp_path, "killed"))
    assert failed == bad
    refined, complete = int(summary.split()[0]), int(summary.split()[2])
    assert refined + complete == count - broken
    assert complete == len(before)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
