"""Memory of a process that calls the native library ten thousand times."""

import pytest

from tests import growth
from tests.native.required import require

require()

CALLS = """
import contextlib, warnings
import numpy as np
from crfrnn import DenseCRF, gaussian_filter, refine

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
shape = (6, 8)
image = rng.uniform(0, 255, (*shape, 3)).astype(np.float32)
probs = rng.dirichlet((1.0, 1.0, 1.0), shape)
points = rng.normal(0, 3, (48, 5)).astype(np.float32)
unfinished = np.where(np.arange(5) == 4, np.nan, points)
thetas = dict(theta_alpha=9.0, theta_beta=20.0, theta_gamma=2.0)
weights = dict(bilateral_weight=3.0, spatial_weight=1.0)

def stepwise(energies):
    crf = DenseCRF(image, 3, **thetas, **weights)
    crf.set_unary(energies)
    crf.step(2)

def fails(call):
    with contextlib.suppress(ValueError):
        call()
        raise AssertionError("an error was expected")

def once():
    refine(image, probs, **thetas, **weights)
    gaussian_filter(probs.reshape(-1, 3), points, native=True)
    stepwise(-np.log(probs))
    fails(lambda: refine(image, probs, **{**thetas, "theta_alpha": 1e-9}, **weights))
    fails(lambda: gaussian_filter(probs.reshape(-1, 3), unfinished, native=True))
    fails(lambda: stepwise(probs[:-1]))
"""


@pytest.mark.nightly
def test_ten_thousand_calls_do_not_grow():
    # Measured after 1,000 and 2,000 rounds: 80 KiB. A lattice of this size has 3 KiB, so that 30
    # MiB would be lost if each were.
    growth.check(CALLS, 10_000, 4 * 2**20)
