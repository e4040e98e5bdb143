"""The filter methods under test: how to create each, and the matrix it must equal."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from crfrnn.filtering import ExactFilter, LatticeFilter, LocalFilter, native
from tests import backend
from tests.filtering.references import gaussian_matrix, lattice_matrix, window_matrix

GRID = (5, 4)  # H != W
WINDOW = (5, 3)
POINTS = GRID[0] * GRID[1]


@dataclass(frozen=True)
class Method:
    """One implementation of the filter, and the dense truth."""

    create: (
        Callable  # positions (B, N, F) -> operator; N points of a line when N is not that of GRID
    )
    matrix: Callable  # positions (N, F) of one image -> (N, N) float64
    arguments: dict  # of make_filter


def _local_window(points):
    return (GRID, WINDOW) if points == POINTS else ((points,), (WINDOW[0],))


METHODS = {
    "exact": Method(ExactFilter, gaussian_matrix, {"method": "exact"}),
    "local": Method(
        lambda positions: LocalFilter(positions, *_local_window(positions.shape[1])),
        lambda p: gaussian_matrix(p) * window_matrix(*_local_window(len(p))),
        {"method": "local", "grid": GRID, "window": WINDOW},
    ),
    "lattice": Method(LatticeFilter, lattice_matrix, {"method": "lattice", "native": False}),
    "native": Method(
        native.NativeLatticeFilter, lattice_matrix, {"method": "lattice", "native": True}
    ),
}

# Where CRFRNN_REQUIRE_NATIVE=1 the native method is tested in any case, and fails when it is
# absent.
needs_native = pytest.mark.skipif(
    not native.available() and os.environ.get("CRFRNN_REQUIRE_NATIVE") != "1",
    reason="the native library was not built",
)
ALL = [pytest.param(name, marks=needs_native if name == "native" else ()) for name in METHODS]
LATTICES = ALL[2:]
SPACES = ["numpy", "backend"]  # which arrays are filtered


def convert(array, space):
    return array if space == "numpy" else backend.tensor(array)


def random_positions(batch, points, features, seed=0):
    """Different points for each image, of unequal spread along the axes."""
    spread = np.linspace(0.5, 2.0, features)
    rng = np.random.default_rng((seed, batch, points, features))
    return (rng.normal(size=(batch, points, features)) * spread).astype(np.float32)


def random_values(batch, points, channels, seed=1):
    rng = np.random.default_rng((seed, batch, points, channels))
    return rng.normal(size=(batch, points, channels)).astype(np.float32)
