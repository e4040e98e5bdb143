"""Metrics against hand-drawn masks; every expected number is worked out in a comment."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from experiments.score import metrics


def draw(picture: str) -> np.ndarray:
    """Rows of '.' and '#' (or digits for a label map) to an array."""
    rows = picture.split()
    return np.array([[".#".index(c) if c in ".#" else int(c) for c in row] for row in rows])


TRUTH = draw("...... .##... .##... ...... ......") > 0  # 5 x 6, H != W
SHIFTED = draw("...... ..##.. ..##.. ...... ......") > 0  # one to the right
EMPTY = np.zeros((5, 6), bool)
ONE = (1.0, 1.0)


def hd95(truth, prediction, spacing):
    return metrics.hd95(metrics.surface_distances(truth, prediction, spacing))


def blobs(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """A ragged mask of several pieces, some of which touch the image's border."""
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, 1.2) > 0.15


def on_surface(mask: np.ndarray, point: tuple[int, ...]) -> bool:
    """Whether a point of the mask has a face neighbour outside mask or image."""
    steps = [sign * unit for unit in np.eye(mask.ndim, dtype=int) for sign in (1, -1)]
    neighbours = [tuple(point + step) for step in steps]
    inside = [all(0 <= i < n for i, n in zip(p, mask.shape, strict=True)) for p in neighbours]
    return bool(mask[point]) and not all(
        ok and mask[p] for p, ok in zip(neighbours, inside, strict=True)
    )


def test_pixel_accuracy_of_shifted_squares():
    # Of 30 points 2 + 2 are wrong.
    assert metrics.pixel_accuracy(TRUTH, SHIFTED) == 100 * 26 / 30


def test_pixel_accuracy_compares_labels_not_foreground():
    assert metrics.pixel_accuracy(draw("012 012"), draw("021 012")) == 100 * 4 / 6


def test_boundary_accuracy_counts_points_near_any_boundary():
    truth = draw("00001122 00001122 00001122")
    prediction = draw("10001122 00001212 00011122")
    # Width 1: columns 3 to 6, 12 points. Wrong there: (1, 5), (1, 6) and (2, 3); the wrong (0, 0)
    # lies outside.
    assert metrics.boundary_accuracy(truth, prediction, ONE, 1.0) == pytest.approx(100 * 9 / 12)
    # Columns 2.5 apart: no column has another label within 2.
    assert np.isnan(metrics.boundary_accuracy(truth, prediction, (1.0, 2.5), 2.0))


def test_boundary_accuracy_by_comparing_all_pairs_of_points():
    random = np.random.default_rng(0)
    truth = 3 - random.integers(0, 3, (4, 5, 6)).cumsum(axis=2).clip(0, 2)  # labels 1, 2, 3
    prediction = np.where(random.random(truth.shape) < 0.3, 1, truth)
    spacing, width = (1.5, 0.8, 1.0), 1.75
    points = np.argwhere(truth >= 0) * spacing
    far = np.where(truth.ravel()[:, None] != truth.ravel(), cdist(points, points), np.inf).min(1)
    expected = 100 * np.mean((truth == prediction).ravel()[far <= width])
    assert 0.1 < np.mean(far <= width) < 0.9
    assert metrics.boundary_accuracy(truth, prediction, spacing, width) == pytest.approx(expected)


def test_without_boundaries_there_is_nothing_to_measure():
    assert np.isnan(metrics.boundary_accuracy(EMPTY.astype(int), TRUTH.astype(int), ONE, 2.0))


def test_hd95_is_in_millimetres_along_the_right_axis():
    # The left column of the truth is one step along axis 1 from the prediction, the right column
    # lies in it: distances 0 0 d d, whose 95th percentile (position 2.85 of 0..3) is d.
    assert hd95(TRUTH, SHIFTED, (3.0, 2.0)) == 2.0
    assert hd95(TRUTH.T, SHIFTED.T, (3.0, 2.0)) == 3.0


