"""Scores against hand-drawn masks; every expected number is worked out in a comment."""

import numpy as np
import pytest

from crfrnn.parameters import scores


def draw(picture: str) -> np.ndarray:
    """Rows of '.' and '#' (or digits for a label map) to an array."""
    rows = picture.split()
    return np.array([[".#".index(c) if c in ".#" else int(c) for c in row] for row in rows])


TRUTH = draw("...... .##... .##... ...... ......") > 0  # 5 x 6, H != W
SHIFTED = draw("...... ..##.. ..##.. ...... ......") > 0  # one to the right
SHIFTED_AND_FAR = draw("...... ..##.. ..##.. ...... .....#") > 0
EMPTY = np.zeros((5, 6), bool)
ONE = (1.0, 1.0)


def test_overlap_of_shifted_squares():
    # 4 and 4 points, 2 in common, 6 in the union.
    assert scores.dice(TRUTH, SHIFTED) == 100 * 2 * 2 / (4 + 4)
    assert scores.iou(TRUTH, SHIFTED) == 100 * 2 / 6


def test_boundary_dice_ignores_what_is_far_from_the_true_boundary():
    # Width 1: all 4 points of the truth and their 8 face neighbours. The far false point counts
    # in Dice, 2 * 2 / (4 + 5), but not in the band, where 4 and 4 points share 2.
    assert scores.dice(TRUTH, SHIFTED_AND_FAR) == 100 * 4 / 9
    assert scores.boundary_dice(TRUTH, SHIFTED_AND_FAR, ONE, 1.0) == 50.0


def test_boundary_dice_width_is_in_millimetres():
    # One row, true boundary between points 3 and 4, points 0.5 mm apart. Width 1 mm = two points
    # on either side: 2 3 | 4 5. The truth has 2 points there, the prediction (0..4) has 3, both 2.
    truth, prediction = np.arange(8)[None] < 4, np.arange(8)[None] < 5
    assert scores.boundary_dice(truth, prediction, (1.0, 0.5), 1.0) == 100 * 2 * 2 / (2 + 3)
    # Width 0.5 mm: points 3 | 4, of which the truth has 1, the prediction 2, both 1.
    assert scores.boundary_dice(truth, prediction, (1.0, 0.5), 0.5) == 100 * 2 * 1 / (1 + 2)


@pytest.mark.parametrize("side", ["thing", "all but it"])
def test_boundary_band_by_comparing_all_pairs_of_points(side):
    # A small thing near one corner: the band is narrower than the image, and beyond it on one side.
    thing = np.zeros((13, 11, 6), bool)
    thing[1:4, 5:7, 2:5] = thing[3:6, 6:8, 4] = True
    truth = thing if side == "thing" else ~thing
    spacing, width = (0.5, 1.3, 0.9), 1.7
    points = np.argwhere(thing | True) * spacing
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    across = np.where(truth.ravel()[:, None] != truth.ravel(), distances, np.inf).min(axis=1)
    band = scores.boundary_band(truth, spacing, width)
    assert np.array_equal(band, (across <= width).reshape(truth.shape))


@pytest.mark.parametrize("metric", [scores.dice, scores.iou])
def test_overlap_of_empty_masks(metric):
    assert np.isnan(metric(EMPTY, EMPTY))  # nothing to find, nothing invented
    assert metric(TRUTH, EMPTY) == 0  # missed
    assert metric(EMPTY, TRUTH) == 0  # invented


def test_without_a_true_boundary_there_is_nothing_to_measure():
    assert np.isnan(scores.boundary_dice(EMPTY, TRUTH, ONE))
    assert np.isnan(scores.boundary_dice(~EMPTY, TRUTH, ONE))
    assert scores.boundary_dice(TRUTH, EMPTY, ONE) == 0


@pytest.mark.parametrize("metric", scores.METRICS)
def test_a_label_map_has_the_mean_score_of_its_foreground_labels(metric):
    truth = draw("110000 110022 000022 000022 110000")
    prediction = draw("100000 113022 000022 000222 110000")
    spacing, width = (1.0, 2.0), 2.0
    single = {
        "dice": scores.dice,
        "iou": scores.iou,
        "boundary": lambda t, p: scores.boundary_dice(t, p, spacing, width),
    }[metric]
    each = [single(truth == label, prediction == label) for label in (1, 2, 3)]
    # Label 3 is invented: overlap 0, but no true boundary. Label 4 does not occur.
    assert np.isnan(each[2]) if metric == "boundary" else each[2] == 0
    score = scores.label_map_score(truth, 5, metric, spacing=spacing, width=width)
    assert score(prediction) == pytest.approx(np.nanmean(each))
    assert score(truth) == 100


def test_unknown_metric_is_named():
    with pytest.raises(ValueError, match=r"'dice', 'iou', 'boundary'.*'hd95'"):
        scores.label_map_score(TRUTH, 2, "hd95")
