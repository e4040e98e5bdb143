"""The drop-in for pydensecrf: code written once, run against both, and against the dense reference.

The functions of "everything in pydensecrf's README" take the modules as arguments and are otherwise
what a user of pydensecrf writes.
"""

import importlib
import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from crfrnn import gaussian_filter
from tests.offline.dense_crf_reference import iterate, normalized
from tests.tolerances import FLOAT32, PYDENSECRF, assert_close

NORMALIZATIONS = ["NO_NORMALIZATION", "NORMALIZE_BEFORE", "NORMALIZE_AFTER", "NORMALIZE_SYMMETRIC"]
KERNELS = ["CONST_KERNEL", "DIAG_KERNEL", "FULL_KERNEL"]
COMPATS = {  # asymmetric, for 3 labels
    "number": 3,
    "vector": np.array([-3, -1, -2], np.float32),
    "matrix": np.array([[-3, 0.5, 0.2], [0.1, -2, 0], [0.3, 0.7, -1]], np.float32),
}


def modules(package):
    return SimpleNamespace(
        dcrf=importlib.import_module(f"{package}.densecrf"),
        utils=importlib.import_module(f"{package}.utils"),
        eigen=importlib.import_module(f"{package}.eigen"),
    )


ours = modules("crfrnn.pydensecrf")


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("pydensecrf.densecrf", reason="the extra `bench` has pydensecrf2")
    return modules("pydensecrf")


