"""What a table will not say is said before the run."""

import numpy as np

import data
from experiments.config import Config
from experiments.studies.doubts import doubts


def parts(groups, spacing):
    cases = [
        data.Case(np.zeros((4, 6, 1), "float32"), np.zeros((4, 6), "uint8"), spacing, str(i), group)
        for i, group in enumerate(groups)
    ]
    return {"train": [], "val": [], "test": cases}


def test_nothing_where_nothing_is_missing():
    assert doubts(Config(), parts("aab", (1.0, 2.0))) == []
    assert doubts(Config(), parts("ab", (2.0, 2.0))) == []  # the band is as wide as a step


def test_one_group_and_one_seed_give_no_intervals():
    groups, seeds = doubts(Config(seeds=1), parts("aaa", (1.0, 1.0)))
    assert "test cases (3) are of one group, 'a'" in groups and "no interval over groups" in groups
    assert "no interval over seeds" in seeds and "--seeds 2" in seeds


def test_points_farther_apart_than_the_band_is_wide_have_no_boundary_dice():
    (found,) = doubts(Config(scale=0.4), parts("ab", (2.5, 3.0)))
    assert "2.5 apart (--scale 0.4)" in found and "--boundary-width-mm 5 " in found
    assert doubts(Config(scale=0.4, boundary_width_mm=5.0), parts("ab", (2.5, 3.0))) == []
