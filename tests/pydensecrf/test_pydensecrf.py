"""The drop-in for pydensecrf: code written once, run against both, and against the dense reference.

The functions of "everything in pydensecrf's README" take the modules as arguments and are otherwise
what a user of pydensecrf writes.
"""

import os

import numpy as np
import pytest

from tests.pydensecrf.calls import COMPATS, KERNELS, NORMALIZATIONS, ours, photograph, probabilities
from tests.tolerances import FLOAT32, PYDENSECRF, assert_close


def agree(actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    assert np.abs(actual - expected).max() <= PYDENSECRF
    assert np.mean(actual.argmax(0) == expected.argmax(0)) >= 0.999


def both(theirs, function, *arguments):
    agree(function(ours, *arguments), function(theirs, *arguments))


# Everything in pydensecrf's README.


def two_dimensions(m, image, probs, kernel, normalization, compat, scale=1):
    labels, height, width = probs.shape
    compat = np.float32(scale) * compat
    options = dict(
        compat=float(compat) if np.ndim(compat) == 0 else compat,
        kernel=getattr(m.dcrf, kernel),
        normalization=getattr(m.dcrf, normalization),
    )
    d = m.dcrf.DenseCRF2D(width, height, labels)
    d.setUnaryEnergy(m.utils.unary_from_softmax(probs))
    d.addPairwiseGaussian(sxy=(3, 2), **options)
    d.addPairwiseBilateral(sxy=(40, 30), srgb=(13, 10, 16), rgbim=image, **options)
    return np.array(d.inference(5))


def any_dimensions(m, image, probs, kernel, normalization, compat, sdims, schan, chdim):
    options = dict(kernel=getattr(m.dcrf, kernel), normalization=getattr(m.dcrf, normalization))
    grid = probs.shape[1:]
    d = m.dcrf.DenseCRF(np.prod(grid), len(probs))
    d.setUnaryEnergy(m.utils.unary_from_softmax(probs))
    feats = m.utils.create_pairwise_gaussian(sdims=[2.5] * len(grid), shape=grid)
    d.addPairwiseEnergy(feats, compat=3, **options)
    feats = m.utils.create_pairwise_bilateral(sdims=sdims, schan=schan, img=image, chdim=chdim)
    d.addPairwiseEnergy(feats, compat=compat, **options)
    return np.array(d.inference(5))


def shortcuts(m, image, probs):
    labels, height, width = probs.shape
    d = m.dcrf.DenseCRF2D(width, height, labels)
    d.setUnary(m.dcrf.ConstUnary(m.utils.unary_from_softmax(probs)))
    d.addPairwiseGaussian(sxy=3, compat=3)
    d.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image, compat=10)
    return np.array(d.inference(5))


def annotations(m, image, labels):
    """A third of the pixels is annotated, the others are unsure."""
    d = m.dcrf.DenseCRF2D(image.shape[1], image.shape[0], 3)
    d.setUnaryEnergy(m.utils.unary_from_labels(labels, 3, gt_prob=0.7, zero_unsure=True))
    d.addPairwiseGaussian(sxy=3, compat=3)
    d.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image, compat=10)
    return np.array(d.inference(5))


def steps(m, image, probs):
    """Q and the divergence before each of 5 steps."""
    labels, height, width = probs.shape
    d = m.dcrf.DenseCRF2D(width, height, labels)
    d.setUnaryEnergy(m.utils.unary_from_softmax(probs))
    d.addPairwiseGaussian(sxy=3, compat=COMPATS["vector"])
    d.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image, compat=4)
    q, tmp1, tmp2 = d.startInference()
    divergences = []
    for _ in range(5):
        divergences.append(d.klDivergence(q))
        d.stepInference(q, tmp1, tmp2)
    return np.array(q), divergences, np.array(d.inference(5))


def logistic(m, weights, features):
    d = m.dcrf.DenseCRF(features.shape[1], len(weights))
    d.setUnary(m.dcrf.LogisticUnary(weights, features))
    d.addPairwiseEnergy(features, compat=2)
    return np.array(d.inference(3))


# Against pydensecrf.


