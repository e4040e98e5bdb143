"""The search of the offline CRF: finds one that helps, and finds none where none can."""

import numpy as np

import data
from experiments import config
from experiments.rows import offline
from experiments.rows import search as searching
from experiments.train.inputs import Slices
from tests.tolerances import FLOAT32, assert_close

SETTINGS = config.make({"search_trials": 6, "crf_test_iterations": 3})


def blocks():
    """Two images of 12 x 10 with a bright block, and the logits of their true labels."""
    labels = np.zeros((2, 12, 10), "int32")
    labels[0, 3:9, 2:7] = labels[1, 2:6, 3:9] = 1
    images = (0.2 + 0.6 * labels[..., None]).astype("float32")
    cases = [
        data.Case(image, label.astype("uint8"), (1.0, 1.0), str(i), str(i))
        for i, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    logits = np.stack([1.0 - 2 * labels, 2.0 * labels - 1], axis=-1).astype("float32")
    return Slices(cases, images, images, labels, axis=0), logits  # (2, 12, 10, L = 2)


def search(logits):
    slices, _ = blocks()
    unaries = slices.per_case(logits)
    return searching.search(SETTINGS, slices, slices.per_case(slices.images), unaries, seed=0)


def test_off_is_chosen_where_nothing_can_be_gained():
    _, logits = blocks()
    found = search(logits)
    assert found["off"] == 100 and not found["use"]
    assert len(found["trials"]) == 6


def test_a_crf_that_helps_is_found_again_and_again():
    _, logits = blocks()
    wrong = np.random.default_rng(0).random(logits.shape[:3]) < 0.15
    logits[wrong] = logits[wrong][:, ::-1]  # single points, which their neighbours outvote
    found = search(logits)
    assert found["use"] and found["best_dice"] > found["off"] + 10
    assert found == search(logits)
    best = max(found["trials"], key=lambda trial: trial["dice"])
    assert {**found["best"], "dice": found["best_dice"]} == best


def test_the_best_crf_is_one_even_where_off_is_better():
    _, logits = blocks()
    found = search(logits)
    off, *others = found["trials"]
    assert off["dice"] == found["off"] and off["bilateral_weight"] == off["spatial_weight"] == 0
    fields = [one for one in others if one["bilateral_weight"] + one["spatial_weight"] > 0]
    best = max(fields, key=lambda trial: trial["dice"])
    assert {**found["best"], "dice": found["best_dice"]} == best


def test_a_first_guess_without_a_crf_is_not_the_best_crf():
    slices, logits = blocks()
    noise = np.random.default_rng(1).random(slices.images.shape).astype("float32")
    images, unaries = slices.per_case(noise), slices.per_case(logits)
    found = searching.search(SETTINGS, slices, images, unaries, seed=0)
    guess = found["trials"][1]  # nothing in the image tells these labels, which are right
    assert guess["bilateral_weight"] == guess["spatial_weight"] == 0 and guess["dice"] == 100
    assert found["best"]["bilateral_weight"] + found["best"]["spatial_weight"] > 0


def test_refined_cases_keep_their_shapes_and_are_probabilities():
    slices, logits = blocks()
    crf = {**search(logits)["best"], "bilateral_weight": 2.0}
    images, unaries = slices.per_case(slices.images), slices.per_case(logits)
    refined = offline.refine_all(images, unaries, crf, iterations=2)
    assert [r.shape for r in refined] == [(1, 12, 10, 2)] * 2
    assert_close([r.sum(-1) for r in refined], np.ones((2, 1, 12, 10)), FLOAT32)
