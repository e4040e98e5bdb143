"""What is particular to the windowed filter: grids of any rank, windows, unknown sizes."""

import numpy as np
import pytest

from crfrnn.filtering import LocalFilter, make_filter
from tests import backend
from tests.filtering.methods import SPACES, convert, random_positions, random_values
from tests.filtering.references import gaussian_matrix, window_matrix
from tests.tolerances import FLOAT32, assert_close


@pytest.mark.parametrize(
    ("grid", "window"),
    [
        ((7,), (3,)),
        ((4, 6), (3, 5)),
        ((3, 4, 5), (1, 5, 3)),
        ((2, 3, 2, 3), (3, 3, 1, 3)),
        ((3, 5), (9, 99)),  # larger than the grid
        ((1, 6), (3, 3)),
    ],
)
@pytest.mark.parametrize("space", SPACES)
def test_any_grid_and_window(space, grid, window):
    points = int(np.prod(grid))
    positions, values = random_positions(2, points, 3), random_values(2, points, 2)
    operator = LocalFilter(convert(positions, space), grid, window)
    inside = window_matrix(grid, window)
    expected = [(gaussian_matrix(p) * inside) @ v for p, v in zip(positions, values, strict=True)]
    assert_close(backend.array(operator(convert(values, space))), np.stack(expected), FLOAT32)


def test_one_number_is_the_width_along_every_axis():
    positions, values = random_positions(1, 20, 2), random_values(1, 20, 3)
    one = LocalFilter(positions, (4, 5), 3)(values)
    assert_close(one, LocalFilter(positions, (4, 5), (3, 3))(values), 0.0)


def test_compiled():
    positions, values = random_positions(2, 20, 3), random_values(2, 20, 4)

    def function(positions, values):
        return LocalFilter(positions, (4, 5), (3, 5))(values)

    expected = function(positions, values)
    if backend.NAME == "tensorflow":
        import tensorflow as tf

        function = tf.function(function, jit_compile=True)
    elif backend.NAME == "jax":
        import jax

        function = jax.jit(function)
    found = function(backend.tensor(positions), backend.tensor(values))
    assert_close(backend.array(found), expected, FLOAT32)


@pytest.mark.skipif(backend.NAME != "tensorflow", reason="unknown shapes are TensorFlow's")
def test_grid_may_be_unknown():
    import tensorflow as tf

    @tf.function(input_signature=(tf.TensorSpec((None, None, None, 3)),))
    def function(image):
        batch, *grid, channels = tf.unstack(tf.shape(image))
        del channels
        positions = tf.reshape(image, (batch, grid[0] * grid[1], 3))
        return make_filter(positions, method="local", grid=grid, window=(3, 5))(positions)

    for height, width in ((4, 5), (2, 3)):
        image = random_values(2, height * width, 3)
        expected = make_filter(image, method="local", grid=(height, width), window=(3, 5))(image)
        assert_close(function(image.reshape(2, height, width, 3)), expected, FLOAT32)


@pytest.mark.parametrize(
    ("grid", "window", "message"),
    [
        (None, 3, "Expected `grid`.*grid=None"),
        ((4, 4), 3, r"grid=\(4, 4\), N=20"),
        ((), 3, r"grid=\(\), N=20"),
        ((4, 5), 4, "odd.*window=4"),
        ((4, 5), 0, "odd.*window=0"),
        ((4, 5), (3, 3, 3), r"2 of them.*window=\(3, 3, 3\)"),
    ],
)
def test_errors_name_what_was_received(grid, window, message):
    with pytest.raises(ValueError, match=message):
        make_filter(random_positions(1, 20, 2), method="local", grid=grid, window=window)
