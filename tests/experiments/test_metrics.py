"""Metrics against hand-drawn masks; every expected number is worked out in a comment."""

import numpy as np
import pytest

from experiments import metrics


def draw(picture: str) -> np.ndarray:
    """Rows of '.' and '#' (or digits for a label map) to an array."""
    rows = picture.split()
    return np.array([[".#".index(c) if c in ".#" else int(c) for c in row] for row in rows])


TRUTH = draw("...... .##... .##... ...... ......") > 0  # 5 x 6, H != W
SHIFTED = draw("...... ..##.. ..##.. ...... ......") > 0  # one to the right
EMPTY = np.zeros((5, 6), bool)
ONE = (1.0, 1.0)


def test_pixel_accuracy_of_shifted_squares():
    # Of 30 points 2 + 2 are wrong.
    assert metrics.pixel_accuracy(TRUTH, SHIFTED) == 100 * 26 / 30


def test_pixel_accuracy_compares_labels_not_foreground():
    assert metrics.pixel_accuracy(draw("012 012"), draw("021 012")) == 100 * 4 / 6


def test_hd95_is_in_millimetres_along_the_right_axis():
    # The left column of the truth is one step along axis 1 from the prediction, the right column
    # lies in it: distances 0 0 d d, whose 95th percentile (position 2.85 of 0..3) is d.
    assert metrics.hd95(TRUTH, SHIFTED, (3.0, 2.0)) == 2.0
    assert metrics.hd95(TRUTH.T, SHIFTED.T, (3.0, 2.0)) == 3.0


def test_hd95_is_the_larger_directed_percentile_of_surfaces():
    truth, prediction = np.zeros((1, 20), bool), np.zeros((1, 20), bool)
    truth[0, :10] = prediction[0, :10] = True
    prediction[0, 13] = True
    # From the prediction: ten 0 and one 13 - 9 = 4; position .95 * 10 = 9.5 lies midway: 2.
    # From the truth: all 0. (Pooling both, as MedPy does, would give 0.)
    assert metrics.hd95(truth, prediction, ONE) == 2.0
    assert metrics.hd95(prediction, truth, ONE) == 2.0


def test_hd95_measures_surfaces_not_interiors():
    # A 9 x 9 square against its outline: the same surface, although 49 inner points differ.
    square = np.zeros((11, 13), bool)
    square[1:10, 1:10] = True
    outline = square.copy()
    outline[2:9, 2:9] = False
    # The outline also has an inner surface: none, since it is one point thick.
    assert metrics.hd95(square, outline, ONE) == 0.0


def test_distances_of_empty_masks():
    assert np.isnan(metrics.hd95(EMPTY, EMPTY, ONE))
    diagonal = np.hypot(5 * 3.0, 6 * 2.0)
    assert metrics.hd95(TRUTH, EMPTY, (3.0, 2.0)) == diagonal
    assert metrics.hd95(EMPTY, TRUTH, (3.0, 2.0)) == diagonal


def test_published_metrics_are_means_over_slices_with_their_empty_rule():
    truth = np.stack([draw("110 000"), draw("000 000")])
    prediction = np.stack([draw("100 002"), draw("000 000")])
    # Slice 0: foreground 2 and 2 points, 1 in common: IU 1/3, DSC (2 + 1)/(2 + 2 + 1) = 3/5.
    #          background 4 and 4, 3 in common: IU 3/5, DSC (6 + 1)/(4 + 4 + 1) = 7/9.
    #          IU (1/3 + 3/5)/2 = 7/15, DSC (3/5 + 7/9)/2 = 31/45, PA 1/2.
    # Slice 1: empty and found empty: background 1, foreground 0: IU 1/2, DSC 1/2, PA 0.
    assert metrics.published(truth, prediction) == pytest.approx(
        {
            "published_iu": 100 * (7 / 15 + 1 / 2) / 2,
            "published_dsc": 100 * (31 / 45 + 1 / 2) / 2,
            "published_pa": 100 * (1 / 2 + 0) / 2,
        }
    )


def test_case_metrics_average_the_labels_present():
    truth, prediction = draw("1100 0000 0022"), draw("1000 0000 0022")
    # Label 1: 2 and 1 points, 1 in common: 2/3. Label 2: 1. Label 3: in neither, left out.
    scores = metrics.case_metrics(truth, prediction, 4, ONE, 2.0)
    assert scores["dice_1"] == pytest.approx(100 * 2 / 3)
    assert scores["dice_2"] == 100
    assert np.isnan(scores["dice_3"])
    assert scores["dice"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert scores["iou"] == pytest.approx(100 * (1 / 2 + 1) / 2)
    assert set(metrics.METRICS) <= set(scores)


def test_case_metrics_measure_a_volume_as_a_whole_and_slice_it_where_told():
    truth = np.zeros((2, 3, 4), int)
    truth[0, 0, :2] = 1
    prediction = truth.copy()
    prediction[1, 2, 3] = 1  # invented in the second slice of axis 0, a third of axis 1
    scores = metrics.case_metrics(truth, prediction, 2, (1.0, 1.0, 1.0), 2.0, slice_axis=0)
    assert scores["dice"] == 100 * 2 * 2 / (2 + 3)
    # Slices across axis 0: PA 1 and 0 (no foreground); across axis 1: 1, 0 and 0.
    assert scores["published_pa"] == 100 / 2
    across_1 = metrics.case_metrics(truth, prediction, 2, (1.0, 1.0, 1.0), 2.0, slice_axis=1)
    assert across_1["published_pa"] == pytest.approx(100 / 3)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(5, 6\).*\(6, 5\)"):
        metrics.case_metrics(TRUTH, TRUTH.T, 2, ONE, 2.0)