def test_hd95_is_the_larger_directed_percentile_of_surfaces():
    truth, prediction = np.zeros((1, 20), bool), np.zeros((1, 20), bool)
    truth[0, :10] = prediction[0, :10] = True
    prediction[0, 13] = True
    # From the prediction: ten 0 and one 13 - 9 = 4; position .95 * 10 = 9.5 lies midway: 2.
    # From the truth: all 0. (Pooling both, as MedPy does, would give 0.)
    assert hd95(truth, prediction, ONE) == 2.0
    assert hd95(prediction, truth, ONE) == 2.0


def test_distances_are_of_surfaces_not_interiors():
    # A 9 x 9 square against its outline: the same surface, although 49 inner points differ.
    square = np.zeros((11, 13), bool)
    square[1:10, 1:10] = True
    outline = square.copy()
    outline[2:9, 2:9] = False
    # The outline also has an inner surface: none, since it is one point thick.
    distances = metrics.surface_distances(square, outline, ONE)
    assert [len(each) for each in distances] == [32, 32]
    assert not np.any(distances)


def test_assd_and_surface_dice_pool_both_surfaces():
    truth, prediction = np.zeros((1, 20), bool), np.zeros((1, 20), bool)
    truth[0, :10] = prediction[0, 9] = prediction[0, 12] = True
    # From the truth: 9 8 ... 1 0. From the prediction: 0 and 3.
    distances = metrics.surface_distances(truth, prediction, ONE)
    assert metrics.assd(distances) == (45 + 3) / (10 + 2)
    assert metrics.surface_dice(distances, 3.0) == 50  # 3 included: (4 + 2) / (10 + 2)
    assert metrics.surface_dice(distances, 2.9) == pytest.approx(100 * (3 + 1) / (10 + 2))


def test_surface_distances_by_comparing_all_pairs_of_points():
    spacing = (2.0, 0.7, 1.1)
    truth, prediction = blobs(1, (7, 12, 9)), blobs(2, (7, 12, 9))
    points = [
        np.array([p for p in np.ndindex(m.shape) if on_surface(m, p)]) for m in (truth, prediction)
    ]
    pairs = cdist(*(each * spacing for each in points))
    found = metrics.surface_distances(truth, prediction, spacing)
    np.testing.assert_allclose(found.from_truth, pairs.min(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.from_prediction, pairs.min(axis=0), rtol=1e-12)


def test_distances_of_empty_masks():
    both = metrics.surface_distances(EMPTY, EMPTY, ONE)
    assert np.isnan([metrics.hd95(both), metrics.assd(both), metrics.surface_dice(both, 1.0)]).all()
    diagonal = np.hypot(5 * 3.0, 6 * 2.0)
    for masks in ((TRUTH, EMPTY), (EMPTY, TRUTH)):
        one = metrics.surface_distances(*masks, (3.0, 2.0))
        assert metrics.hd95(one) == metrics.assd(one) == diagonal
        assert metrics.surface_dice(one, 1.0) == 0


def test_ece_by_hand():
    # Confidence .55 (right) and .6 (wrong) lie in the bin (8/15, 9/15], its upper edge included:
    # |.55 + .6 - 1| = .15. Confidence .62 (right) lies in the next bin: .38. 1 (right): 0.
    probabilities = np.array([[[0.55, 0.4, 0.05], [0.1, 0.3, 0.6]], [[0.62, 0.3, 0.08], [0, 1, 0]]])
    found = metrics.ece(np.array([[0, 1], [0, 1]]), probabilities)
    assert found == pytest.approx(100 * (0.15 + 0.38) / 4)


def test_ece_adds_up_sizes_of_errors_not_errors():
    # Too sure by .95 in one bin and unsure by .45 in another: they do not cancel.
    probabilities = np.array([[0.95, 0.05], [0.55, 0.45]])
    assert metrics.ece(np.array([1, 0]), probabilities) == pytest.approx(100 * (0.95 + 0.45) / 2)


def test_ece_refuses_what_are_no_probabilities_of_the_points():
    with pytest.raises(ValueError, match="softmax"):
        metrics.ece(np.array([1, 0]), np.array([[3.0, -1.0], [0.0, 2.0]]))
    with pytest.raises(ValueError, match=r"\(3,\).*\(2, 2\)"):
        metrics.ece(np.array([1, 0, 1]), np.full((2, 2), 0.5))


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
    assert np.isnan(scores["ece"])  # without probabilities


def test_case_metrics_hand_on_spacing_width_tolerance_and_probabilities():
    truth, prediction = np.where(TRUTH, 2, 0), np.where(SHIFTED, 2, 0)  # L = 3, no label 1
    spacing, width, tolerance = (3.0, 2.0), 2.5, 2.0
    probabilities = 0.1 + 0.7 * np.eye(3)[prediction]
    found = metrics.case_metrics(
        truth, prediction, 3, spacing, width, probabilities=probabilities, tolerance_mm=tolerance
    )
    distances = metrics.surface_distances(TRUTH, SHIFTED, spacing)
    assert found["hd95"] == 2.0
    assert found["assd"] == metrics.assd(distances) == 1.0
    assert found["surface_dice"] == 100.0  # all within 2 mm
    # Rows are 3 mm apart, so the band is a column on either side of each vertical edge of the
    # truth: 2 rows of 4 points, 2 wrong in each.
    assert found["boundary_accuracy"] == 50.0
    assert found["boundary_dice"] == 100 * 2 * 2 / (4 + 4)
    # Confidence .8 everywhere, 26 of 30 right.
    assert found["ece"] == pytest.approx(100 * abs(0.8 - 26 / 30))


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


def test_points_without_label_count_nowhere():
    truth = draw("00011990 00011990 99990000")
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(2), truth.shape)
    prediction = probabilities.argmax(-1)
    one, other = (
        metrics.case_metrics(truth, p, 2, ONE, 1.0, probabilities=q, ignore=9)
        for p, q in (
            (prediction, probabilities),
            # The other way round where nothing is known.
            (
                np.where(truth == 9, 1 - prediction, prediction),
                np.where((truth == 9)[..., None], probabilities[..., ::-1], probabilities),
            ),
        )
    )
    np.testing.assert_equal(one, other)
    known = truth != 9
    hits = truth[known] == prediction[known]  # 16 points
    assert one["pixel_accuracy"] == pytest.approx(100 * hits.sum() / 16)
    assert one["dice_1"] == pytest.approx(
        200 * np.sum(hits & (truth[known] == 1)) / (4 + prediction[known].sum())
    )
    assert one["ece"] == pytest.approx(metrics.ece(truth[known], probabilities[known]))


