"""The lattice's kernel is zero beyond its reach, and reaches nearly that far."""

import numpy as np
import pytest

from crfrnn.filtering import make_filter
from crfrnn.filtering.reach import reach, reach_in_points
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions
from tests.tolerances import FLOAT32

RNG = np.random.default_rng(0)
NOISE = RNG.uniform(0, 255, (121, 131, 3))
CASES = [
    # Grid, image (K channels or none), theta per axis, spacing.
    ((151, 141), None, (14.0, 11.0), None),
    ((151, 141), None, (14.0, 11.0), (1.0, 0.7)),
    ((121, 131), np.zeros((121, 131, 3)), (11.0, 9.0), None),
    ((121, 131), NOISE, (11.0, 9.0), None),
    ((121, 131), NOISE[..., :1], (9.0, 11.0), (0.8, 1.0)),
    ((43, 47, 61), None, (4.0, 5.0, 6.0), (0.9, 1.0, 1.1)),
    ((43, 47, 45), NOISE[:43, :47, :1, None] * np.ones((43, 47, 45, 1)), (4.0, 5.0, 4.0), None),
]


def positions(grid, image, theta, spacing):
    if image is None:
        return spatial_positions(grid, np.array(theta), spacing)
    return bilateral_positions(image[None], np.array(theta), 60.0, spacing)


def furthest(grid, image, theta, spacing):
    """The largest distance along each axis, in bandwidths, at which an impulse is felt."""
    filter_ = make_filter(positions(grid, image, theta, spacing), normalization="none")
    found = np.zeros(len(grid))
    for shift in RNG.integers(-3, 4, (8, len(grid))):
        middle = np.array(grid) // 2 + shift
        impulse = np.zeros((*grid, 1), np.float32)
        impulse[tuple(middle)] = 1
        felt = np.argwhere(filter_(impulse.reshape(1, -1, 1)).reshape(grid))
        steps = np.ones(len(grid)) if spacing is None else np.array(spacing)
        found = np.maximum(found, np.abs(felt - middle).max(0) * steps / np.array(theta))
    return found


@pytest.mark.parametrize(("grid", "image", "theta", "spacing"), CASES)
def test_no_impulse_is_felt_beyond(grid, image, theta, spacing):
    found = furthest(grid, image, theta, spacing)
    assert (found <= reach(len(grid))).all()
    # The bound is a bound of all positions; constant and noisy images come within a fifth of it.
    assert (found > 0.8 * np.array(reach(len(grid)))).all()


@pytest.mark.parametrize(("grid", "image", "theta", "spacing"), CASES)
def test_points_beyond_matter_in_no_way(grid, image, theta, spacing):
    """Not by their values, and not by the vertices that they lend the lattice."""
    around = reach_in_points(theta, spacing, len(grid))
    middle = tuple(size // 2 for size in grid)
    part = tuple(slice(max(m - a, 0), m + a + 1) for m, a in zip(middle, around, strict=True))
    values = RNG.normal(size=(*grid, 2)).astype(np.float32)
    points = positions(grid, image, theta, spacing)
    whole = make_filter(points, normalization="none")(values.reshape(1, -1, 2))
    near = points.reshape(*grid, -1)[part]
    alone = make_filter(near.reshape(1, -1, near.shape[-1]), normalization="none")(
        values[part].reshape(1, -1, 2)
    )
    here = tuple(m - p.start for m, p in zip(middle, part, strict=True))
    expected = whole.reshape(*grid, 2)[middle]
    # The sums are the same but in another order: float32.
    found = alone.reshape(*near.shape[:-1], 2)[here]
    assert np.abs(found - expected).max() < FLOAT32 * np.abs(whole).max()
