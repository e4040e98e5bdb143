"""Arrays and numbers of users: what they are, and whether they are numbers at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crfrnn.optional import of_framework

_LONG = 100  # characters of an error, beyond which nobody reads on


def shown(value: Any) -> str:
    """What was received, in a line of its own length or of ours.

    Example:

    >>> shown([1, "a"]), shown(np.zeros((400, 3)))
    ("[1, 'a']", 'ndarray of shape (400, 3): array([[0., 0., 0.], [0., 0., 0.], [0., 0., ...')
    """
    text = " ".join(repr(value).split())
    if len(text) <= _LONG:
        return text
    shape = f" of shape {np.shape(value)}" if hasattr(value, "shape") else ""
    return f"{type(value).__name__}{shape}: {text[: _LONG // 2]}..."


def plain(value: Any, kind: type = float) -> Any:
    """Numbers in the types that a configuration stores; None and strings as they are."""
    return value if value is None or isinstance(value, str) else np.asarray(value, kind).tolist()


def is_tensor(value: Any) -> bool:
    """Whether a value is the tensor of a framework, whose numbers may not be known yet."""
    return hasattr(value, "shape") and of_framework(value)


def array(name: str, value: Any) -> np.ndarray:
    """`value` as an array of real numbers; ValueError for anything else."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"Expected `{name}` without masked points. Received a masked array with "
            f"{np.ma.count_masked(value)} of them, whose values mean nothing. Pass "
            f"np.ma.getdata({name}), and as `mask` where points count."
        )
    try:
        result = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists, tensors on a GPU
        advice = f". Pass {name}.detach().cpu().float()." if hasattr(value, "detach") else ""
        raise ValueError(
            f"Expected `{name}` to be an array of numbers. Received {type(value).__name__}: "
            f"{str(error).removesuffix('.') if advice else error}{advice}"
        ) from error
    if result.dtype.kind == "V" and "float" in result.dtype.name:  # bfloat16, which NumPy has not
        result = result.astype(np.float32)
    if result.dtype.kind not in "buif":
        raise ValueError(
            f"Expected `{name}` to be an array of real numbers. Received dtype {result.dtype}."
        )
    return result


def without_tensors(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name, with NumPy arrays in the place of tensors and other array-likes."""
    return {name: array(name, v) if hasattr(v, "__array__") else v for name, v in given.items()}


def array_or_tensor(name: str, value: Any) -> Any:
    """`value` as an array or, of a framework, as it is; ValueError unless of real numbers."""
    dtype = getattr(value, "dtype", None)
    if hasattr(value, "__array__") and dtype is None:  # a table of pandas
        return array(name, value)
    if not hasattr(value, "shape") or dtype is None:
        raise ValueError(
            f"Expected `{name}` to be an array or a tensor. Received {type(value).__name__}. "
            f"Use np.asarray({name})."
        )
    if getattr(dtype, "kind", "f") in "OSUmM" or "complex" in str(dtype) or "str" in str(dtype):
        raise ValueError(f"Expected `{name}` to hold real numbers. Received dtype {dtype}.")
    return value if is_tensor(value) else array(name, value)


def no_nan(name: str, value: Any) -> None:
    """Raise ValueError unless numbers are numbers; infinite ones pass."""
    numbers = array(name, value)
    if numbers.dtype.kind == "f" and np.isnan(numbers).any():
        raise ValueError(f"Expected `{name}` without NaN. Received {np.isnan(numbers).sum()} NaN.")


def finite(name: str, value: Any, words: str = "") -> np.ndarray:
    """A number or an array of them that is finite, also as float32."""
    if words and (value is None or isinstance(value, str)):
        raise ValueError(f"Expected `{name}` to be {words}. Received {shown(value)}.")
    numbers = array(name, value)
    with np.errstate(over="ignore"):
        finite = np.isfinite(numbers.astype(np.float32)).all()
    if not finite:
        raise ValueError(f"Expected `{name}` to be finite. Received {shown(value)}.")
    return numbers