def test_a_seam_without_label_is_halved_by_the_boundary():
    truth = draw("0099110 0099110")
    # The nearest label is 0 up to column 2 and 1 from column 3 on, so a band of width 2 has the
    # columns 1 to 4 there, and 4 to 6 at the right edge of label 1; columns 2 and 3 do not count.
    wrong = {column: truth.copy() for column in range(7)}
    for column, prediction in wrong.items():
        prediction[0, column] = 1 - truth[0, column] if truth[0, column] < 2 else 0
        found = metrics.case_metrics(truth, prediction, 2, ONE, 2.0, ignore=9)
        counted = [1, 4, 5, 6]
        share = 7 / 8 if column in counted else 1.0
        assert found["boundary_accuracy"] == pytest.approx(100 * share), column


def test_without_background_label_0_is_one_like_the_others():
    truth, prediction = draw("0011 0011"), draw("0001 0011")
    found = metrics.case_metrics(truth, prediction, 2, ONE, 2.0, background=None)
    # Label 0: 4 and 5 points, 4 in common. Label 1: 4 and 3, 3 in common.
    assert found["dice_0"] == pytest.approx(100 * 8 / 9)
    assert found["dice"] == pytest.approx(100 * (8 / 9 + 6 / 7) / 2)
    assert not any(name.startswith("published") for name in found)


def test_a_case_without_any_label_has_no_score():
    truth = np.full((3, 4), 255)
    probabilities = np.full((3, 4, 2), 0.5)
    found = metrics.case_metrics(
        truth, truth * 0, 2, ONE, 2.0, probabilities=probabilities, ignore=255, background=None
    )
    assert np.isnan([found["dice"], found["pixel_accuracy"], found["ece"]]).all()


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(5, 6\).*\(6, 5\)"):
        metrics.case_metrics(TRUTH, TRUTH.T, 2, ONE, 2.0)
