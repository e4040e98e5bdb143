"""`crfrnn pack` on folders that hold more, and other, than it expects."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import crfrnn
from crfrnn import files
from crfrnn.cli import batch, parameter_file
from crfrnn.cli.fitting import sums_to_one
from tests.cli.scenes import run, scene


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_two_files_of_one_name(folder, tmp_path):
    _, probs, _ = scene()
    np.save(folder / "a.npy", probs[::-1])
    np.savez(folder / "a.npz", probs)
    text = run("pack", folder, "-o", tmp_path / "out")
    assert "Left out: a.npy: a.npz has the same name." in text and "1 packed" in text
    found = crfrnn.unpack(tmp_path / "out" / "a.npz")
    assert (found.argmax(-1) == probs.argmax(-1)).mean() > 0.99


def test_nnunet_s_axes_are_refused(folder, tmp_path):
    _, probs, _ = scene((4, 5, 6))
    array = np.moveaxis(probs, -1, 0).transpose(0, 3, 2, 1)
    np.savez(folder / "case.npz", probabilities=array)
    text = run("pack", folder, "-o", tmp_path / "out", status=1)
    assert "`crfrnn refine` reads them as they are" in text
    assert files.NNUNET_KEY == "probabilities"


def test_what_is_there_may_have_been_made_otherwise(folder, tmp_path):
    _, probs, _ = scene()
    np.save(folder / "a.npy", probs)
    run("pack", folder, "-o", tmp_path / "out")
    text = run("pack", folder, "-o", tmp_path / "out", "--ignore-below", "0.5")
    assert "1 there already, however they were made" in text


def test_what_a_killed_command_left_is_cleared(folder, tmp_path):
    _, probs, _ = scene()
    np.save(folder / "a.npy", probs)
    program = (
        "import os, signal\n"
        "from crfrnn.cli import main\n"
        "from crfrnn.files import writing\n"
        "writing.os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "pack", folder, "-o", tmp_path / "out"]
    killed = subprocess.run(command, cwd=Path(crfrnn.__file__).parents[1])
    assert killed.returncode == -signal.SIGKILL
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()]  # what it left
    run("pack", folder, "-o", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.npz"]


def test_two_commands_in_one_folder(folder, tmp_path):
    _, probs, _ = scene()
    np.save(folder / "a.npy", probs)
    with batch.alone(tmp_path / "out"):
        text = run("pack", folder, "-o", tmp_path / "out", status=1)
    assert "Another command is at work" in text


def test_a_link_that_leads_nowhere_is_kept(folder, tmp_path):
    _, probs, _ = scene()
    np.save(folder / "a.npy", probs)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.npz").symlink_to(tmp_path / "nowhere")
    assert "1 there already" in run("pack", folder, "-o", tmp_path / "out")
    assert (tmp_path / "out" / "a.npz").is_symlink()


def test_warnings_name_the_file_and_no_line_of_code(folder, tmp_path):
    np.save(folder / "sure.npy", np.eye(3)[np.arange(40).reshape(5, 8) % 3])
    text = run("pack", folder, "-o", tmp_path / "out")
    assert "Warning: sure.npy: every probability is 0 or 1" in text and ".py:" not in text


def test_sums_that_a_nan_is_in_tell_nothing():
    probs = np.full((6, 8, 3), 1 / 3)
    probs[0] = np.nan
    assert sums_to_one(probs) and not sums_to_one(np.moveaxis(probs, 0, -1))
    assert sums_to_one(probs * np.nan)


@pytest.mark.parametrize("gain", ["x", None, 1.5])
def test_a_verdict_with_and_without_its_number(tmp_path, gain):
    path = tmp_path / "best.json"
    content = {"gain": gain, "metric": "dice", "verdict": "No gain beyond chance."}
    path.write_text(json.dumps({"parameters": {}, "search": content}))
    text = parameter_file.verdict(path)
    assert text.endswith("No gain beyond chance.") and ("+1.50 dice" in text) == (gain == 1.5)
