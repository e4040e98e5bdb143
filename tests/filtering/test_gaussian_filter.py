"""Arguments of gaussian_filter and make_filter: batch axes, dtypes, empty arrays, errors."""

import numpy as np
import pytest

from crfrnn.filtering import exact, gaussian_filter, make_filter, native
from tests import backend
from tests.filtering.methods import ALL, METHODS, SPACES, convert, random_positions, random_values
from tests.filtering.references import gaussian_matrix, lattice_matrix, normalized_matrix
from tests.tolerances import EXACT, FLOAT32, assert_close

POSITIONS = random_positions(6, 7, 2)
VALUES = random_values(6, 7, 3)
ONE_BY_ONE = np.stack(
    [
        normalized_matrix(gaussian_matrix(p), "after") @ v
        for p, v in zip(POSITIONS, VALUES, strict=True)
    ]
)


def filtered(values, positions, space="numpy", **arguments):
    arguments = {"method": "exact", **arguments}
    return backend.array(
        gaussian_filter(convert(values, space), convert(positions, space), **arguments)
    )


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("lead", [(6,), (2, 3), (1, 6), (3, 1, 2)])
def test_leading_axes_are_the_batch(space, lead):
    values, positions = VALUES.reshape(*lead, 7, 3), POSITIONS.reshape(*lead, 7, 2)
    expected = ONE_BY_ONE.reshape(*lead, 7, 3)
    assert_close(filtered(values, positions, space), expected, FLOAT32)


@pytest.mark.parametrize("space", SPACES)
def test_without_batch(space):
    assert_close(filtered(VALUES[0], POSITIONS[0], space), ONE_BY_ONE[0], FLOAT32)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("lead", [(), (1,), (1, 1)])
def test_positions_without_batch_serve_all_images(space, lead):
    positions = POSITIONS[0].reshape(*lead, 7, 2)
    expected = normalized_matrix(gaussian_matrix(POSITIONS[0]), "after") @ VALUES
    found = filtered(VALUES.reshape(2, 3, 7, 3), positions, space)
    assert_close(found, expected.reshape(2, 3, 7, 3), FLOAT32)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("normalization", ["symmetric", "none"])
def test_numpy_arrays_and_tensors_may_be_mixed(name, normalization):
    # As in the spatial kernel of a network: positions are known beforehand, values are not.
    arguments = {**METHODS[name].arguments, "normalization": normalization}
    positions, values = random_positions(1, 20, 3), random_values(2, 20, 4)
    expected = gaussian_filter(values, positions, **arguments)
    for p, v in (("numpy", "backend"), ("backend", "numpy")):
        found = gaussian_filter(convert(values, v), convert(positions, p), **arguments)
        assert not isinstance(found, np.ndarray)
        assert_close(backend.array(found), expected, FLOAT32)


def test_integers_give_float32():
    found = gaussian_filter(np.arange(14).reshape(7, 2), POSITIONS[0], method="exact")
    assert found.dtype == np.float32
    expected = normalized_matrix(gaussian_matrix(POSITIONS[0]), "after")
    assert_close(found, expected @ np.arange(14).reshape(7, 2), FLOAT32)


@pytest.mark.parametrize("space", SPACES)
def test_blocks_of_rows_give_the_same(space, monkeypatch):
    whole = filtered(VALUES, POSITIONS, space, normalization="none")
    monkeypatch.setattr(exact, "_PAIRS_AT_ONCE", 6 * 7 * 3)  # 3 rows of 7: the last block is cut
    blocks = filtered(VALUES, POSITIONS, space, normalization="none")
    assert_close(blocks, whole, FLOAT32)


def test_blocks_of_rows_give_the_same_gradients(monkeypatch):
    import keras

    def loss(values, positions):
        return keras.ops.sum(gaussian_filter(values, positions, method="exact") ** 2)

    whole = backend.gradients(loss, VALUES, POSITIONS)
    monkeypatch.setattr(exact, "_PAIRS_AT_ONCE", 6 * 7 * 3)
    for a, b in zip(backend.gradients(loss, VALUES, POSITIONS), whole, strict=True):
        assert_close(a, b, FLOAT32)


@pytest.mark.skipif(backend.NAME != "tensorflow", reason="unknown shapes are TensorFlow's")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_exact_with_unknown_shapes(jit_compile, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(exact, "_PAIRS_AT_ONCE", 6 * 7 * 3)
    signature = (tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, None, 2)))

    @tf.function(input_signature=signature, jit_compile=jit_compile)
    def function(values, positions):
        return gaussian_filter(values, positions, method="exact")

    assert_close(function(VALUES, POSITIONS), ONE_BY_ONE, FLOAT32)
    assert_close(function(VALUES[:1], POSITIONS[:1]), ONE_BY_ONE[:1], FLOAT32)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("shape", [(0, 20, 4), (2, 0, 4), (2, 20, 0)])
