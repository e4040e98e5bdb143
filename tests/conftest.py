"""Settings of every test run.

KERAS_BACKEND=tensorflow|jax|torch picks the backend (default tensorflow). CRFRNN_REQUIRE_NATIVE=1
makes a missing native library a failure instead of a skip; CI sets it.
"""

import importlib.metadata
import os
from pathlib import Path

import pytest

# Before anything imports Keras or TensorFlow.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parents[1]
# JAX compiles every function for every shape, be it to draw three random weights: most of a test's
# time. So it compiles carelessly (of GCN's tests 37 s become 8 s) and once for all processes, those
# that tests start included (1 s).
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / "build" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
if os.environ["KERAS_BACKEND"] == "jax":
    # The older way to make loops compiles in two thirds of the time. A flag that a version does
    # not know ends the process.
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
    from tests import jax_draws

    jax_draws.install()

# What needs no Keras when it is imported: the same on every backend, so run on the first one only.
# A single test elsewhere says so itself: @pytest.mark.once. tests/test_once.py holds the promise.
ONCE = (
    *("benchmarks", "data"),
    *(f"crfrnn/{room}" for room in ("cli", "diagnosis", "files", "large", "native", "offline")),
    *(f"crfrnn/{room}" for room in ("parameters", "pydensecrf")),
    *("tests/benchmarks", "tests/cli", "tests/data", "tests/diagnosis", "tests/files"),
    *(f"tests/native/test_{name}.py" for name in ("headers", "interrupts", "native", "threads")),
    *("tests/large", "tests/offline", "tests/parameters", "tests/pydensecrf"),
    *(f"tests/experiments/{room}" for room in ("report", "rows", "studies")),
    *(f"tests/experiments/score/test_{name}.py" for name in ("metrics", "mixture", "stats")),
    "tests/experiments/train/test_inputs.py",
    *(
        f"tests/experiments/test_{name}.py"
        for name in (
            "config",
            "conventions",
            "killed",
            "progress",
            "quiet",
            "results_page",
            "runs",
            "table",
        )
    ),
    *(
        f"tests/test_{name}.py"
        for name in (
            "conversion",
            "floors",
            "notebooks",
            "once",
            "package",
            "public_names",
            "sizes",
        )
    ),
)

_states = {}  # of each RNG of a module, as it was when the modules had been imported


def pytest_collection_modifyitems(items):
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        return
    skip = pytest.mark.skip(reason="needs no Keras: run on TensorFlow only")
    for item in items:
        if item.get_closest_marker("once") or runs_once(item.path):
            item.add_marker(skip)


def runs_once(path):
    """Whether the tests of a file are run on one backend only."""
    place = path.relative_to(ROOT)
    return any(place.is_relative_to(once) for once in ONCE)


@pytest.fixture(autouse=True)
def _the_module_s_numbers_from_the_start(request):
    """A module's RNG starts anew in each test: what a test draws depends on no other test.

    The process of a parallel run decides which tests precede; a near tie or a clipped value would
    otherwise come and go with it.
    """
    rng = getattr(request.module, "RNG", None)
    if rng is not None:
        state = _states.setdefault(id(rng), rng.bit_generator.state)
        rng.bit_generator.state = state


@pytest.fixture(params=[True, False], ids=["native", "without"])
def with_native(request, monkeypatch):
    """Whether the C++ lattice is used: a test that asks for it runs with and without."""
    from crfrnn.filtering import native
    from crfrnn.offline.kernels import spatial_of_grid
    from tests.native.required import require

    if request.param:
        require()
    else:
        monkeypatch.setattr(native, "loading_error", lambda: "turned off")
    spatial_of_grid.cache_clear()
    yield request.param
    spatial_of_grid.cache_clear()
