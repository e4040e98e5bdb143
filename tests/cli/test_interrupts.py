"""Interruptions of the command leave whole files."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from crfrnn.cli import batch
from tests.cli.scenes import (
    OPTIONS,
    SHAPE,
    folder,
    read,
    results,
    run,
)


def test_an_interruption_leaves_whole_files(tmp_path, monkeypatch):
    arguments, expected = folder(tmp_path)
    work, done = batch.refining.run, []

    def interrupted(paths, settings, output):
        if len(done) == 2:
            output.write_text("half")
            raise KeyboardInterrupt
        done.append(paths)
        return work(paths, settings, output)

    monkeypatch.setattr(batch.refining, "run", interrupted)
    text = run(*arguments, *OPTIONS, "--jobs=1", status=130)
    assert "Interrupted: 2 of 4 done. The same command again does the rest." in text
    assert results(tmp_path / "out") == ["case0.png", "case1.png"]
    monkeypatch.setattr(batch.refining, "run", work)
    assert "2 refined, 2 complete already" in run(*arguments, *OPTIONS, "--jobs=1")
    assert results(tmp_path / "out") == sorted(expected)
    single = ["refine", tmp_path / "images/case0.png", tmp_path / "probs/case0.npy"]
    done += [None] * (2 - len(done))
    monkeypatch.setattr("crfrnn.cli.refining.run", interrupted)
    assert "Interrupted." in run(*single, "-o", tmp_path / "one.png", *OPTIONS, status=130)
    assert not list(tmp_path.glob("*one.png"))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_while_a_result_is_kept(tmp_path, monkeypatch, moment):
    arguments, expected = folder(tmp_path)
    replace = os.replace

    def from_elsewhere():
        """As the kernel may deliver it: to a thread that was there before."""
        if hasattr(signal, "pthread_sigmask"):  # not on Windows
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.raise_signal(signal.SIGINT)

    def interrupted(*names):
        if moment == "after":
            replace(*names)
        other = threading.Thread(target=from_elsewhere)
        other.start()
        other.join()
        if moment == "before":
            replace(*names)

    monkeypatch.setattr(batch.os, "replace", interrupted)
    text = run(*arguments, *OPTIONS, "--jobs=1", status=130)
    assert "Interrupted: 1 of 4 done" in text
    monkeypatch.setattr(batch.os, "replace", replace)
    assert results(tmp_path / "out") == ["case0.png"]
    assert len((tmp_path / "out" / batch.RECORD).read_text().splitlines()) == 1
    assert "3 refined, 1 complete already" in run(*arguments, *OPTIONS, "--jobs=1")
    assert results(tmp_path / "out") == sorted(expected)


@pytest.mark.parametrize("again", [[], ["--theta-beta=0.3", "--overwrite"]])
def test_a_kill_while_a_result_is_kept(tmp_path, monkeypatch, again):
    """The same command again does the rest, and takes no old result for a new one."""
    arguments, expected = folder(tmp_path)
    if again:
        run(*arguments, *OPTIONS, "--jobs=1")
    for where, name in ((batch, "open"), (batch.os, "replace")):  # of the record, of the result

        def killed(*_):
            raise SystemExit(9)

        with monkeypatch.context() as patch:
            patch.setattr(where, name, killed, raising=False)
            run(*arguments, *OPTIONS, *again, "--jobs=1", status=9)
    text = run(*arguments, *OPTIONS, *again, "--jobs=1")
    assert f"{len(expected)} refined, 0 complete already" in text
    assert results(tmp_path / "out") == sorted(expected)


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a process group")
def test_ctrl_c_reaches_the_processes(tmp_path):
    """As a terminal does it: SIGINT to the command and its workers."""
    arguments, _ = folder(tmp_path, 1)
    for number in range(1, 60):
        for kind, ending in (("images", "png"), ("probs", "npy")):
            os.link(tmp_path / f"{kind}/case0.{ending}", tmp_path / f"{kind}/case{number}.{ending}")
    command = [sys.executable, "-m", "crfrnn", *map(str, arguments), *OPTIONS, "--jobs=2"]
    process = subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not (tmp_path / "out" / batch.RECORD).exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode in (0, 130), errors  # 0: it was faster
    if process.returncode == 130:
        assert b"The same command again does the rest" in errors
        assert b"Traceback" not in errors
    names = results(tmp_path / "out")
    lines = (tmp_path / "out" / batch.RECORD).read_text().splitlines()
    assert sorted(json.loads(line)["output"] for line in lines) == names
    for name in names:
        assert not name.startswith(".") and read(tmp_path / "out" / name).shape == SHAPE
