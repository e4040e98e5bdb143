"""The kernels of an image's CRF: the spatial one is kept for the next image of the same size."""

import numpy as np
import pytest

from crfrnn import DenseCRF
from crfrnn.offline import kernels
from tests.tolerances import FLOAT32, assert_close

CRF = dict(
    theta_alpha=3.0, theta_beta=0.3, theta_gamma=1.5, bilateral_weight=4.0, spatial_weight=2.0
)
RNG = np.random.default_rng(0)


def spatial(grid, **changed):
    """The spatial filter of an image of noise."""
    image = RNG.uniform(0, 1, (*grid, 2))
    return DenseCRF(image, 3, **{**CRF, **changed}).kernels["spatial"].filter


def test_the_spatial_kernel_is_kept_for_the_next_image_of_its_size():
    first = spatial((7, 9))
    assert spatial((7, 9)) is first
    assert spatial((7, 9), theta_gamma=(1.5, 1.5), spacing=1) is first
    assert spatial((7, 9), theta_beta=0.5, spatial_weight=np.array([1.0, 2, 3])) is first


@pytest.mark.parametrize(
    "changed",
    [
        dict(theta_gamma=2.5),
        dict(theta_gamma=(1.5, 2.5)),
        dict(spacing=(1.0, 2.0)),
        dict(normalization="before"),
        dict(method="exact"),
        dict(mask=np.arange(63).reshape(7, 9) % 5 > 0),
        dict(grid=(9, 7)),
    ],
    ids=str,
)
def test_another_kernel_takes_no_place_of_one_that_was_kept(changed):
    """What comes after one of the same size is what comes first."""
    changed = dict(changed)  # the parameters are those of every run
    grid = changed.pop("grid", (7, 9))
    values = np.random.default_rng(1).normal(0, 1, (1, 63, 3)).astype(np.float32)
    if "mask" in changed:
        values = values[:, changed["mask"].ravel()]
    kernels.spatial_of_grid.cache_clear()
    first = spatial(grid, **changed)(values)
    kernels.spatial_of_grid.cache_clear()
    kept = spatial((7, 9))
    found = spatial(grid, **changed)
    assert found is not kept
    np.testing.assert_array_equal(found(values), first)


def test_large_grids_are_not_kept(monkeypatch):
    monkeypatch.setattr(kernels, "_MOST_POINTS_KEPT", 62)
    first = spatial((7, 9))
    assert spatial((7, 9)) is not first


@pytest.mark.parametrize("normalization", ["after", "before", "symmetric", "none"])
def test_largest_row_sum(normalization):
    points = spatial((7, 9), normalization=normalization)
    sums = points(np.ones((1, 63, 1), np.float32))
    assert_close(points.largest_row_sum, sums.max(), FLOAT32)
