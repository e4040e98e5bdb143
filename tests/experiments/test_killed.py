"""Killed ten times, at moments drawn at random, a study ends with the table of an unbroken run.

Takes minutes: `pytest -m nightly tests/experiments/test_killed.py`.
"""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments import runs

KILLS = 10

# Every kind of row, and workers side by side.
STUDY = """
title = "Killed"
text = "Does it end the same?"
differences = [["offline", "plain"], ["joint", "plain"], ["energy", "plain"]]
pictured = ["plain", "offline", "joint"]

[common]
seeds = 2
width = 2
depth = 1
train_cases = 3
validation_cases = 2
test_cases = 3
batch_size = 4
pretrain_steps = 40
further_steps = 40
checkpoint_steps = 10
search_trials = 10
pictures = 2
jitter = 0.1

[settings.scribbles]
labels = "scribbles"

[rows.plain]
meaning = "plain"
kind = "network"

[rows.bias]
meaning = "bias"
kind = "bias"
of = "plain"

[rows.affine]
meaning = "affine"
kind = "affine"
of = "plain"
train_on = "val"

[rows.flips]
meaning = "flips"
kind = "flips"
of = "plain"

[rows.largest]
meaning = "largest"
kind = "largest"
of = "plain"

[rows.offline]
meaning = "offline"
kind = "offline"
of = "plain"

[rows.joint]
meaning = "joint"
kind = "joint"
of = "plain"
trainable_thetas = true

[rows.joint_unaries]
meaning = "joint_unaries"
kind = "unaries"
of = "joint"

[rows.one_iteration]
meaning = "one_iteration"
kind = "retest"
of = "joint"
crf_test_iterations = 1

[rows.crf_alone]
meaning = "crf_alone"
kind = "crf"
of = "plain"

[rows.energy]
meaning = "energy"
kind = "network"
of = "plain"
energy_weight = 1.0

[rows.best]
meaning = "best"
kind = "best"
of = ["plain", "energy"]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "killed.toml"
    path.write_text(STUDY)
    return path


def start(study, parent):
    command = (sys.executable, "-m", "experiments.compare", "--config", str(study))
    with open(study.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(
            [*command, "--runs", str(parent), "--jobs", "2"], stdout=log, stderr=subprocess.STDOUT
        )


def results(parent):
    """What depends on numbers alone, not on the time or the machine."""
    settings = runs.read_json(parent / "killed/study.json")["settings"]
    return {name: (one["rows"], one["seeds"]) for name, one in settings.items()}


@pytest.mark.nightly
def test_killed_at_random_moments_it_ends_with_the_same_table(study, tmp_path):
    begun = time.monotonic()
    assert start(study, tmp_path / "whole").wait() == 0, study.with_suffix(".log").read_text()
    seconds = time.monotonic() - begun

    rng = np.random.default_rng(0)
    killed, folder = 0, tmp_path / "0"
    while killed < KILLS:
        process = start(study, folder)
        try:
            process.wait(rng.uniform(0.05, 0.5) * seconds)
        except subprocess.TimeoutExpired:
            # It alone, as by hand: its workers are to follow.
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            killed += 1
            print(f"kill {killed}: {len(list(folder.rglob('seed-*/*.json')))} results so far")
        else:
            assert process.returncode == 0
            assert_equal(folder, tmp_path / "whole")
            folder = tmp_path / str(killed)  # from the start again, until all kills are spent
    assert start(study, folder).wait() == 0
    assert_equal(folder, tmp_path / "whole")


def assert_equal(folder, whole):
    assert results(folder) == results(whole)
    tables = [one / "killed" / "scribbles" / "table.md" for one in (folder, whole)]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    names = [{path.relative_to(one) for path in one.rglob("*")} for one in (folder, whole)]
    assert names[0] == names[1]