def photograph():
    """(100, 132, 3) uint8."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[40:140, 150:282])


def probabilities(image, labels=3, seed=0):
    """Noisy probabilities (L, *S) of the darker and brighter parts of an image (*S[, 3])."""
    rng = np.random.default_rng(seed)
    grey = image.mean(-1) if image.ndim == 3 and image.shape[-1] == 3 else image
    parts = np.digitize(grey, np.quantile(grey, np.arange(1, labels) / labels))
    logits = 1.5 * np.stack([parts == label for label in range(labels)])
    powers = np.exp(logits + rng.normal(0, 1, logits.shape))
    return powers / powers.sum(0)


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


def test_utils(theirs):
    rng = np.random.default_rng(0)
    probs = probabilities(photograph())[:, :4, :5]
    labels = rng.integers(0, 4, (4, 5))
    image = rng.integers(0, 256, (4, 5, 2))
    for function, *arguments in [
        ("unary_from_softmax", probs),
        ("unary_from_softmax", probs.astype(np.float32), 0.7),
        ("unary_from_softmax", np.eye(3), None, 1e-3),
        ("unary_from_softmax", probs, 0.5, None),
        ("unary_from_labels", labels, 3, 0.6),
        ("unary_from_labels", labels, 4, 0.6, False),
        ("create_pairwise_gaussian", (3, 2), (4, 5)),
        ("create_pairwise_gaussian", (3, 2, 1.5), (4, 5, 6)),
        ("create_pairwise_bilateral", (3, 2), (7, 9), image, 2),
        ("create_pairwise_bilateral", (3, 2), 7, np.moveaxis(image, 2, 0), 0),
        ("create_pairwise_bilateral", (3, 2), (0.1,), image[..., 0] / 255),
        ("create_pairwise_bilateral", (3, 2, 1.5), (7,), image),
        ("create_pairwise_bilateral", (3, 2, 1.5), 7, image.astype(np.int16), -1),
    ]:
        actual = getattr(ours.utils, function)(*arguments)
        expected = getattr(theirs.utils, function)(*arguments)
        assert actual.dtype == expected.dtype == np.float32
        assert actual.flags.c_contiguous
        assert_close(actual, expected, FLOAT32)


def test_too_few_bandwidths_leave_the_others_undivided(theirs):
    image = np.arange(40.0).reshape(4, 5, 2)
    arguments = (3,), (0.1,), image, 2
    with pytest.warns(UserWarning, match="one bandwidth per"):
        actual = ours.utils.create_pairwise_bilateral(*arguments)
    assert_close(actual, theirs.utils.create_pairwise_bilateral(*arguments), FLOAT32)


def test_deprecated_names(theirs):
    probs = probabilities(photograph())
    labels = probs.argmax(0)
    for name, arguments in [
        ("compute_unary", (labels, 3)),
        ("compute_unary", (labels, 3, 0.8)),
        ("softmax_to_unary", (probs,)),
        ("softmax_to_unary", (probs, 0.6)),
    ]:
        with pytest.warns(DeprecationWarning, match=name):
            actual = getattr(ours.utils, name)(*arguments)
        assert_close(actual, getattr(theirs.utils, name)(*arguments), FLOAT32)


def test_utils_by_hand():
    labels = np.array([[0, 1, 2], [3, 2, 0]], np.uint8)
    sure, other, any_label = 0.8, 0.1, 1 / 3
    expected = [
        [any_label, sure, other, other, other, any_label],
        [any_label, other, sure, other, sure, any_label],
        [any_label, other, other, sure, other, any_label],
    ]
    assert_close(ours.utils.unary_from_labels(labels, 3, 0.8), -np.log(expected), FLOAT32)
    expected = [[0.9, 0.1], [0.1, 0.9]]
    actual = ours.utils.unary_from_labels([0, 1], 2, 0.9, zero_unsure=False)
    assert_close(actual, -np.log(expected), FLOAT32)
    # 0.6 of the given probability and 0.4 of the uniform 1 / 2.
    mixed = ours.utils.unary_from_softmax(np.array([[0.25, 1], [0.75, 0]]), scale=0.6)
    assert_close(mixed, -np.log([[0.35, 0.8], [0.65, 0.2]]), FLOAT32)
    volume = np.arange(24.0).reshape(2, 3, 4)
    features = ours.utils.create_pairwise_bilateral((2, 4, 8), 10, volume)
    assert_close(features[:, 23], [1 / 2, 2 / 4, 3 / 8, 2.3], FLOAT32)  # the last voxel
    assert_close(features[:, 5], [0, 1 / 4, 1 / 8, 0.5], FLOAT32)  # z = 0, y = 1, x = 1


def test_same_names_and_constants(theirs):
    for part in ("dcrf", "utils", "eigen"):
        for name in vars(getattr(theirs, part)):
            if not name.startswith("_") and name not in ("Number", "np", "warning", "eigen"):
                assert hasattr(getattr(ours, part), name), name
    for name in [*NORMALIZATIONS, *KERNELS]:
        assert getattr(ours.dcrf, name) == getattr(theirs.dcrf, name)
    for cls in ("DenseCRF", "DenseCRF2D"):
        for name in dir(getattr(theirs.dcrf, cls)):
            if not name.startswith("_"):
                assert hasattr(getattr(ours.dcrf, cls), name), name


def test_same_exceptions(theirs):
    def message_kind(m, wrong):
        with pytest.raises((TypeError, ValueError)) as caught:
            wrong(m)
        return caught.type

    def crf(m):
        return m.dcrf.DenseCRF2D(3, 2, 2)

    flat, image = np.zeros((2, 6), np.float32), np.zeros((2, 3, 3), np.uint8)
    for wrong in [
        lambda m: m.dcrf.DenseCRF(4),
        lambda m: crf(m).setUnaryEnergy(flat.astype(float)),
        lambda m: crf(m).setUnaryEnergy(flat[:, :5]),
        lambda m: crf(m).setUnaryEnergy(np.zeros((6, 2), np.float32)),
        lambda m: crf(m).setUnaryEnergy(np.zeros((6, 2), np.float32).T),
        lambda m: crf(m).setUnaryEnergy(flat.reshape(2, 2, 3)),
        lambda m: crf(m).setUnaryEnergy(flat.tolist()),
        lambda m: crf(m).setUnaryEnergy(None),
        lambda m: crf(m).setUnary(flat),
        lambda m: m.dcrf.ConstUnary(flat.astype(int)),
        lambda m: crf(m).addPairwiseEnergy(flat),
        lambda m: crf(m).addPairwiseEnergy(flat.astype(float), 3),
        lambda m: crf(m).addPairwiseEnergy(flat[:, :5].copy(), 3),
        lambda m: crf(m).addPairwiseEnergy(flat, None),
        lambda m: crf(m).addPairwiseEnergy(flat, "3"),
        lambda m: crf(m).addPairwiseEnergy(flat, [1, 2]),
        lambda m: crf(m).addPairwiseEnergy(flat, np.ones(2)),
        lambda m: crf(m).addPairwiseEnergy(flat, np.ones((2, 2, 2), np.float32)),
        lambda m: crf(m).addPairwiseEnergy(flat, np.array(3, np.float32)),
        lambda m: crf(m).addPairwiseBilateral(3, 3, image.astype(float), 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, image[..., 0], 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, image[..., :2].copy(), 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, image[:, ::-1], 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, np.zeros((3, 2, 3), np.uint8), 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, None, 3),
        lambda m: crf(m).inference("5"),
        lambda m: crf(m).stepInference(None, None),
        lambda m: m.eigen.matrixXf(None),
        lambda m: m.eigen.matrixXf(np.zeros((2, 2))),
        lambda m: m.eigen.matrixXf(np.zeros((2, 2, 2), np.float32)),
        lambda m: m.eigen.vectorXf(np.zeros(2)),
    ]:
        assert message_kind(ours, wrong) == message_kind(theirs, wrong)


# Against the equations.


def features_by_hand(image, sxy, srgb):
    """x, y, r, g, b of each pixel in row-major order, (N, 5)."""
    rows = []
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            r, g, b = (float(value) for value in image[y, x])
            rows.append(
                [x / sxy[0], y / sxy[1], r / srgb[0], g / srgb[1], b / srgb[2]],
            )
    return np.array(rows)


def lattice_matrix(features):
    """The matrix (N, N) of the lattice filter between features (N, F)."""
    return gaussian_filter(np.eye(len(features)), features, normalization="none")


def mixing_matrix(compat):
    """What is added to the energies of 3 labels, per unit of filtered probability."""
    if np.ndim(compat) == 0:
        return -compat * np.eye(3)
    return np.diag(compat) if np.ndim(compat) == 1 else (compat + compat.T) / 2


@pytest.mark.parametrize("compat", COMPATS)
@pytest.mark.parametrize(
    ("constant", "normalization"),
    zip(NORMALIZATIONS, ["none", "before", "after", "symmetric"], strict=True),
)
def test_equals_the_dense_reference(with_native, constant, normalization, compat):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)
    probs = rng.dirichlet(np.ones(3), 20)  # (N, L)
    compat, other = COMPATS[compat], np.float32([-0.5, -1, -0.2])

    d = ours.dcrf.DenseCRF2D(5, 4, 3)
    d.setUnaryEnergy(-np.log(probs).T.astype(np.float32).copy())
    options = dict(normalization=getattr(ours.dcrf, constant))
    d.addPairwiseGaussian((1.5, 2), compat, **options)
    d.addPairwiseBilateral((3, 4), (90, 110, 130), image, other, **options)

    features = features_by_hand(image, (3, 4), (90, 110, 130))
    positions = [features_by_hand(image, (1.5, 2), (1, 1, 1))[:, :2], features]
    kernels = [normalized(lattice_matrix(p), normalization) for p in positions]
    mixings = [mixing_matrix(compat), mixing_matrix(other)]
    expected = iterate(np.log(probs), kernels, mixings, np.eye(3), 3)
    expected = np.exp(expected) / np.exp(expected).sum(-1, keepdims=True)
    assert_close(d.inference(3), expected.T, FLOAT32)

    q = d.inference(3)
    divergence = 0.0
    for i, label in itertools.product(range(20), range(3)):
        energy = -np.log(probs[i, label])
        for kernel, mixing in zip(kernels, mixings, strict=True):
            energy += sum(mixing[label, o] * (kernel[i] @ q[o]) for o in range(3))
        divergence += q[label, i] * (np.log(q[label, i]) + energy)
    assert_close(d.klDivergence(q), divergence, FLOAT32)


def test_generic_equals_two_dimensional():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (6, 9, 3)).astype(np.uint8)
    energies = rng.normal(size=(3, 54)).astype(np.float32)
    d2 = ours.dcrf.DenseCRF2D(9, 6, 3)
    d2.setUnaryEnergy(energies)
    d2.addPairwiseBilateral((5, 3), (60, 70, 80), image, 3)
    d = ours.dcrf.DenseCRF(54, 3)
    d.setUnaryEnergy(energies)
    features = features_by_hand(image, (5, 3), (60, 70, 80)).T
    d.addPairwiseEnergy(np.ascontiguousarray(features, np.float32), 3)
    assert_close(d.inference(4), d2.inference(4), FLOAT32)


# What pydensecrf leaves open.


def test_results_are_arrays_in_the_order_of_eigen():
    d = ours.dcrf.DenseCRF2D(3, 2, 4)
    q = d.inference(1)
    assert isinstance(q, np.ndarray) and q.shape == (4, 6) and q.dtype == np.float32
    assert q.flags.f_contiguous and np.array(q).reshape((4, 2, 3)).shape == (4, 2, 3)
    assert np.argmax(q, axis=0).reshape((2, 3)).dtype.kind == "i"
    assert memoryview(q).shape == (4, 6)
    np.testing.assert_array_equal(ours.eigen.matrixXf(np.eye(2, 3, dtype=np.float32)), np.eye(2, 3))
    np.testing.assert_array_equal(ours.eigen.vectorXf(np.float32([1, 2])), [1, 2])


def test_steps_overwrite_any_array():
    rng = np.random.default_rng(0)
    d = ours.dcrf.DenseCRF(5, 2)
    d.setUnaryEnergy(rng.normal(size=(2, 5)).astype(np.float32))
    d.addPairwiseEnergy(rng.normal(size=(1, 5)).astype(np.float32), 2)
    q, *tmp = d.startInference()
    copies = [np.array(q, order="C"), np.array(q, np.float64)]
    view = np.asarray(q)
    for array in [q, *copies]:
        d.stepInference(array, *tmp)
        np.testing.assert_array_equal(array, d.inference(1))
    np.testing.assert_array_equal(view, d.inference(1))


def test_inputs_are_copied_and_left_alone():
    energies = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    before = energies.copy()
    d = ours.dcrf.DenseCRF2D(3, 2, 2)
    d.setUnaryEnergy(energies)
    d.addPairwiseGaussian(2, 3)
    expected = d.inference(2)
    np.testing.assert_array_equal(energies, before)
    energies[:] = 0
    np.testing.assert_array_equal(d.inference(2), expected)


def test_subclasses():
    class Padded(ours.dcrf.DenseCRF2D):
        def __init__(self, image, labels):
            super().__init__(image.shape[1], image.shape[0], labels)

    d = Padded(np.zeros((2, 3)), 4)
    d.addPairwiseGaussian(sxy=1, compat=1)
    assert d.inference(1).shape == (4, 6)


def test_far_positions_do_not_wrap_around():
    """Two points 2^16 lattice units apart meet in 16-bit coordinates."""
    # With F = 1 a position p is elevated to (s, -s), s = p sqrt(2/3) 2 / sqrt(2) = 2 p / sqrt(3).
    far = 2**16 * np.sqrt(3) / 2
    d = ours.dcrf.DenseCRF(2, 2)
    d.setUnaryEnergy(np.float32([[0, 3], [1, 0]]))
    d.addPairwiseEnergy(np.float32([[0, far]]), compat=9, normalization=ours.dcrf.NORMALIZE_AFTER)
    assert np.argmax(d.inference(5), axis=0).tolist() == [0, 1]


def test_needs_no_keras():
    code = (
        "import sys\n"
        "import crfrnn.pydensecrf.densecrf as dcrf\n"
        "import crfrnn.pydensecrf.utils\n"
        "d = dcrf.DenseCRF2D(3, 2, 2)\n"
        "d.addPairwiseGaussian(3, 3)\n"
        "d.inference(2)\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
