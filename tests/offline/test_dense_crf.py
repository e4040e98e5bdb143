"""The offline CRF: the same as mean_field on every path, and clear about bad input."""

import subprocess
import sys

import numpy as np
import pytest

from crfrnn import DenseCRF, probs_from_labels, probs_from_logits, refine
from tests.offline.dense_crf_reference import kernel_matrices, normalized
from tests.offline.random_case import THETAS, WEIGHTS, case, expected
from tests.tolerances import EXACT, FLOAT32, assert_close


@pytest.mark.parametrize("normalization", ["symmetric", "after", "before"])
@pytest.mark.parametrize("grid", [(9, 7), (4, 5, 6), (40,)])
def test_equals_mean_field(with_native, grid, normalization):
    image, probs = case(grid)
    refined = refine(image, probs, **THETAS, **WEIGHTS, normalization=normalization)
    assert refined.dtype == np.float32
    assert_close(refined, expected(image, probs, normalization=normalization), FLOAT32)


@pytest.mark.parametrize(
    "crf",
    [
        dict(spatial_weight=0.0),
        dict(bilateral_weight=0.0),
        dict(bilateral_weight=np.array([1.0, 2.0, 4.0])),
        dict(spatial_weight=np.arange(9.0).reshape(3, 3)),
        dict(compatibility=np.array([[-1, 0.5, 0.2], [0, -2, 0.1], [0.3, 0, -1]])),
        dict(num_iterations=1),
        dict(num_iterations=0),
    ],
)
def test_weights_and_compatibility(with_native, crf):
    image, probs = case((8, 11))
    assert_close(
        refine(image, probs, **{**THETAS, **WEIGHTS, **crf}),
        expected(image, probs, **{**WEIGHTS, **crf}),
        FLOAT32,
    )


@pytest.mark.parametrize("method", ["exact", "local"])
def test_other_methods(method):
    image, probs = case((8, 11))
    refined = refine(image, probs, **THETAS, **WEIGHTS, method=method)
    assert_close(refined, expected(image, probs, method=method), FLOAT32)


def test_spacing_is_the_unit_of_the_bandwidths():
    image, probs = case((5, 6, 7))
    stretched = refine(image, probs, **THETAS, **WEIGHTS, spacing=(2.0, 1.0, 0.5))
    by_hand = dict(theta_alpha=(2.5, 5.0, 10.0), theta_beta=0.3, theta_gamma=(0.75, 1.5, 3.0))
    assert_close(stretched, refine(image, probs, **by_hand, **WEIGHTS), FLOAT32)


def test_grey_image_without_channel_axis_and_any_dtype():
    image, probs = case((6, 9), channels=1)
    grey = np.round(255 * image[..., 0]).astype(np.uint8)
    thetas = {**THETAS, "theta_beta": 80.0}
    assert_close(
        refine(grey, probs.astype(np.float16), **thetas, **WEIGHTS),
        refine(
            grey[..., None].astype(float),
            probs.astype(np.float16).astype(float),
            **thetas,
            **WEIGHTS,
        ),
        FLOAT32,
    )


def test_the_order_in_memory_does_not_matter(with_native):
    image, probs = case((6, 9))
    labels_first = np.ascontiguousarray(np.moveaxis(probs, -1, 0))
    assert_close(
        refine(np.asfortranarray(image), np.moveaxis(labels_first, 0, -1), **THETAS, **WEIGHTS),
        refine(image, probs, **THETAS, **WEIGHTS),
        EXACT,
    )
    crf = DenseCRF(image, 3, **THETAS, **WEIGHTS)
    crf.set_unary(-np.log(np.moveaxis(labels_first, 0, -1)))
    crf.step(5)
    assert_close(crf.probs(), refine(image, probs, **THETAS, **WEIGHTS), FLOAT32)


def test_input_is_left_alone():
    image, probs = case((6, 9))
    before = image.copy(), probs.copy()
    refine(image, probs, **THETAS, **WEIGHTS)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(probs, before[1])


def test_certain_probabilities_stay_finite():
    image, _ = case((6, 9))
    certain = np.eye(3)[np.random.default_rng(0).integers(0, 3, (6, 9))]
    refined = refine(image, certain, **THETAS, **WEIGHTS)
    assert np.isfinite(refined).all()
    assert_close(refined.sum(-1), np.ones((6, 9)), FLOAT32)


