"""The kinds of kernels and of their normalisation, named as in pydensecrf."""

from __future__ import annotations

from enum import IntEnum


class KernelType(IntEnum):
    """Which parameters of a kernel could be learned; without learning all are the same."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


class NormalizationType(IntEnum):
    """How a kernel is normalised; see `crfrnn.filtering.NormalizedFilter`.

    NO_NORMALIZATION has no normalisation at all, not even by the mean of the norm, as the name of
    a variable in pydensecrf's source would suggest: it computes that mean and does not use it.
    """

    NO_NORMALIZATION = 0
    NORMALIZE_BEFORE = 1
    NORMALIZE_AFTER = 2
    NORMALIZE_SYMMETRIC = 3


# As `crfrnn.filtering` calls them.
NAMES = {
    NormalizationType.NO_NORMALIZATION: "none",
    NormalizationType.NORMALIZE_BEFORE: "before",
    NormalizationType.NORMALIZE_AFTER: "after",
    NormalizationType.NORMALIZE_SYMMETRIC: "symmetric",
}
