"""Gaussian filtering of values that live at arbitrary positions, by several methods of one
signature.

`gaussian_filter` filters once, `make_filter` builds a filter that is applied many times. The
operators without normalisation, one per file, have one interface and are tested by one contract
(tests/filtering/test_contract.py).
"""

from crfrnn.filtering.exact import ExactFilter
from crfrnn.filtering.lattice import LatticeFilter
from crfrnn.filtering.local import LocalFilter
from crfrnn.filtering.normalized import NormalizedFilter, gaussian_filter, make_filter

__all__ = [
    "ExactFilter",
    "LatticeFilter",
    "LocalFilter",
    "NormalizedFilter",
    "gaussian_filter",
    "make_filter",
]
