"""What networks give, refined in tiles: bytes, halves, logits, fewer points."""

import numpy as np
import pytest

from crfrnn.offline.unaries import probs_from_logits
from crfrnn.offline.upsampling import upsample
from tests.tolerances import EXACT, FLOAT32, assert_close

da = pytest.importorskip("dask.array")

from crfrnn import large  # noqa: E402

RNG = np.random.default_rng(4)
GRID = (42, 60)
CRF = dict(theta_alpha=4.0, theta_beta=30.0, theta_gamma=1.5, bilateral_weight=4.0)
CRF |= dict(spatial_weight=2.0, num_iterations=2)
IMAGE = RNG.uniform(0, 255, (*GRID, 2))


def refined(probs, chunks=(11, 13, 2), **options):
    probs = da.from_array(probs, chunks=chunks)
    return large.refine(da.from_array(IMAGE), probs, **CRF, tile=25, **options).compute()


def test_bytes_are_shares_of_255():
    shares = RNG.dirichlet(np.ones(3), GRID)
    given = np.round(255 * shares).astype(np.uint8)
    total = given.astype(float).sum(-1, keepdims=True)
    assert len(np.unique(total)) > 1  # rounding
    assert_close(refined(given), refined((given / total).astype(np.float32)), FLOAT32)


def test_bytes_that_are_no_probabilities_are_refused():
    given = RNG.integers(0, 255, (*GRID, 3)).astype(np.uint8)
    with pytest.raises(ValueError, match="sum to 1"):
        refined(given)


def test_halves_are_taken_as_they_are():
    given = RNG.dirichlet(np.ones(3), GRID).astype(np.float16)
    assert_close(refined(given), refined(given.astype(np.float32)), FLOAT32)


@pytest.mark.parametrize("stride", [(1, 1), (2, 4), (3, 1), (7, 5)])
@pytest.mark.parametrize("from_logits", [False, True])
def test_fewer_points_are_interpolated_without_regard_to_chunks(stride, from_logits):
    small = tuple(n // s for n, s in zip(GRID, stride, strict=True))
    given = RNG.normal(0, 2, (*small, 3)) if from_logits else RNG.dirichlet(np.ones(3), small)
    given = given.astype(np.float32)
    whole = upsample(given, GRID)
    expected = refined(probs_from_logits(whole) if from_logits else whole)
    found = refined(given, from_logits=from_logits)
    assert_close(found, expected, FLOAT32)
    for chunks in ((1, 7, 1), (20, 3, 3)):
        assert_close(refined(given, chunks, from_logits=from_logits), found, EXACT)


def test_other_proportions_are_refused():
    with pytest.raises(ValueError, match="of the same S"):
        refined(RNG.dirichlet(np.ones(3), (20, 30)))
