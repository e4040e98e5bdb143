"""Settings of every test run.

KERAS_BACKEND=tensorflow|jax|torch picks the backend (default tensorflow). CRFRNN_REQUIRE_NATIVE=1
makes a missing native library a failure instead of a skip; CI sets it.
"""

import os

import pytest

# Before anything imports Keras or TensorFlow.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_states = {}  # of each module's RNG, as it was when the module had been imported


@pytest.fixture(autouse=True)
def _the_module_s_numbers_from_the_start(request):
    """A module's RNG starts anew in each test: what a test draws depends on no other test.

    The process of a parallel run decides which tests precede; a near tie or a clipped value would
    otherwise come and go with it.
    """
    rng = getattr(request.module, "RNG", None)
    if rng is not None:
        state = _states.setdefault(request.module.__name__, rng.bit_generator.state)
        rng.bit_generator.state = state
