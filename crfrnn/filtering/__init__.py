"""Gaussian filters between points: positions in units of the bandwidths -> an operator on values.

In: positions (B, N, F) and values (B, N, C). Out: filtered values (B, N, C), of the same kind.
It stands on `native`, `arrays` and `checks`; any room above may import it.
"""

from crfrnn.filtering.exact import ExactFilter
from crfrnn.filtering.gaussian_filter import gaussian_filter
from crfrnn.filtering.lattice import LatticeFilter
from crfrnn.filtering.local import LocalFilter
from crfrnn.filtering.make_filter import make_filter
from crfrnn.filtering.normalized import NormalizedFilter

__all__ = [
    "ExactFilter",
    "LatticeFilter",
    "LocalFilter",
    "NormalizedFilter",
    "gaussian_filter",
    "make_filter",
]