def test_empty_arrays_give_empty_arrays(name, space, shape):
    batch, points, _ = shape
    arguments = dict(METHODS[name].arguments)
    if name == "local":
        arguments["grid"] = (points,)
        arguments["window"] = 3
    for lead in (batch, 1):
        positions = np.zeros((lead, points, 3), np.float32)
        found = filtered(np.zeros(shape, np.float32), positions, space, **arguments)
        assert found.shape == shape


def test_native_none_falls_back_to_keras_ops(monkeypatch):
    monkeypatch.setattr(native, "refusal", lambda positions: "It is turned off.")
    found = gaussian_filter(VALUES, POSITIONS)
    assert_close(found, gaussian_filter(VALUES, POSITIONS, native=False), EXACT)
    with pytest.raises(RuntimeError, match="native=True, but"):
        gaussian_filter(VALUES, POSITIONS, native=True)


def test_native_is_for_the_lattice_only():
    with pytest.raises(RuntimeError, match='native=True, method="exact"'):
        gaussian_filter(VALUES, POSITIONS, native=True, method="exact")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "nearest"}, "'lattice', 'exact', 'local'.*method='nearest'"),
        ({"normalization": "both"}, "'after', 'before', 'symmetric', 'none'.*'both'"),
    ],
)
def test_unknown_names(arguments, message):
    with pytest.raises(ValueError, match=message):
        gaussian_filter(VALUES, POSITIONS, **arguments)


@pytest.mark.parametrize(
    ("values", "positions"),
    [
        ((6, 7, 3), (6, 8, 2)),
        ((6, 7, 3), (3, 7, 2)),
        ((6, 7, 3), (2, 3, 7, 2)),
        ((7, 3), (6, 7, 2)),
        ((7,), (7, 2)),
        ((7, 3), (7,)),
    ],
)
@pytest.mark.parametrize("space", SPACES)
def test_shapes_that_do_not_fit_are_both_named(space, values, positions):
    with pytest.raises(ValueError) as caught:
        filtered(np.zeros(values, np.float32), np.zeros(positions, np.float32), space)
    assert str(values) in str(caught.value)
    assert str(positions) in str(caught.value)


def test_make_filter_names_both_shapes():
    function = make_filter(POSITIONS, method="exact")
    with pytest.raises(ValueError, match=r"\(6, 8, 3\).*\(6, 7, 2\)"):
        function(np.zeros((6, 8, 3)))
    with pytest.raises(ValueError, match=r"\(7, 2\)"):
        make_filter(POSITIONS[0])
    with pytest.raises(ValueError, match=r"F >= 1.*\(6, 7, 0\)"):
        make_filter(POSITIONS[..., :0])


@pytest.mark.parametrize("method", ["lattice", "exact", "local"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("space", SPACES)
def test_positions_must_be_finite(space, method, bad):
    positions = POSITIONS.copy()
    positions[1, 2, 0] = bad
    with pytest.raises(ValueError, match=rf"finite.*{bad} at index \(1, 2, 0\)"):
        make_filter(convert(positions, space), method=method, grid=(7,))


@pytest.mark.parametrize("space", SPACES)
def test_positions_beyond_the_keys_of_the_lattice(space):
    positions = POSITIONS.copy()
    positions[1, 2, 0] = 3e7
    with pytest.raises(ValueError, match=r"within .* bandwidths.*3e\+07"):
        make_filter(convert(positions, space))
    make_filter(convert(positions, space), method="exact")  # which has no keys


def test_lattice_is_right_up_to_its_limit():
    # Two points near the limit, 1.5 bandwidths apart, must still see each other and no one else.
    limit = 400_000.0
    positions = np.array([[[limit, 0.0], [limit - 1.5, 0.0], [0.0, limit]]], np.float32)
    values = np.float32([[[1.0], [0.0], [5.0]]])
    expected = normalized_matrix(lattice_matrix(positions[0].astype("float64")), "after") @ values
    for native_too in (False, None):
        found = make_filter(positions, native=native_too)(values)
        # Float32 has steps of 1/32 there. Measured 0.0046.
        assert np.abs(found - expected)[0, :2].max() < 0.01
        assert_close(found[0, 2], [5.0], FLOAT32)
