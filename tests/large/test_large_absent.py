"""Labels that are nowhere, left out over all of an image in tiles as in one in memory."""

import numpy as np
import pytest

import crfrnn
from tests.tolerances import EXACT, FLOAT32, assert_close

da = pytest.importorskip("dask.array")

from crfrnn import large  # noqa: E402

RNG = np.random.default_rng(6)
GRID = (44, 57)
CRF = dict(theta_alpha=4.0, theta_beta=40.0, theta_gamma=1.5, bilateral_weight=4.0)
CRF |= dict(spatial_weight=np.array([2.0, 1.0, 3.0, 2.5]), num_iterations=3)
IMAGE = RNG.uniform(0, 255, (*GRID, 2))


def case():
    """Four labels: 1 is rare everywhere, 3 but in one corner, so that most tiles do not know it."""
    rare = RNG.uniform(0, 5e-4, (*GRID, 2))
    rare[-8:, -9:, 1] = 0.6
    one = RNG.uniform(0.2, 0.8, GRID)
    rest = 1 - rare.sum(-1)
    return np.stack([one * rest, rare[..., 0], (1 - one) * rest, rare[..., 1]], -1)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("normalization", ["symmetric", "after"])
def test_tiles_leave_out_what_the_whole_leaves_out(normalization, masked):
    probs = case()
    mask = np.arange(np.prod(GRID)).reshape(GRID) % 11 > 0 if masked else None
    crf = CRF | dict(normalization=normalization, mask=mask, ignore_below=1e-3)
    expected = crfrnn.refine(IMAGE, probs, **crf)
    found = large.refine(IMAGE, da.from_array(probs, chunks=(20, 30, 2)), **crf, tile=19)
    assert_close(found.compute(), expected, FLOAT32)
    # What is left out keeps what it had.
    assert_close(expected[..., 1], probs[..., 1].astype(np.float32), FLOAT32)
    all_labels = large.refine(IMAGE, probs, **crf | dict(ignore_below=0.0), tile=19).compute()
    assert (all_labels[..., 1] != expected[..., 1]).any()
    other = large.refine(IMAGE, probs, **crf, tile=(30, 25), passes=3)
    assert_close(other.compute(), found.compute(), EXACT)


def test_without_a_bound_it_is_refused():
    with pytest.raises(ValueError, match="Leave `ignore_below` out"):
        crf = CRF | dict(compatibility=1 - np.eye(4))
        large.refine(IMAGE, case(), **crf, ignore_below=1e-3)
