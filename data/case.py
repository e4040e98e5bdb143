"""One labelled image or volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

_CONTENT = ("image", "label", "spacing")


@dataclass(frozen=True, eq=False)
class Case:
    """A labelled image or volume, prepared for training and evaluation.

    Attributes:
        image: (*S, K) float32, intensities in [0, 1]. S = (H, W) for images and (D, H, W) for
            volumes (the three axes of a NIfTI file: right, anterior, superior); K channels. A
            theta_beta for these images has the same unit: 0.1 is a tenth of the intensity range.
        label: (*S) uint8, class of each pixel; 0 is the background, unless `background` says
            otherwise.
        spacing: one float per axis of S: mm for NIfTI volumes, pixels (1.0) for plain images
            unless dataset.json says otherwise. Distances such as HD95 come out in this unit.
        id: unique name of the case in its data set.
        group: what must stay together in a split (one person, one section). See `data.split`.
        ignore: the value of pixels without a label, or None where all have one.
        background: 0, or None where class 0 is one like the others (sky, road).

    Example:
        >>> import numpy as np
        >>> case = Case(np.zeros((4, 6, 1), "float32"), np.zeros((4, 6), "uint8"),
        ...             (1.0, 1.0), "a", "a")
        >>> case.label.shape
        (4, 6)
    """

    image: np.ndarray = field(repr=False)
    label: np.ndarray = field(repr=False)
    spacing: tuple[float, ...]
    id: str
    group: str
    ignore: int | None = None
    background: int | None = 0

    def but(self, **changes: Any) -> Case:
        """A case with other values of these attributes.

        Example:
            >>> import data
            >>> data.phantom(1)[0].but(group="one").group
            'one'
        """
        kept = {field.name: getattr(self, field.name) for field in fields(Case)}
        return Case(**{**kept, **changes})

    def classes(self, count: int) -> range:
        """Those of `count` classes that scores are about: all but the background.

        Example:
            >>> import data
            >>> data.phantom(1)[0].classes(3)
            range(1, 3)
        """
        return range(0 if self.background is None else 1, count)

    def labelled(self) -> np.ndarray:
        """(*S) bool: where there is a label.

        Example:
            >>> case = Case(np.zeros((1, 3, 1)), np.array([[0, 1, 255]]), (1, 1), "a", "a", 255)
            >>> case.labelled()
            array([[ True,  True, False]])
        """
        return np.ones(self.label.shape, bool) if self.ignore is None else self.label != self.ignore

    def masks(self, found: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Where each of the classes is that count, and where a label map (*S) has it.

        Without a true label a point is in neither of the two.

        Example:
            >>> case = Case(np.zeros((1, 3, 1)), np.array([[0, 1, 255]]), (1, 1), "a", "a", 255)
            >>> case.masks(np.array([[1, 1, 1]]), 2)
            [(array([[False,  True, False]]), array([[ True,  True, False]]))]
        """
        known = self.labelled()
        return [(self.label == k, (found == k) & known) for k in self.classes(count)]

    def foreground(self) -> np.ndarray:
        """(*S) bool: where the label is a class, and not the background.

        Example:
            >>> case = Case(np.zeros((1, 3, 1)), np.array([[0, 1, 255]]), (1, 1), "a", "a", 255)
            >>> case.foreground()
            array([[False,  True, False]])
        """
        return self.labelled() & (self.background is None or self.label != self.background)


def require_plain(cases: Iterable[Case], what: str) -> None:
    """Refuse cases that `what` would get wrong: with points without label, or no background.

    Args:
        cases: to look at; no file is read.
        what: does not know `ignore` and `background`; named in the message.

    Raises:
        ValueError: a case has the one or lacks the other.

    Example:
        >>> import data
        >>> require_plain(data.phantom(2), "this loss")
    """
    for case in cases:
        if case.ignore is not None or case.background != 0:
            raise ValueError(
                f"{what} expects a label for every point, and class 0 as the background; received "
                f"case {case.id} with ignore={case.ignore} and background={case.background} (of "
                f"dataset.json); it would count what does not count."
            )


class LazyCase(Case):
    """A `Case` whose image, label and spacing are read together at the first use, then kept.

    Args:
        read: function without arguments that returns (image, label, spacing).
        id, group, ignore, background: as in `Case`.

    Example:
        >>> import numpy as np
        >>> read = lambda: (np.zeros((4, 6, 1), "float32"), np.zeros((4, 6), "uint8"), (1.0, 1.0))
        >>> LazyCase(read, "a", "a").image.shape
        (4, 6, 1)
    """

    def __init__(
        self,
        read: Callable[[], tuple[np.ndarray, np.ndarray, tuple[float, ...]]],
        id: str,
        group: str,
        ignore: int | None = None,
        background: int | None = 0,
    ):
        self.__dict__.update(_read=read, id=id, group=group, ignore=ignore, background=background)

    def __getattr__(self, name: str):
        # Python comes here only while the attribute is absent, that is, until the first read.
        if name not in _CONTENT:
            raise AttributeError(name)
        self.__dict__.update(zip(_CONTENT, self._read(), strict=True))
        return self.__dict__[name]

    def __repr__(self) -> str:
        # The dataclass' own repr would read the file for its spacing.
        return f"LazyCase(id={self.id!r}, group={self.group!r})"
