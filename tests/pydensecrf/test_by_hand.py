"""The drop-in against the dense reference, and what NumPy users expect."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from crfrnn import gaussian_filter
from tests.offline.dense_crf_reference import iterate, normalized
from tests.pydensecrf.calls import COMPATS, NORMALIZATIONS, ours
from tests.tolerances import FLOAT32, assert_close

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
