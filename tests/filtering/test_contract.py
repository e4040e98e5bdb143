"""What every filter method promises, tested against its dense matrix; on NumPy and on tensors.

A new method needs an entry in `methods.METHODS` and is then tested by everything here.
"""

import functools

import numpy as np
import pytest

from crfrnn.filtering import gaussian_filter, make_filter
from crfrnn.filtering.normalized import NORMALIZATIONS
from tests import backend
from tests.filtering.methods import (
    ALL,
    METHODS,
    POINTS,
    SPACES,
    convert,
    random_positions,
    random_values,
)
from tests.filtering.references import normalized_matrix
from tests.tolerances import EXACT, FLOAT16, FLOAT32, assert_close

BATCH, FEATURES, CHANNELS = 2, 3, 4
POSITIONS = random_positions(BATCH, POINTS, FEATURES)
VALUES = random_values(BATCH, POINTS, CHANNELS)

pytestmark = [pytest.mark.parametrize("name", ALL), pytest.mark.parametrize("space", SPACES)]


@functools.cache
def operator(name, space):
    return METHODS[name].create(convert(POSITIONS, space))


@functools.cache
def matrices(name):  # (B, N, N)
    return np.stack([METHODS[name].matrix(positions) for positions in POSITIONS])


@functools.cache
def normalized(name, space, normalization):
    return make_filter(
        convert(POSITIONS, space), normalization=normalization, **METHODS[name].arguments
    )


def apply(function, values, space, **arguments):
    return backend.array(function(convert(values, space), **arguments))


def test_equals_the_dense_matrix(name, space):
    assert_close(apply(operator(name, space), VALUES, space), matrices(name) @ VALUES, FLOAT32)


def test_transposed_equals_the_transposed_matrix(name, space):
    transposed = apply(operator(name, space), VALUES, space, transposed=True)
    assert_close(transposed, matrices(name).transpose(0, 2, 1) @ VALUES, FLOAT32)


def test_transposed_by_inner_products(name, space):
    a, b = VALUES, random_values(BATCH, POINTS, CHANNELS, seed=2)
    forward = np.sum(apply(operator(name, space), a, space) * b, dtype=np.float64)
    back = np.sum(a * apply(operator(name, space), b, space, transposed=True), dtype=np.float64)
    assert_close(forward, back, FLOAT32)


def test_scales_multiply_before_and_after(name, space):
    rng = np.random.default_rng(3)
    before, after = rng.uniform(0.5, 2.0, (2, BATCH, POINTS, 1)).astype(np.float32)
    scales = {"scale_in": convert(before, space), "scale_out": convert(after, space)}
    filtered = apply(operator(name, space), VALUES, space, **scales)
    assert_close(filtered, after * (matrices(name) @ (before * VALUES)), FLOAT32)


def test_batch_equals_its_images_one_by_one(name, space):
    together = apply(operator(name, space), VALUES, space)
    for image in range(BATCH):
        alone = METHODS[name].create(convert(POSITIONS[image : image + 1], space))
        assert_close(together[image], apply(alone, VALUES[image : image + 1], space)[0], FLOAT32)


def test_one_set_of_positions_serves_many_images(name, space):
    shared = METHODS[name].create(convert(POSITIONS[:1], space))
    values = random_values(3, POINTS, CHANNELS)
    assert_close(apply(shared, values, space), matrices(name)[0] @ values, FLOAT32)
    transposed = apply(shared, values, space, transposed=True)
    assert_close(transposed, matrices(name)[0].T @ values, FLOAT32)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_normalization(name, space, normalization):
    function = normalized(name, space, normalization)
    expected = np.stack([normalized_matrix(matrix, normalization) for matrix in matrices(name)])
    assert_close(apply(function, VALUES, space), expected @ VALUES, FLOAT32)
    transposed = apply(function.transpose, VALUES, space)
    assert_close(transposed, expected.transpose(0, 2, 1) @ VALUES, FLOAT32)


def test_constants_are_preserved(name, space):
    constant = np.broadcast_to(np.float32([1.0, -7.0]), (BATCH, POINTS, 2))
    assert_close(apply(normalized(name, space, "after"), constant, space), constant, FLOAT32)


def test_channels_are_independent(name, space):
    order = [2, 0, 3, 1]
    filtered = apply(operator(name, space), VALUES, space)
    permuted = apply(operator(name, space), VALUES[..., order], space)
    assert_close(permuted, filtered[..., order], FLOAT32)


def test_linear(name, space):
    a, b = VALUES, random_values(BATCH, POINTS, CHANNELS, seed=5)
    combined = apply(operator(name, space), 2 * a - 3 * b, space)
    expected = 2 * apply(operator(name, space), a, space) - 3 * apply(
        operator(name, space), b, space
    )
    assert_close(combined, expected, FLOAT32)


def test_same_bits_again(name, space):
    once = apply(METHODS[name].create(convert(POSITIONS, space)), VALUES, space)
    again = apply(METHODS[name].create(convert(POSITIONS, space)), VALUES, space)
    assert_close(once, again, EXACT)


@pytest.mark.parametrize("channels", [1, 21])
def test_number_of_channels(name, space, channels):
    values = random_values(BATCH, POINTS, channels)
    assert_close(apply(operator(name, space), values, space), matrices(name) @ values, FLOAT32)


def test_number_of_features(name, space):
    # On JAX each new shape costs seconds of compiling.
    for features in range(1, 17) if space == "numpy" else (5,):
        positions = random_positions(1, 10, features)
        values = random_values(1, 10, 2)
        filtered = apply(METHODS[name].create(convert(positions, space)), values, space)
        assert_close(filtered[0], METHODS[name].matrix(positions[0]) @ values[0], FLOAT32)


def test_a_single_point_keeps_its_value(name, space):
    arguments = {**METHODS[name].arguments, **({"grid": (1, 1)} if name == "local" else {})}
    value = np.float32([[[3.0, -2.0]]])
    position = convert(np.float32([[[0.3, 40.0, -7.0]]]), space)
    assert_close(apply(make_filter(position, **arguments), value, space), value, FLOAT32)


def test_constant_image_averages_where_all_points_coincide(name, space):
    # All points in one place: every weight is the same.
    positions = convert(np.full((1, POINTS, FEATURES), 0.7, np.float32), space)
    values = random_values(1, POINTS, 2)
    filtered = apply(make_filter(positions, **METHODS[name].arguments), values, space)
    if name == "local":
        matrix = METHODS[name].matrix(np.zeros((POINTS, 1)))
        expected = normalized_matrix(matrix, "after") @ values
    else:
        expected = np.broadcast_to(values.mean(axis=1, keepdims=True), values.shape)
    assert_close(filtered, expected, FLOAT32)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float16", FLOAT16), ("float32", FLOAT32), ("float64", FLOAT32)]
)
def test_dtype_of_values_is_kept(name, space, dtype, tolerance):
    if dtype == "float64" and space == "backend" and backend.NAME == "jax":
        pytest.skip("JAX has no float64 by default")
    values, positions = VALUES.astype(dtype), POSITIONS.astype(dtype)
    filtered = gaussian_filter(
        convert(values, space), convert(positions, space), **METHODS[name].arguments
    )
    assert backend.array(filtered).dtype == dtype
    matrix = np.stack([METHODS[name].matrix(p.astype(np.float32)) for p in positions])
    expected = [normalized_matrix(m, "after") @ v for m, v in zip(matrix, values, strict=True)]
    assert_close(backend.array(filtered), np.stack(expected), tolerance)
