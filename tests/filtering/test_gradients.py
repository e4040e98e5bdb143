"""Gradients of the filters on the running backend.

To the values: the transposed dense matrix. To the positions, where a method has such a gradient:
central differences of the dense matrix in float64.
"""

import keras
import numpy as np
import pytest

from crfrnn.filtering import make_filter
from crfrnn.filtering.normalized import NORMALIZATIONS
from tests import backend
from tests.filtering.methods import ALL, METHODS, POINTS, random_positions, random_values
from tests.filtering.references import normalized_matrix
from tests.tolerances import FLOAT32, GRADIENT, assert_close

BATCH, FEATURES, CHANNELS = 2, 3, 4
POSITIONS = random_positions(BATCH, POINTS, FEATURES)
VALUES = random_values(BATCH, POINTS, CHANNELS)
UPSTREAM = random_values(BATCH, POINTS, CHANNELS, seed=4)


def weighted_sum(filtered):
    """A scalar whose gradient with respect to `filtered` is UPSTREAM."""
    return keras.ops.sum(filtered * backend.tensor(UPSTREAM))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("name", ALL)
def test_values_receive_the_transposed_filter(name, normalization):
    function = make_filter(
        backend.tensor(POSITIONS), normalization=normalization, **METHODS[name].arguments
    )
    (gradient,) = backend.gradients(lambda values: weighted_sum(function(values)), VALUES)
    for image, positions in enumerate(POSITIONS):
        matrix = normalized_matrix(METHODS[name].matrix(positions), normalization)
        assert_close(gradient[image], matrix.T @ UPSTREAM[image], FLOAT32)


@pytest.mark.parametrize("name", ALL)
def test_values_of_images_that_share_positions(name):
    function = make_filter(backend.tensor(POSITIONS[:1]), **METHODS[name].arguments)
    (gradient,) = backend.gradients(lambda values: weighted_sum(function(values)), VALUES)
    matrix = normalized_matrix(METHODS[name].matrix(POSITIONS[0]), "after")
    assert_close(gradient, matrix.T @ UPSTREAM, FLOAT32)


@pytest.mark.parametrize("name", ALL)
def test_values_receive_it_from_outside_of_a_compiled_function(name):
    """JAX refuses what a gradient of our own has by its closure: the lattice must be an input."""

    @backend.compiled
    def loss(positions, values):
        return weighted_sum(make_filter(positions, **METHODS[name].arguments)(values))

    _, gradient = backend.gradients(loss, POSITIONS, VALUES)
    for image, positions in enumerate(POSITIONS):
        matrix = normalized_matrix(METHODS[name].matrix(positions), "after")
        assert_close(gradient[image], matrix.T @ UPSTREAM[image], FLOAT32)


def central_differences(loss, positions, step=1e-5):
    """Gradient of loss(positions) for float64 positions, one number at a time."""
    gradient = np.zeros_like(positions)
    for index in np.ndindex(*positions.shape):
        shifted = positions.copy()
        shifted[index] += step
        above = loss(shifted)
        shifted[index] -= 2 * step
        gradient[index] = (above - loss(shifted)) / (2 * step)
    return gradient


@pytest.mark.parametrize("normalization", ["after", "symmetric", "none"])
@pytest.mark.parametrize("name", ["exact", "local"])
def test_positions_by_central_differences(name, normalization):
    arguments = {"normalization": normalization, **METHODS[name].arguments}

    def of_tensors(positions):
        return weighted_sum(make_filter(positions, **arguments)(backend.tensor(VALUES)))

    def of_first_image(positions):
        matrix = normalized_matrix(METHODS[name].matrix(positions), normalization)
        return np.sum((matrix @ VALUES[0]) * UPSTREAM[0])

    (gradient,) = backend.gradients(of_tensors, POSITIONS)
    expected = central_differences(of_first_image, POSITIONS[0].astype(np.float64))
    assert_close(gradient[0], expected, GRADIENT)


@pytest.mark.parametrize("name", ["exact", "local"])
def test_shared_positions_collect_from_all_images(name):
    def of_tensors(positions):
        filtered = make_filter(positions, **METHODS[name].arguments)(backend.tensor(VALUES))
        return weighted_sum(filtered)

    both = np.repeat(POSITIONS[:1], BATCH, axis=0)
    (shared,) = backend.gradients(of_tensors, POSITIONS[:1])
    (separate,) = backend.gradients(of_tensors, both)
    assert_close(shared[0], separate.sum(axis=0), GRADIENT)


@pytest.mark.parametrize("name", [p for p in ALL if p.values[0] in ("lattice", "native")])
def test_positions_receive_nothing_from_a_lattice(name):
    def of_tensors(positions, values):
        return weighted_sum(make_filter(positions, **METHODS[name].arguments)(values))

    to_positions, to_values = backend.gradients(of_tensors, POSITIONS, VALUES)
    assert np.all(to_positions == 0)
    assert np.any(to_values != 0)
