"""One labelled image or volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

_CONTENT = ("image", "label", "spacing")


@dataclass(frozen=True, eq=False)
class Case:
    """A labelled image or volume, prepared for training and evaluation.

    Attributes:
        image: (*S, K) float32, intensities in [0, 1]. S = (H, W) for images and (D, H, W) for
            volumes (the three axes of a NIfTI file: right, anterior, superior); K channels. A
            theta_beta for these images has the same unit: 0.1 is a tenth of the intensity range.
        label: (*S) uint8, class of each pixel; 0 is the background.
        spacing: one float per axis of S: mm for NIfTI volumes, pixels (1.0) for plain images
            unless dataset.json says otherwise. Distances such as HD95 come out in this unit.
        id: unique name of the case in its data set.
        group: what must stay together in a split (one person, one section). See `data.split`.

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


class LazyCase(Case):
    """A `Case` whose image, label and spacing are read together at the first use, then kept.

    Args:
        read: function without arguments that returns (image, label, spacing).
        id, group: as in `Case`.

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
    ):
        self.__dict__.update(_read=read, id=id, group=group)

    def __getattr__(self, name: str):
        # Python comes here only while the attribute is absent, that is, until the first read.
        if name not in _CONTENT:
            raise AttributeError(name)
        self.__dict__.update(zip(_CONTENT, self._read(), strict=True))
        return self.__dict__[name]

    def __repr__(self) -> str:
        # The dataclass' own repr would read the file for its spacing.
        return f"LazyCase(id={self.id!r}, group={self.group!r})"
