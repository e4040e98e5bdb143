"""`pydensecrf.eigen`: where pydensecrf has Eigen's matrices, here are NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


def vectorXf(arr: Any) -> np.ndarray:
    """A copy of a float32 vector.

    Raises:
        TypeError: no array. ValueError: another dtype, not 1-D, not contiguous.

    Example:

    >>> vectorXf(np.array([1, 2], np.float32))
    array([1., 2.], dtype=float32)
    """
    return buffer("arr", arr, np.float32, 1).copy()


def matrixXf(arr: Any) -> np.ndarray:
    """A column-major copy of a C-contiguous float32 matrix.

    Raises:
        TypeError: no array. ValueError: another dtype, not 2-D, not C-contiguous.
    """
    return buffer("arr", arr, np.float32, 2).copy(order="F")


def VectorXf() -> np.ndarray:
    """An empty vector."""
    return np.empty(0, np.float32)


def MatrixXf() -> np.ndarray:
    """An empty matrix, good enough for the unused arguments of `DenseCRF.stepInference`."""
    return np.empty((0, 0), np.float32)


def buffer(name: str, value: Any, dtype: type[np.generic], ndim: int) -> np.ndarray:
    """`value` as an array without a copy, if pydensecrf takes it as the argument `name`.

    Raises:
        TypeError: no array and no buffer.
        ValueError: not exactly this dtype and number of axes, or not C-contiguous.
    """
    wanted = np.dtype(dtype)
    try:
        array = np.asarray(value if isinstance(value, np.ndarray) else memoryview(value))
    except TypeError:
        raise TypeError(
            f"Expected `{name}` to be a {ndim}-D NumPy array of {wanted}. Received "
            f"{type(value).__name__}. Use np.array({name}, np.{wanted})."
        ) from None
    if array.dtype != wanted:
        raise ValueError(
            f"Buffer dtype mismatch, expected `{name}` to be {wanted} but got {array.dtype}. "
            f"Use {name}.astype(np.{wanted})."
        )
    if array.ndim != ndim:
        raise ValueError(
            f"Buffer has wrong number of dimensions, expected `{name}` to have {ndim}, got shape "
            f"{array.shape}. Energies and features are flat: {name}.reshape((len({name}), -1))."
            if ndim == 2
            else f"Buffer has wrong number of dimensions, expected `{name}` to have {ndim}, got "
            f"shape {array.shape}."
        )
    if not array.flags.c_contiguous:
        raise ValueError(
            f"ndarray is not C-contiguous: expected `{name}` in C order. "
            f"Use np.ascontiguousarray({name})."
        )
    return array
