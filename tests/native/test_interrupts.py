"""Ctrl-C while the native library works: raised, never lost, and the next call works."""

import os
import signal
import subprocess
import sys

import pytest

from crfrnn.filtering.native import available

if not available() and not int(os.environ.get("CRFRNN_REQUIRE_NATIVE", "0")):
    pytest.skip("no native library", allow_module_level=True)

INTERRUPTED = """
import signal, sys, time
import numpy as np
from crfrnn import DenseCRF, gaussian_filter, refine

rng = np.random.default_rng(0)
image = rng.uniform(0, 255, (150, 200, 3)).astype(np.float32)
probs = rng.dirichlet((1.0, 1.0), (150, 200))
thetas = dict(theta_alpha=9.0, theta_beta=20.0, theta_gamma=2.0)
weights = dict(bilateral_weight=3.0, spatial_weight=1.0)
places = np.concatenate([np.indices((150, 200)).transpose(1, 2, 0) / 9, image / 20], -1)
points = places.reshape(-1, 5).astype(np.float32)

def stepwise():
    crf = DenseCRF(image, 2, **thetas, **weights)
    crf.set_unary(probs=probs)
    crf.step(5)
    return crf.probs()

calls = {
    "refine": lambda: refine(image, probs, **thetas, **weights),
    "gaussian_filter": lambda: gaussian_filter(probs.reshape(-1, 2), points, native=True),
    "DenseCRF": stepwise,
}
call = calls[sys.argv[1]]
expected = call()
start = time.perf_counter()
call()
duration = time.perf_counter() - start

# An alarm does what Ctrl-C does, at a moment that can be chosen.
signal.signal(signal.SIGALRM, signal.default_int_handler)
raised = 0
for moment in rng.uniform(0.05, 0.9, 20) * duration:
    try:
        signal.setitimer(signal.ITIMER_REAL, moment)
        while True:
            call()
    except KeyboardInterrupt:
        raised += 1
assert raised == 20
assert np.array_equal(call(), expected)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
@pytest.mark.parametrize("call", ["refine", "gaussian_filter", "DenseCRF"])
def test_an_interrupt_at_any_moment_is_raised(call):
    subprocess.run([sys.executable, "-c", INTERRUPTED, call], check=True, timeout=120)
