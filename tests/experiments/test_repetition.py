"""What the seed of a repetition decides."""

import numpy as np

import data
from experiments import config, repetition
from experiments.rows import ROWS


def initial_weights(seed, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name: data.phantom(8, (12, 10)))
    settings = config.make({"width": 2, "depth": 1, "train_cases": 2})
    one = repetition._Repetition(settings, seed, tmp_path, ROWS)
    ids = [case.id for case in one.inputs.train.cases]
    return np.concatenate([w.ravel() for w in one._front_end().get_weights()]), ids


def test_the_seed_decides_initial_weights_and_training_cases(tmp_path, monkeypatch):
    zero, zero_again, one = (initial_weights(s, tmp_path, monkeypatch) for s in (0, 0, 1))
    np.testing.assert_array_equal(zero[0], zero_again[0])
    assert zero[1] == zero_again[1]
    assert np.abs(zero[0] - one[0]).max() > 0.1
    assert zero[1] != one[1]
