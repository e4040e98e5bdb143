"""What an argument may be, and the message when it is not."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from crfrnn.checks.values import finite, is_tensor, shown

# How many numbers an argument may have, in the letters of the package: axes of the grid S,
# channels K, labels L. A size that is not known, or not known yet, is left out.
Sizes = Mapping[str, int | None]
_LETTERS = {"axis of the grid": "S", "channel": "K"}


class Constraint(Protocol):
    """What an argument may be."""

    def check(self, name: str, value: Any, sizes: Sizes) -> None:
        """Raises ValueError unless `value` may be given for the argument `name`."""

    def bad(self) -> list[Any]:
        """Values that must be refused, whatever the sizes."""


@dataclass(frozen=True)
class Whole:
    """A whole number, `least` or more, `most` or less; None: any. `optional`: or None."""

    least: int | None
    most: int | None = None
    optional: bool = False

    def check(self, name: str, value: Any, sizes: Sizes) -> None:
        if value is None and self.optional:
            return
        bounds = "" if self.least is None else f", {self.least} or more"
        with contextlib.suppress(TypeError):
            number = operator.index(value)
            if self.most is not None and number > self.most:
                bounds = f" {self.least}..{self.most}"
            elif self.least is None or number >= self.least:
                return
        raise ValueError(
            f"Expected `{name}` to be a whole number{bounds}. Received {shown(value)}."
        )

    def bad(self) -> list[Any]:
        beyond = [] if self.most is None else [self.most + 1]
        below = [] if self.least is None else [self.least - 1]
        none = [] if self.optional else [None]
        return [*below, *beyond, *none, (self.least or 0) + 0.5, "3", [3, 4]]


@dataclass(frozen=True)
class Reals:
    """Finite numbers: one, or one `per` axis of the grid or channel.

    above, least, most: bounds, the first not included. optional: None may stand in their place.
    Tensors are held to their shape only: their numbers may not be known yet.
    """

    above: float | None = None
    least: float | None = None
    most: float | None = None
    per: str | None = None
    optional: bool = False

    def check(self, name: str, value: Any, sizes: Sizes) -> None:
        if value is None and self.optional:
            return
        if is_tensor(value):
            shape = tuple(value.shape)
        else:
            numbers = finite(name, value, self._words)
            shape = numbers.shape
            good = True if self.above is None else np.all(numbers > self.above)
            good = good and (self.least is None or np.all(numbers >= self.least))
            if not good or (self.most is not None and not np.all(numbers <= self.most)):
                raise ValueError(f"Expected `{name}` to be {self._words}. Received {shown(value)}.")
        if self.per is None:
            if shape:
                raise ValueError(f"Expected `{name}` to be one number. Received {shown(value)}.")
            return
        size = sizes.get(_LETTERS[self.per])
        if len(shape) > 1 or (shape and size is not None and shape != (size,)):
            counted = "" if size is None else f" ({size})"
            raise ValueError(
                f"Expected `{name}` to be one number or one number per {self.per}{counted}. "
                f"Received {name} of shape {shape}. Pass a single number to use it for every "
                f"{self.per}."
            )

    @property
    def _words(self) -> str:
        most = "" if self.most is None else f", at most {self.most:g}"
        if self.above is None and self.least is None:
            return f"real numbers{most}" if self.per else f"a real number{most}"
        if self.above == 0:
            return f"positive numbers{most}" if self.per else f"a positive number{most}"
        bound = f"above {self.above:g}" if self.least is None else f"{self.least:g} or more"
        return f"numbers, {bound}{most}" if self.per else f"a number, {bound}{most}"

    def bad(self) -> list[Any]:
        beyond = [] if self.above is None else [self.above]
        beyond += [] if self.least is None else [self.least - 1.0]
        beyond += [] if self.most is None else [self.most + 1.0]
        none = [] if self.optional else [None]
        return [*beyond, *none, "1", float("nan"), float("inf"), 1j, np.ones((2, 2, 2, 2))]


@dataclass(frozen=True)
class LabelWeights:
    """What multiplies the labels' messages: a number, one per label, or a matrix.

    matrix: only the matrix, or "potts" in its place (a compatibility).
    """

    matrix: bool = False
    optional: bool = False

    def check(self, name: str, value: Any, sizes: Sizes) -> None:
        if value is None and self.optional:
            return
        if isinstance(value, str) and self.matrix:
            if value == "potts":
                return
            raise ValueError(
                f'Expected `{name}` to be "potts" or an (L, L) array. Received {shown(value)}.'
            )
        shape = tuple(value.shape) if is_tensor(value) else finite(name, value).shape
        labels = sizes.get("L")
        if labels is None:
            if self.matrix and (len(shape) != 2 or shape[0] != shape[1]):
                raise ValueError(
                    f'Expected `{name}` to be "potts" or a square (L, L) array. '
                    f"Received shape {shape}."
                )
        elif self.matrix and shape != (labels, labels):
            raise ValueError(
                f"Expected `{name}` of shape ({labels}, {labels}) for {labels} labels (a single "
                f"sigmoid channel counts as two). Received shape {shape}."
            )
        elif shape not in ((), (labels,), (labels, labels)):
            raise ValueError(
                f"Expected kernel weights `{name}`: a number, ({labels},) or ({labels}, {labels}) "
                f"for {labels} labels. Received weights of shape {shape}."
            )

    def bad(self) -> list[Any]:
        none = [] if self.optional else [None]
        return [*none, "1", float("nan"), float("inf"), 1j, np.ones((3, 4, 5))]


@dataclass(frozen=True)
class Choice:
    """One of some names."""

    names: tuple[str, ...]

    def check(self, name: str, value: Any, sizes: Sizes) -> None:
        if not isinstance(value, str) or value not in self.names:
            raise ValueError(
                f"Expected `{name}` to be one of {', '.join(map(repr, self.names))}. "
                f"Received {name}={shown(value)}."
            )

    def bad(self) -> list[Any]:
        return ["", self.names[0].upper(), None, 1, list(self.names)]


@dataclass(frozen=True)
class Listed:
    """A list with something `of` each case, or an array of as many; `optional`: or None."""

    of: str
    optional: bool = False

    def check(self, name: str, value: Any, sizes: Sizes) -> None:
        if value is None and self.optional:
            return
        try:
            counted = not isinstance(value, str | bytes | Mapping | Set) and len(value) >= 0
        except TypeError:  # of numbers, generators, arrays without axes
            counted = False
        if not counted:
            raise ValueError(
                f"Expected `{name}` to be a list of {self.of}. Received {shown(value)}."
            )

    def bad(self) -> list[Any]:
        none = [] if self.optional else [None]
        return [*none, "ab", 3, 2.5, {}, np.array(3.0), iter([])]


@dataclass(frozen=True)
class Named:
    """A dictionary with strings as keys; `optional`: or None."""

    of: str
    optional: bool = False

    def check(self, name: str, value: Any, sizes: Sizes) -> None:
        if value is None and self.optional:
            return
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ValueError(
                f"Expected `{name}` to be a dictionary of {self.of}. Received {shown(value)}."
            )

    def bad(self) -> list[Any]:
        return [3, "theta_beta", ["theta_beta"], {3: 4}, *([] if self.optional else [None])]


@dataclass(frozen=True)
class Flag:
    """True or False; `optional`: or None."""

    optional: bool = False

    def check(self, name: str, value: Any, sizes: Sizes) -> None:
        if not (isinstance(value, bool | np.bool_) or (value is None and self.optional)):
            raise ValueError(
                f"Expected `{name}` to be True{',' if self.optional else ' or'} False"
                f"{' or None' * self.optional}. Received {shown(value)}."
            )

    def bad(self) -> list[Any]:
        return ["no", 2, *([] if self.optional else [None])]


@dataclass(frozen=True)
class Odd:
    """Width of a window: an odd number of points, or one per axis of the grid."""

    def check(self, name: str, value: Any, sizes: Sizes) -> None:
        numbers, axes = np.asarray(value), sizes.get("S")
        fits = not numbers.ndim or (numbers.ndim == 1 and axes in (None, len(numbers)))
        odd = numbers.dtype.kind in "iu" and np.all((numbers > 0) & (numbers % 2 == 1))
        if not (fits and odd):
            several = "one per axis of the grid" if axes is None else f"{axes} of them"
            raise ValueError(
                f"Expected `{name}` to be a positive odd number of points, or {several}: it has a "
                f"centre. Received {name}={shown(value)}."
            )

    def bad(self) -> list[Any]:
        return [0, 4, -3, 2.5, "3", None]