def test_needs_no_keras():
    code = (
        "import sys, numpy as np, crfrnn\n"
        "p = np.full((4, 5, 2), 0.5)\n"
        "crfrnn.refine(np.zeros((4, 5)), p, theta_alpha=3, theta_beta=1, theta_gamma=1,\n"
        "              bilateral_weight=1, spatial_weight=1)\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_step_by_step(with_native):
    image, probs = case((8, 11))
    crf = DenseCRF(image, 3, **THETAS, **WEIGHTS)
    crf.set_unary(probs=probs)
    assert_close(crf.probs(), probs, FLOAT32)
    crf.step(2)
    after_two = crf.probs()
    crf.step(3)
    five = refine(image, probs, **THETAS, **WEIGHTS)
    assert_close(crf.probs(), five, EXACT)
    np.testing.assert_array_equal(crf.labels(), five.argmax(-1))
    assert_close(after_two, refine(image, probs, **THETAS, **WEIGHTS, num_iterations=2), EXACT)
    crf.set_unary(-np.log(probs))  # starts again
    crf.step(5)
    assert_close(crf.probs(), five, FLOAT32)


def test_an_infinite_energy_forbids_a_label(with_native):
    image, probs = case((8, 11))
    energies = -np.log(probs)
    energies[2, 3, 1] = np.inf
    crf = DenseCRF(image, 3, **THETAS, **WEIGHTS)
    crf.set_unary(energies)
    crf.step(5)
    assert crf.probs()[2, 3, 1] == 0
    assert np.isfinite(crf.probs()).all()


@pytest.mark.parametrize("normalization", ["symmetric", "none"])
def test_kl_from_the_equation(normalization):
    image, probs = case((3, 4))
    compatibility = np.array([[-1, 0.5, 0.2], [0, -2, 0.1], [0.3, 0, -1]])
    crf = DenseCRF(
        image,
        3,
        **THETAS,
        **WEIGHTS,
        compatibility=compatibility,
        normalization=normalization,
        method="exact",
    )
    crf.set_unary(probs=probs)
    crf.step()
    q = crf.probs().reshape(12, 3).astype(float)
    energies = -np.log(probs).reshape(12, 3)
    spatial, bilateral = (
        normalized(kernel, normalization)
        for kernel in kernel_matrices(image, (5.0, 5.0), (0.3, 0.3), (1.5, 1.5), (1.0, 1.0))
    )
    expected = 0.0
    for i in range(12):
        for l in range(3):  # noqa: E741
            expected += q[i, l] * np.log(q[i, l]) + q[i, l] * energies[i, l]
            for j in range(12):
                for m in range(3):
                    pair = 2 * spatial[i, j] + 4 * bilateral[i, j]
                    expected += q[i, l] * compatibility[l, m] * pair * q[j, m] / 2
    assert_close(crf.kl(), expected, FLOAT32)


@pytest.mark.parametrize("method", ["lattice", "exact"])
def test_a_cloud_of_the_points_of_a_grid_is_the_grid(with_native, method):
    image, probs = case((4, 5, 6))
    crf = dict(theta_alpha=(4.0, 5.0, 6.0), theta_beta=(0.3, 0.4), theta_gamma=1.5, **WEIGHTS)
    spacing = np.array([2.0, 1.0, 0.5])
    coordinates = np.indices((4, 5, 6)).reshape(3, -1).T * spacing
    cloud = refine(
        image.reshape(-1, 2),
        probs.reshape(-1, 3),
        coordinates=coordinates,
        method=method,
        **crf,
    )
    grid = refine(image, probs, spacing=spacing, method=method, **crf)
    assert_close(cloud, grid.reshape(-1, 3), EXACT)


def test_probabilities_of_logits_and_labels():
    logits = np.random.default_rng(0).normal(0, 3, (4, 5, 3))
    powers = np.exp(logits)
    assert_close(probs_from_logits(logits), powers / powers.sum(-1, keepdims=True), FLOAT32)
    sigmoid = 1 / (1 + np.exp(-logits[..., :1]))
    expected = np.concatenate([1 - sigmoid, sigmoid], -1)
    assert_close(probs_from_logits(logits[..., :1]), expected, FLOAT32)
    infinite = np.array([[np.inf, 0.0], [-np.inf, 0.0]])
    assert_close(probs_from_logits(infinite), [[1, 0], [0, 1]], FLOAT32)

    labels = np.array([[0, 1, 2], [2, -1, 0]])
    found = probs_from_labels(labels, 4, confidence=0.7, unknown=-1)
    for index, label in np.ndenumerate(labels):
        expected = [0.25] * 4 if label < 0 else [0.7 if k == label else 0.1 for k in range(4)]
        assert_close(found[index], expected, FLOAT32)
