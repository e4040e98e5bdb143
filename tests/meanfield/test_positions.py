"""Positions of points, against numbers worked out by hand."""

import numpy as np
import pytest

from crfrnn.meanfield.mean_field import mean_field
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions
from tests import backend
from tests.tolerances import EXACT, FLOAT32, assert_close


def test_plane_has_x_first():
    # 2 rows 3 mm apart, 3 columns 0.5 mm apart; bandwidth 6 mm from row to row, else 2 mm.
    positions = spatial_positions((2, 3), theta=(6.0, 2.0), spacing=(3.0, 0.5))
    x, y = [0.0, 0.25, 0.5], [0.0, 0.5]
    expected = [[[x[column], y[row]] for row in range(2) for column in range(3)]]
    assert positions.dtype == np.float32
    assert_close(positions, expected, FLOAT32)


def test_volume_has_the_last_axis_first():
    positions = spatial_positions((2, 3, 4), theta=2.0, spacing=(10.0, 1.0, 0.1))
    expected = [
        [[0.05 * x, 0.5 * y, 5.0 * z] for z in range(2) for y in range(3) for x in range(4)]
    ]
    assert_close(positions, expected, FLOAT32)


def test_points_without_a_grid_lie_on_a_line():
    assert_close(spatial_positions((4,), theta=2.0), [[[0.0], [0.5], [1.0], [1.5]]], EXACT)


def test_intensities_follow_the_coordinates():
    image = np.zeros((2, 1, 2, 3), "uint8")  # B = 2, H = 1, W = 2, K = 3
    image[0, 0, 1] = [10, 20, 30]
    image[1, 0, 0] = [250, 0, 1]
    positions = bilateral_positions(image, theta_alpha=(5.0, 4.0), theta_beta=(10.0, 5.0, 2.0))
    expected = [
        [[0, 0, 0, 0, 0], [0.25, 0, 1, 4, 15]],
        [[0, 0, 25, 0, 0.5], [0.25, 0, 0, 0, 0]],
    ]
    assert_close(positions, expected, FLOAT32)


def test_tensors_give_the_same_numbers():
    image = np.random.default_rng(0).uniform(0, 255, (2, 3, 5, 4, 2)).astype("float32")
    arguments = dict(theta_alpha=(3.0, 5.0, 2.0), theta_beta=(20.0, 30.0), spacing=(2.0, 1.0, 0.5))
    expected = bilateral_positions(image, **arguments)
    found = bilateral_positions(backend.tensor(image), **arguments)
    assert_close(backend.array(found), expected, FLOAT32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"theta_alpha": (1.0, 2.0, 3.0)}, "one number per axis of the grid"),
        ({"theta_beta": (1.0, 2.0)}, "one number per channel"),
        ({"spacing": (1.0,)}, "`spacing` to be one number or one number per axis"),
    ],
)
def test_wrong_number_of_numbers(arguments, message):
    crf = dict.fromkeys(("theta_alpha", "theta_beta", "theta_gamma", "bilateral_weight"), 1.0)
    crf |= {"spatial_weight": 1.0, "num_iterations": 1, **arguments}
    with pytest.raises(ValueError, match=message):
        mean_field(np.zeros((1, 2, 3, 2)), np.zeros((1, 2, 3, 1)), **crf)
