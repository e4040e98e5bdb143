"""What a table will not say is said before the run."""

import numpy as np

import data
from data.case import LazyCase
from experiments.config import Config
from experiments.studies.doubts import doubts, padding

LABEL = np.eye(4, 6, dtype="uint8")


def parts(groups, spacing, label=LABEL):
    cases = [
        data.Case(np.zeros((4, 6, 1), "float32"), label, spacing, str(i), group)
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


def test_cases_without_any_foreground_are_said_before_hours_of_training():
    empty = parts("ab", (1.0, 1.0), 0 * LABEL)["test"]
    whole = parts("ab", (1.0, 1.0))["test"]
    (found,) = doubts(Config(), {"val": empty, "test": whole})
    assert found.startswith("None of the validation cases (2) has a label but the background")
    (found,) = doubts(Config(), {"val": whole, "test": empty})
    assert found.startswith("None of the test cases (2)")
    assert doubts(Config(), {"val": [empty[0], whole[1]], "test": [whole[0], empty[1]]}) == []
    sky = [case.but(background=None) for case in empty]  # label 0 is one like the others
    assert doubts(Config(), {"val": sky, "test": sky}) == []


def test_the_band_is_compared_with_the_points_of_all_cases():
    test = [case for s in (1.0, 2.5, 4.0) for case in parts("a", (s, s + 1))["test"]]
    *_, found = doubts(Config(), {"test": test})
    assert found.startswith("In 2 of 3 test cases neighbouring points are 2.5 to 4 apart")
    assert "their boundary Dice" in found and "--boundary-width-mm 8 " in found
    wider = Config(boundary_width_mm=4.0)
    assert not any("boundary" in doubt for doubt in doubts(wider, {"test": test}))


def test_cases_are_not_kept_in_memory():
    content = np.zeros((4, 6, 1), "float32"), LABEL, (2.5, 3.0)
    test = [LazyCase(lambda: content, str(i), str(i)) for i in range(3)]
    assert "points are 2.5 apart" in doubts(Config(), {"test": test})[0]
    assert not any("image" in vars(case) for case in test)


def test_much_padding_is_said_with_a_crop_that_ends_it():
    sizes = np.array([[100, 90]] * 3 + [[300, 400]])
    text = padding(Config(depth=3), sizes, (304, 400))
    # 4 * 304 * 400 points are padded, 3 * 9000 + 120000 are there; 90 is 11 times 8, and 2.
    assert "2 sizes" in text and "304 x 400: 3.3 times" in text and "--crop 88 " in text
    assert padding(Config(crop=88), sizes, (304, 400)) is None
    assert padding(Config(), sizes[:3], (104, 96)) is None
