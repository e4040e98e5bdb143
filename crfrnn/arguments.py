"""Arguments of layers and losses: checked, and in the plain types that a configuration stores."""

from typing import Any

import numpy as np


def positive(name: str, value: Any) -> Any:
    """A positive number or a list of them, as float or list of floats."""
    array = np.asarray(value, "float64")
    if array.ndim > 1 or not np.all(array > 0) or not np.all(np.isfinite(array)):
        raise ValueError(
            f"Expected `{name}` to be a positive number or a list of them. Received {value!r}."
        )
    return array.tolist()


def choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """One of the strings in `choices`."""
    if value not in choices:
        raise ValueError(f"Expected `{name}` to be one of {choices}. Received {value!r}.")
    return value


def window(value: Any) -> Any:
    """The window of `method="local"`: an odd number or a list of them."""
    array = np.asarray(value)
    if array.ndim > 1 or array.dtype.kind not in "iu" or not np.all((array > 0) & (array % 2 == 1)):
        raise ValueError(
            "Expected `window` to be an odd number of points, or one per axis of the grid: it "
            f"has a centre. Received {value!r}."
        )
    return array.tolist()
