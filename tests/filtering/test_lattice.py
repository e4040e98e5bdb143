"""What is particular to the permutohedral lattices: compiled code, capacity, hashes, accuracy."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.data

from crfrnn import arrays
from crfrnn.filtering import LatticeFilter, gaussian_filter, vertices
from tests import backend
from tests.filtering.methods import (
    LATTICES,
    METHODS,
    convert,
    needs_native,
    random_positions,
    random_values,
)
from tests.filtering.references import embedding, enclosing_simplex
from tests.tolerances import EXACT, FLOAT32, LATTICE_L2, assert_close

POSITIONS = random_positions(2, 20, 3)
VALUES = random_values(2, 20, 4)
EXPECTED = np.stack(
    [METHODS["lattice"].matrix(p) @ v for p, v in zip(POSITIONS, VALUES, strict=True)]
)


def compiled(function, **arguments):
    """The function as compiled by XLA; on PyTorch, which runs eagerly, as it is."""
    if backend.NAME == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True, **arguments)
    if backend.NAME == "jax":
        import jax

        return jax.jit(function)
    return function


def lattice_filter(positions, values):
    return LatticeFilter(positions)(values)


def test_compiles_under_xla():
    found = compiled(lattice_filter)(backend.tensor(POSITIONS), backend.tensor(VALUES))
    assert_close(backend.array(found), EXPECTED, FLOAT32)


@pytest.mark.skipif(backend.NAME != "tensorflow", reason="unknown shapes are TensorFlow's")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_shapes_may_be_unknown(jit_compile):
    import tensorflow as tf

    signature = (tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, None, 4)))
    function = tf.function(lattice_filter, input_signature=signature, jit_compile=jit_compile)
    assert_close(function(POSITIONS, VALUES), EXPECTED, FLOAT32)
    assert_close(function(POSITIONS[1:, :], VALUES[1:, :]), EXPECTED[1:], FLOAT32)


def number_of_vertices(positions):
    vertices = set()
    matrix = embedding(positions.shape[-1])
    for image, points in enumerate(positions):
        for point in points:
            for vertex, _ in enclosing_simplex(matrix @ point.astype(np.float64)):
                vertices.add((image, vertex))
    return len(vertices)


@pytest.mark.parametrize("space", ["numpy", "backend"])
def test_capacity_may_be_as_small_as_the_lattice(space):
    exact_fit = number_of_vertices(POSITIONS)
    operator = LatticeFilter(convert(POSITIONS, space), capacity=exact_fit)
    assert_close(backend.array(operator(convert(VALUES, space))), EXPECTED, FLOAT32)
    with pytest.raises(ValueError, match=f"capacity={exact_fit - 1} .* need {exact_fit}"):
        LatticeFilter(convert(POSITIONS, space), capacity=exact_fit - 1)


@pytest.mark.skipif(backend.NAME == "torch", reason="PyTorch always knows the number of vertices")
def test_capacity_that_is_too_small_in_compiled_code_shows():
    exact_fit = number_of_vertices(POSITIONS)
    enough = ((exact_fit, EXPECTED), (10**6, EXPECTED))
    for capacity, expected in (*enough, (exact_fit - 1, np.nan * EXPECTED)):
        function = compiled(lambda p, v, c=capacity: LatticeFilter(p, capacity=c)(v))
        found = function(backend.tensor(POSITIONS), backend.tensor(VALUES))
        np.testing.assert_allclose(backend.array(found), expected, atol=FLOAT32)


@pytest.mark.parametrize("multipliers", [[0, 0, 0, 0], [1, 1, 1, 1], [7, 0, 0, 1]])
@pytest.mark.parametrize("space", ["numpy", "backend"])
def test_keys_of_equal_hash_stay_apart(space, multipliers, monkeypatch):
    monkeypatch.setattr(vertices, "_multipliers", lambda columns: multipliers)
    operator = LatticeFilter(convert(POSITIONS, space))
    assert_close(backend.array(operator(convert(VALUES, space))), EXPECTED, FLOAT32)


def test_keys_of_equal_hash_stay_apart_under_xla(monkeypatch):
    monkeypatch.setattr(vertices, "_multipliers", lambda columns: [1, 1, 1, 1])
    found = compiled(lattice_filter)(backend.tensor(POSITIONS), backend.tensor(VALUES))
    assert_close(backend.array(found), EXPECTED, FLOAT32)


def test_images_do_not_mix():
    # The same positions twice, but only the first image has values.
    positions = np.repeat(POSITIONS[:1], 2, axis=0)
    values = np.stack([VALUES[0], 0 * VALUES[0]])
    assert_close(LatticeFilter(positions)(values)[1], values[1], EXACT)


# ---- On a photograph ---------------------------------------------------------------------------

CROP = skimage.data.astronaut()[90:154, 170:234].astype(np.float32)  # (64, 64, 3), part of a face


def photograph_positions(theta_alpha, theta_beta):
    """(1, N, 5) positions x, y, r, g, b; only (1, N, 2) when theta_beta is None."""
    y, x = np.mgrid[: CROP.shape[0], : CROP.shape[1]]
    features = [x / theta_alpha, y / theta_alpha]
    if theta_beta is not None:
        features += [CROP[..., channel] / theta_beta for channel in range(3)]
    return np.stack(features, axis=-1).reshape(1, -1, len(features)).astype(np.float32)


def label_probabilities(labels=21):
    """(1, N, L): probabilities of a blurred random map of 8 x 8 patches, with noise."""
    rng = np.random.default_rng(0)
    patches = rng.integers(labels, size=(8, 8)).repeat(8, axis=0).repeat(8, axis=1)
    logits = 6 * scipy.ndimage.gaussian_filter(np.eye(labels)[patches], (8, 8, 0))
    logits = logits + rng.normal(size=logits.shape)
    return arrays.softmax(logits).reshape(1, -1, labels).astype(np.float32)


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("thetas", LATTICE_L2)
def test_normalised_filter_is_close_to_the_exact_one(name, thetas):
    positions, values = photograph_positions(*thetas), label_probabilities()
    exact = gaussian_filter(values, positions, method="exact")
    found = gaussian_filter(values, positions, **METHODS[name].arguments)
    relative = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert relative <= LATTICE_L2[thetas]


@needs_native
@pytest.mark.parametrize(
    ("space", "thetas"), [*(("numpy", thetas) for thetas in LATTICE_L2), ("backend", (80.0, 13.0))]
)
def test_native_and_keras_ops_agree(space, thetas):
    positions = convert(photograph_positions(*thetas), space)
    values = convert(label_probabilities(3), space)
    function = lattice_filter if space == "numpy" else compiled(lattice_filter)
    native = METHODS["native"].create(positions)(values)
    assert_close(backend.array(function(positions, values)), backend.array(native), FLOAT32)
