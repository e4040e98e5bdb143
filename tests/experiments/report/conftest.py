"""The made-up run, its page, and what the page's script gets."""

import dataclasses
import json
import re

import numpy as np
import pytest

from experiments import config as configuration
from experiments import runs
from experiments.config import Config
from experiments.show.report import page
from experiments.train import inputs
from tests.experiments.report.made_up import COMPARED, DATASET, make_data, rows_of_seed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run of two seeds, with its data set beside it."""
    parent = tmp_path_factory.mktemp("report")
    dataset, folder = parent / DATASET, parent / "runs" / "made-up"
    make_data(dataset)
    config = Config(dataset=str(dataset), seeds=2, test_cases=5, pretrain_steps=20)
    identity = {
        **{"config": dataclasses.asdict(config), "comparison": dataclasses.asdict(COMPARED)},
        "backend": "tensorflow",
    }
    runs.open_run(folder, identity)
    tested = inputs.split(config, seed=0)["test"]
    for name, shift in (("plain", 2), ("joint", 1)):
        maps = {f"{i:05d}": np.roll(case.label, shift, axis=1) for i, case in enumerate(tested)}
        runs.write_arrays(folder / "seed-0" / f"{name}.npz", maps)
    environment = {
        **{"python": "3.12.1", "packages": {"keras": "3.15", "numpy": "2.4"}},
        **{"commit": "abc1234", "machine": "a machine", "cores": 2, "seconds": 1800},
    }
    seeds = [rows_of_seed(tested) for _ in range(2)]
    runs.write_json(folder / "results.json", {**identity, **environment, "seeds": seeds})
    return folder


@pytest.fixture(scope="module")
def text(run):
    return page.render(run, number=5)


@pytest.fixture(scope="module")
def browser(text):
    """What the page's script gets."""
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )


@pytest.fixture(scope="module")
def tested(run):
    config = configuration.make(runs.read_json(run / "run.json")["config"])
    return inputs.split(config, seed=0)["test"]