@pytest.mark.parametrize("compat", COMPATS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_two_dimensions(theirs, kernel, normalization, compat):
    image = photograph()
    # Filtered values that are not normalised are sums over thousands of pixels.
    scale = 0.01 if normalization in ("NO_NORMALIZATION", "NORMALIZE_BEFORE") else 1
    arguments = (image, probabilities(image), kernel, normalization, COMPATS[compat], scale)
    both(theirs, two_dimensions, *arguments)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_large_weights(theirs, normalization):
    image = photograph()
    arguments = (image, probabilities(image), "DIAG_KERNEL", normalization, COMPATS["matrix"], 3)
    both(theirs, two_dimensions, *arguments)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_any_dimensions(theirs, kernel, normalization):
    image = photograph()[::2, ::2]
    compat = COMPATS["matrix"]
    if normalization == "NO_NORMALIZATION":
        compat = compat / 100
    probs = probabilities(image)
    options = kernel, normalization, compat
    both(theirs, any_dimensions, image, probs, *options, (20, 15), (13, 10, 16), 2)
    channels_first = np.moveaxis(image, 2, 0)
    both(theirs, any_dimensions, channels_first, probs, *options, (20, 15), 13, 0)
    grey = image.mean(-1)
    both(theirs, any_dimensions, grey, probs, *options, (20, 15), (10,), -1)
    volume = np.moveaxis(image, 2, 0).astype(float)  # (3, 50, 66)
    probs = probabilities(volume[..., None])
    both(theirs, any_dimensions, volume, probs[..., 0], *options, (2, 20, 15), (10,), -1)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_whole_photographs(theirs, name):
    image = getattr(pytest.importorskip("skimage.data"), name)()[::2, ::2].copy()
    both(theirs, shortcuts, image, probabilities(image, labels=4))


@pytest.mark.skipif("CRFRNN_DATA" not in os.environ, reason="CRFRNN_DATA has the real data")
def test_real_data(theirs):
    import data

    cell = data.load("wbc1")[3].image
    cell = np.round(255 * cell).astype(np.uint8)
    both(theirs, shortcuts, cell, probabilities(cell))
    volume = data.load("hippocampus")[5].image[..., 0]
    probs = probabilities(volume)
    arguments = "DIAG_KERNEL", "NORMALIZE_SYMMETRIC", 5, (10, 12, 11), (0.1,), -1
    both(theirs, any_dimensions, volume, probs, *arguments)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("size", [(37, 41), (37, 42), (41, 39)])  # 1, 2, 3 modulo 4
def test_numbers_of_points_that_are_no_multiple_of_four(theirs, size, normalization):
    """pydensecrf appends points at the origin; with a dark corner they matter by up to 0.1."""
    image = np.ascontiguousarray(photograph()[: size[0], : size[1]] // 5)
    scale = 0.01 if normalization in ("NO_NORMALIZATION", "NORMALIZE_BEFORE") else 1
    arguments = (
        image,
        probabilities(image),
        "DIAG_KERNEL",
        normalization,
        COMPATS["matrix"],
        scale,
    )
    both(theirs, two_dimensions, *arguments)
    rng = np.random.default_rng(0)
    for points in (1, 2, 3, 5, 17):
        features = rng.normal(size=(3, points)).astype(np.float32)
        weights = rng.normal(size=(3, 3)).astype(np.float32)
        both(theirs, logistic, weights, features)


def test_annotations(theirs):
    image = photograph()
    rng = np.random.default_rng(0)
    labels = (1 + probabilities(image).argmax(0)) * (rng.random(image.shape[:2]) < 1 / 3)
    both(theirs, annotations, image, labels)


def test_steps_and_divergence(theirs):
    image = photograph()
    arguments = image, probabilities(image)
    q, divergences, inferred = steps(ours, *arguments)
    q_theirs, divergences_theirs, _ = steps(theirs, *arguments)
    agree(q, q_theirs)
    np.testing.assert_array_equal(q, inferred)
    np.testing.assert_allclose(divergences, divergences_theirs, rtol=1e-5)


def test_logistic_unaries(theirs):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, 2)).astype(np.float32)
    both(theirs, logistic, weights, rng.normal(size=(2, 50)).astype(np.float32))


def test_without_unary_energy(theirs):
    def run(m):
        d = m.dcrf.DenseCRF(6, 2)
        feats = np.linspace(0, 3, 6, dtype=np.float32)[None]
        d.addPairwiseEnergy(feats, compat=np.array([-1, -2], np.float32))
        q, *tmp = d.startInference()
        start = np.array(q)
        d.stepInference(q, *tmp)
        return np.stack([start, np.array(q), np.array(d.inference(0)), np.array(d.inference(2))])

    assert_close(run(ours), run(theirs), FLOAT32)


def test_infinite_energies(theirs):
    def run(m):
        u = np.array([[0, np.inf, 1, 2], [np.inf, 0, 1, 0]], np.float32)
        d = m.dcrf.DenseCRF(4, 2)
        d.setUnaryEnergy(u)
        d.addPairwiseEnergy(np.array([[0, 0.1, 0.2, 0.3]], np.float32), compat=9)
        return np.array(d.inference(3))

    assert_close(run(ours), run(theirs), FLOAT32)


def test_energies_are_contiguous_whatever_the_order_of_the_probabilities():
    u = ours.utils.unary_from_softmax(np.full((4, 5, 3), 1 / 3).transpose(2, 0, 1))
    assert u.flags.c_contiguous
    ours.dcrf.DenseCRF2D(5, 4, 3).setUnaryEnergy(u)
