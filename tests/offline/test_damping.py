"""Damped iterations."""

import numpy as np
import pytest

from crfrnn import DenseCRF, mean_field
from tests.offline.dense_crf_reference import kernel_matrices, normalized
from tests.offline.random_case import THETAS, WEIGHTS, case, expected
from tests.tolerances import EXACT, FLOAT32, assert_close

# ---- Damping -------------------------------------------------------------------------------------

REPULSIVE = np.array(
    [[0.9, -0.2, 0.0], [0.1, 1.2, 0.0], [0.3, 0.0, 0.5]]
)  # likes unlike neighbours


def by_products(image, probs, num_iterations, damping):
    """Damped mean field as a product of powers of the old and the new probabilities, float64."""
    kernels = kernel_matrices(image, (5.0, 5.0), (0.3, 0.3), (1.5, 1.5), (1.0, 1.0))
    bilateral, spatial = (normalized(kernel, "symmetric") for kernel in reversed(kernels))
    start = probs.reshape(-1, 3)
    q = start
    for _ in range(num_iterations):
        update = start * np.exp(-(4.0 * bilateral + 2.0 * spatial) @ q @ REPULSIVE.T)
        update /= update.sum(-1, keepdims=True)
        q = q**damping * update ** (1 - damping)
        q /= q.sum(-1, keepdims=True)
    return q.reshape(probs.shape)


@pytest.mark.parametrize("damping", [0.0, 0.3, 0.75, 1.0])
def test_damped_steps(with_native, damping):
    image, probs = case((4, 5))
    crf = DenseCRF(image, 3, **THETAS, **WEIGHTS, compatibility=REPULSIVE, method="exact")
    crf.set_unary(probs=probs)
    crf.step(2, damping=damping)
    crf.step(1, damping=damping)
    truth = by_products(image, probs, 3, damping)
    assert_close(crf.probs(), truth, FLOAT32)
    of_arrays = expected(
        image, probs, 3, method="exact", compatibility=REPULSIVE, damping=damping
    )  # the layer's iteration
    assert_close(of_arrays, truth, FLOAT32)


def test_without_damping_every_bit_is_as_before(with_native):
    image, probs = case((8, 11))
    found = []
    for options in ({}, {"damping": 0.0}):
        crf = DenseCRF(image, 3, **THETAS, **WEIGHTS)
        crf.set_unary(probs=probs)
        crf.step(3, **options)
        found.append(crf.probs())
    assert_close(found[1], found[0], EXACT)
    logits = [
        mean_field(
            np.log(probs)[None], image[None], **THETAS, **WEIGHTS, num_iterations=3, **options
        )
        for options in ({}, {"damping": 0.0})
    ]
    assert_close(logits[1], logits[0], EXACT)


def test_what_swings_to_and_fro_converges_with_damping(with_native):
    image, probs = case((8, 11), labels=2)
    options = dict(**WEIGHTS, compatibility=np.eye(2))

    def last_change(damping):
        crf = DenseCRF(image, 2, **THETAS, **options)
        crf.set_unary(probs=probs)
        crf.step(60, damping=damping)
        before, energy = crf.probs(), crf.kl()
        crf.step(1, damping=damping)
        return np.abs(crf.probs() - before).max(), energy

    (swings, high), (rests, low) = last_change(0.0), last_change(0.6)
    assert swings > 0.5
    assert rests < 1e-3
    assert low < high
