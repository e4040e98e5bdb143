"""A comparison on the workers of a Dask cluster: the results of this machine, whoever dies.

Takes minutes: `pytest -m nightly tests/experiments/test_cluster.py`.
"""

import os
import subprocess
import sys
import time

import pytest

from experiments import runs
from tests.conftest import ROOT
from tests.experiments.test_compare import TINY, make_data

distributed = pytest.importorskip("distributed")
SEEDS = 2


def compare(data, parent, name, *more):
    command = [sys.executable, "-m", "experiments.compare", *TINY, "--seeds", str(SEEDS)]
    command += ["--dataset", str(data), "--runs", str(parent), "--name", name, *more]
    return subprocess.Popen(command, cwd=ROOT)


@pytest.mark.nightly
def test_workers_make_the_same_results_and_one_that_is_killed_costs_its_repetition(tmp_path):
    data = make_data(tmp_path / "data")
    assert compare(data, tmp_path, "here", "--jobs", "2").wait() == 0
    folder = tmp_path / "there"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
    ) as cluster:
        running = compare(data, tmp_path, "there", "--cluster", cluster.scheduler_address)
        # Both train; then one worker dies.
        while len({path.parent for path in folder.glob("seed-*/*.checkpoint.npz")}) < SEEDS:
            assert running.poll() is None
            time.sleep(0.05)
        before = {path for path in folder.glob("seed-*/*.json")}
        cluster.workers[0].process.process.kill()
        assert running.wait() == 0
    assert all(path.exists() for path in before)
    here, there = (runs.read_json(tmp_path / n / "results.json") for n in ("here", "there"))
    assert here["seeds"] == there["seeds"] and len(here["seeds"]) == SEEDS


@pytest.mark.nightly
def test_who_is_interrupted_leaves_no_work_behind(tmp_path):
    data = make_data(tmp_path / "data")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
    ) as cluster:
        running = compare(data, tmp_path, "one", "--cluster", cluster.scheduler_address)
        while not list(tmp_path.glob("one/seed-*/*.checkpoint.npz")):
            assert running.poll() is None
            time.sleep(0.05)
        assert alive()
        running.kill()
        running.wait()
        end = time.monotonic() + 60
        while alive() and time.monotonic() < end:
            time.sleep(0.2)
        assert not alive()


def alive():
    """Processes of tasks, of this machine's."""
    psutil = pytest.importorskip("psutil")
    found = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            found += ["experiments.cluster" in process.cmdline()]
        except psutil.Error:  # it has just ended
            continue
    return any(found)
