"""Arguments as pydensecrf takes them, and what it says of those it does not take."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np

from crfrnn.pydensecrf.eigen import buffer


def whole(name: str, value: Any) -> int:
    if not isinstance(value, Number) or isinstance(value, complex):
        raise TypeError(f"an integer is required: `{name}`. Received {value!r}.")
    return int(value)  # type: ignore[call-overload]


def count(name: str, value: Any) -> int:
    number = whole(name, value)
    if number < 1:
        raise ValueError(f"Expected `{name}` to be 1 or more. Received {value!r}.")
    return number


def bandwidths(name: str, value: Any, size: int) -> tuple[float, ...]:
    """A number for all, or one of each."""
    if isinstance(value, Number):
        return (value,) * size  # type: ignore[return-value]
    if np.shape(value) != (size,):
        raise ValueError(
            f"Expected `{name}` to be one number or {size} of them. Received {name}={value!r}."
        )
    return tuple(value)


def compatibility(compat: Any, labels: int) -> tuple[Any, Any]:
    """Weight and compatibility as `pairwise_kernel` takes them."""
    if isinstance(compat, Number):
        _check_finite(compat)
        return compat, "potts"
    ndim = np.ndim(compat) if isinstance(compat, np.ndarray) else 2
    if ndim not in (1, 2):
        raise ValueError(
            "LabelCompatibility of dimension >2 not meaningful. Expected `compat` to be a number, "
            f"({labels},) or ({labels}, {labels}). Received an array of shape {compat.shape}."
        )
    matrix = buffer("compat", compat, np.float32, ndim)
    if matrix.shape != (labels,) * ndim:
        raise ValueError(
            f"Expected `compat` to be a number, ({labels},) or ({labels}, {labels}) for {labels} "
            f"labels. Received shape {matrix.shape}."
        )
    _check_finite(matrix)
    # "potts" attracts equal labels by the weight; pydensecrf's diagonal is added to the energy.
    return (-matrix, "potts") if ndim == 1 else (1.0, 0.5 * (matrix + matrix.T))


def _check_finite(compat: Any) -> None:
    if not np.isfinite(compat).all():
        raise ValueError(f"Expected `compat` to be finite. Received {compat!r}.")
