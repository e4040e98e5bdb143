"""Labels that are not there: left out, within the bound of docs/pruning.md, and given back."""

import math

import numpy as np
import pytest

from crfrnn import DenseCRF, gaussian_filter, refine
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions
from tests.offline.dense_crf_reference import kernel_matrices, normalized
from tests.tolerances import EXACT, FLOAT32, assert_close

CRF = dict(
    theta_alpha=5.0, theta_beta=0.3, theta_gamma=1.5, bilateral_weight=4.0, spatial_weight=2.0
)


def scene(grid, labels, present, rare, channels=3, seed=0):
    """An image of blobs, and probabilities of which all but some are below `rare`."""
    rng = np.random.default_rng(seed)
    place = np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), -1)  # (*S, 2)
    centres = rng.uniform(0, grid, (len(present), len(grid)))
    distance = np.linalg.norm(place[..., None, :] - centres, axis=-1)  # (*S, K)
    nearest = distance.argmin(-1)
    colours = rng.uniform(0, 1, (len(present), channels))
    image = colours[nearest] + rng.normal(0, 0.05, (*grid, channels))
    logits = 2 * np.eye(len(present))[nearest] + rng.normal(0, 1, (*grid, len(present)))
    probs = np.exp(logits)
    probs /= probs.sum(-1, keepdims=True)
    everything = rare * rng.uniform(0.1, 1, (*grid, labels))
    everything[..., present] = 0
    everything[..., present] = probs * (1 - everything.sum(-1, keepdims=True))
    return image, everything


def largest_row_sums(image, normalization):
    """Of the spatial and the bilateral kernel, by the lattice: what it makes of ones."""
    positions = (
        spatial_positions(image.shape[:-1], np.float32(CRF["theta_gamma"])),
        bilateral_positions(image[None], CRF["theta_alpha"], CRF["theta_beta"]),
    )
    ones = np.ones((1, image.shape[0] * image.shape[1], 1), np.float32)
    return [gaussian_filter(ones, p, normalization=normalization).max() for p in positions]


@pytest.mark.parametrize("method", ["exact", "lattice"])
@pytest.mark.parametrize("normalization", ["after", "symmetric", "before"])
@pytest.mark.parametrize("rare", [1e-2, 1e-4])
def test_what_is_left_out_stays_within_the_bound(rare, normalization, method):
    """At every point, in every iteration, of the CRF over all labels."""
    image, probs = scene((9, 12), 8, [1, 4, 6], rare)
    absent = [0, 2, 3, 5, 7]
    if method == "exact":
        thetas = (5.0, 5.0), (0.3,) * 3, (1.5, 1.5), (1.0, 1.0)
        kernels = (normalized(k, normalization) for k in kernel_matrices(image, *thetas))
        spatial, bilateral = (kernel.sum(1).max() for kernel in kernels)
    else:
        spatial, bilateral = largest_row_sums(image, normalization)
    reach = 2 * spatial + 4 * bilateral
    for iterations in (1, 2, 5, 10):
        options = dict(normalization=normalization, method=method, num_iterations=iterations)
        q = refine(image, probs, **CRF, **options)
        for label in absent:
            first = probs[..., label].max()
            bound = first
            for _ in range(iterations - 1):
                bound = first * math.exp(reach * bound)
            factor = math.exp(reach * bound)
            assert (q[..., label] <= probs[..., label] * factor * (1 + FLOAT32)).all()
            if reach * first <= math.exp(-1):
                assert factor <= math.e * (1 + FLOAT32)
    # The bound is one of this CRF, and no larger number: what is measured comes near it.
    assert q[..., absent].sum(-1).max() < 5 * rare


def test_all_labels_come_back_and_rows_sum_to_one(with_native):
    image, probs = scene((10, 13), 7, [2, 3, 5], 1e-4)
    everything = refine(image, probs, **CRF)
    kept = refine(image, probs, **CRF, ignore_below=1e-3)
    assert kept.shape == probs.shape and kept.dtype == np.float32
    assert_close(kept.sum(-1), np.ones(probs.shape[:-1]), FLOAT32)
    assert_close(kept[..., [0, 1, 4, 6]], probs[..., [0, 1, 4, 6]], FLOAT32)
    assert_close(kept, everything, 1e-3)  # measured 4.6e-4
    # The CRF over the kept labels alone, by another route.
    alone = probs[..., [2, 3, 5]] / probs[..., [2, 3, 5]].sum(-1, keepdims=True)
    expected = refine(image, alone, **CRF) * probs[..., [2, 3, 5]].sum(-1, keepdims=True)
    assert_close(kept[..., [2, 3, 5]], expected, FLOAT32)


def test_zero_leaves_nothing_out_and_nothing_to_leave_out_changes_nothing():
    image, probs = scene((10, 13), 5, [0, 1, 2, 3, 4], 1e-4)
    expected = refine(image, probs, **CRF)
    assert_close(refine(image, probs, **CRF, ignore_below=1e-3), expected, EXACT)
    image, probs = scene((10, 13), 5, [0, 1], 1e-4)
    assert_close(refine(image, probs, **CRF, ignore_below=0), refine(image, probs, **CRF), EXACT)


def test_labels_that_may_come_up_are_kept():
    """Below the threshold, but the likeliest of a point, or too strong for the proof."""
    image, probs = scene((10, 13), 7, [2, 3, 5], 1e-4)
    probs[3, 4] = 1 / 7  # label 0 is the likeliest here, with others
    faint = {**CRF, "bilateral_weight": 0.1, "spatial_weight": 0.05}  # the proof allows all
    expected = refine(image, probs, **faint)
    assert_close(refine(image, probs, **faint, ignore_below=0.9), expected, EXACT)
    image, probs = scene((10, 13), 7, [2, 3, 5], 2e-2)
    strong = {**CRF, "bilateral_weight": 40.0}
    expected = refine(image, probs, **strong)
    assert_close(refine(image, probs, **strong, ignore_below=5e-2), expected, EXACT)
    with pytest.raises(AssertionError):  # the same threshold, weights that the proof allows
        weak = {**CRF, "bilateral_weight": 1.0}
        found = refine(image, probs, **weak, ignore_below=5e-2)
        assert_close(found, refine(image, probs, **weak), EXACT)


@pytest.mark.parametrize(
    "change",
    [
        dict(spatial_weight=-1.0),
        dict(bilateral_weight=(1.0, 2.0, -3.0)),
        dict(bilateral_weight=np.eye(3)),
        dict(compatibility=-np.eye(3)),
        dict(compatibility=1 - np.eye(3)),
    ],
)
def test_other_attractions_are_refused(change):
    image, probs = scene((6, 7), 3, [0, 1], 1e-4)
    for call in (
        lambda: refine(image, probs, **{**CRF, **change}, ignore_below=1e-3),
        lambda: DenseCRF(image, 3, **{**CRF, **change}, ignore_below=1e-3),
    ):
        with pytest.raises(ValueError, match=r"(?s)Expected compatibility=\"potts\".*Leave `ignor"):
            call()


def test_masks_and_weights_per_label():
    image, probs = scene((10, 13), 6, [1, 2], 1e-4)
    mask = np.ones((10, 13), bool)
    mask[2:5, 3:9] = False
    probs[3, 4] = (0.9, 0.02, 0.02, 0.02, 0.02, 0.02)  # label 0 is only where nothing takes part
    crf = {**CRF, "bilateral_weight": np.array([1.0, 5.0, 2.0, 1, 1, 1])}
    found = refine(image, probs, **crf, mask=mask, ignore_below=1e-3)
    assert_close(found, refine(image, probs, **crf, mask=mask), 1e-3)
    assert_close(found[~mask], probs[~mask], FLOAT32)
    assert_close(found[..., 0], probs[..., 0], FLOAT32)


def test_step_by_step(with_native):
    image, probs = scene((10, 13), 7, [2, 3, 5], 1e-4)
    for mask in (None, np.arange(130).reshape(10, 13) % 5 > 0):
        crf = DenseCRF(image, 7, **CRF, mask=mask, ignore_below=1e-3)
        expected = refine(image, probs, **CRF, mask=mask, ignore_below=1e-3)
        for _ in range(2):  # each set_unary finds the labels anew
            crf.set_unary(probs=np.roll(probs, 1, -1))
            crf.set_unary(probs=probs)
            crf.step(5)
            assert_close(crf.probs(), expected, FLOAT32)
            np.testing.assert_array_equal(crf.labels(), expected.argmax(-1))
    assert np.isfinite(crf.kl())


@pytest.mark.parametrize(("labels", "present"), [(21, [0, 8, 15]), (81, [0, 3, 40, 62])])
@pytest.mark.parametrize("normalization", ["after", "symmetric"])
def test_labels_are_those_of_the_whole(labels, present, normalization):
    image, probs = scene((96, 128), labels, present, 1e-3)
    crf = {**CRF, "theta_alpha": 30.0, "theta_gamma": 3.0, "num_iterations": 10}
    whole = refine(image, probs, **crf, normalization=normalization)
    kept = refine(image, probs, **crf, normalization=normalization, ignore_below=2e-3)
    assert (kept[..., present] != whole[..., present]).any()
    assert np.mean(kept.argmax(-1) == whole.argmax(-1)) >= 0.999
    assert np.mean(probs.argmax(-1) == whole.argmax(-1)) < 0.95  # the CRF does something


def test_nothing_to_leave_out_of():
    crf = dict(theta_alpha=5, theta_beta=5, theta_gamma=1, bilateral_weight=1, spatial_weight=1)
    image, probs = np.zeros((0, 5)), np.zeros((0, 5, 3))
    assert refine(image, probs, **crf, ignore_below=1e-3).shape == (0, 5, 3)
    model = DenseCRF(image[..., None], 3, **crf, ignore_below=1e-3)
    model.set_unary(probs=probs)
    assert model.probs().shape == (0, 5, 3)
