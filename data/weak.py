"""Weak labels made from true ones: scribbles, points and noisy outlines.

For studies of training with little annotation. Every generator is a pure function of a label map
and a seed; `weaken` applies one to a case. Pixels without a label get the value `void`, which a
loss has to leave out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import ndimage

from .case import Case
from .outlines import flipped, moved, regions
from .strokes import apart, strokes

VOID = 255


def scribbles(label: np.ndarray, *, seed: int, share: float = 0.03, void: int = VOID) -> np.ndarray:
    """Thin strokes along the middle of each class, as an annotator draws them; the rest is void.

    Strokes are one pixel wide. They follow the ridge of the distance to the outline (the cheapest
    path, where a pixel costs one over its squared distance) and touch the outline only in classes
    too thin to have an inside; the border of the image counts as outline. A class of one piece gets
    one stroke, with branches where its ridge is shorter than the wanted length. A class of many
    pieces gets strokes in some of them, drawn in random order with the larger ones more likely
    first; no piece gets more than one and a half times its part of the pixels.

    Args:
        label: (H, W) integers, the true classes.
        seed: of the pieces chosen and the places of the strokes.
        share: wanted share of each class's pixels, in (0, 1]; at least one pixel per class. Shares
            above about 0.2 are not reached, as no two strokes run side by side.
        void: the value of pixels without a label; must not be a class.

    Returns:
        (H, W), the true class on the strokes, void elsewhere.

    Raises:
        ValueError: label is not 2-D or not of integers, void is a class, share is out of range.

    Example:
        >>> label = np.zeros((40, 60), "uint8")
        >>> label[10:30, 20:50] = 1
        >>> weak = scribbles(label, seed=0)
        >>> [int((weak == value).sum()) for value in (0, 1, 255)]
        [54, 18, 2328]
    """
    label = _checked(label, void)
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], a share of each class; received {share!r}.")
    rng = np.random.default_rng(seed)
    weak = np.full_like(label, void)
    for value in np.unique(label):
        weak[strokes(label == value, share, rng)] = value
    return weak


def points(
    label: np.ndarray, *, seed: int, number: int = 3, size: int = 3, void: int = VOID
) -> np.ndarray:
    """A few square dots in each class, the rest is void.

    Dots lie where the whole square is inside the class if there is such a place, else they are cut
    off at the outline. Each further dot is drawn among the places whose distance to the earlier
    ones is at least a quarter of the largest. A class too small for all of them gets fewer.

    Args:
        label: (H, W) integers, the true classes.
        seed: of the places.
        number: dots per class, 1 or more.
        size: side of a dot in pixels, 1 or more.
        void: the value of pixels without a label; must not be a class.

    Returns:
        (H, W), the true class on the dots, void elsewhere.

    Raises:
        ValueError: label is not 2-D or not of integers, void is a class, number or size below 1.

    Example:
        >>> weak = points(np.repeat([[0, 1]], [30, 20], axis=1).repeat(40, axis=0), seed=0)
        >>> [int((weak == value).sum()) for value in (0, 1)]
        [27, 27]
    """
    label = _checked(label, void)
    if number < 1 or size < 1:
        raise ValueError(f"number and size must be 1 or more; received {number!r} and {size!r}.")
    rng = np.random.default_rng(seed)
    weak = np.full_like(label, void)
    for value in np.unique(label):
        mask = label == value
        for y, x in apart(mask, number, size, rng):
            top, left = max(y - size // 2, 0), max(x - size // 2, 0)
            dot = np.s_[top : y - size // 2 + size, left : x - size // 2 + size]
            weak[dot][mask[dot]] = value
    return weak


def noisy_outlines(
    label: np.ndarray, *, seed: int, shift: tuple[int, int] = (2, 4), flips: float = 0.2
) -> np.ndarray:
    """Every pixel labelled, but outlines too wide or too narrow, and ragged.

    What lies in what is read off the common borders: a class lies in the neighbour with which it
    shares most of its border, as far as that makes a tree whose root is the lowest class present,
    the background (a maximum spanning tree of the classes by length of common border). A class and
    all that lies in it make a region: cytoplasm and nucleus, the cell. Each connected piece of each
    region is eroded or dilated by a random number of pixels, independent of all others, and the
    regions are painted in order of size, the largest first. An erosion leaves at least the middle
    of a piece. At last some pixels along the new outlines take the class of a neighbour.

    Args:
        label: (H, W) integers, the true classes.
        seed: of the shifts and the flips.
        shift: smallest and largest number of pixels by which an outline moves, 0 or more.
        flips: share in [0, 1] of the pixels with a different neighbour (of four) that take the
            class of such a neighbour.

    Returns:
        (H, W), a class for each pixel.

    Raises:
        ValueError: label is not 2-D or not of integers, shift or flips are out of range.

    Example:
        >>> label = np.zeros((40, 60), "uint8")
        >>> label[10:30, 20:50] = 1
        >>> round(float((noisy_outlines(label, seed=0) == label).mean()), 2)
        0.82
    """
    label = _checked(label)
    low, high = shift
    if not 0 <= low <= high or not 0 <= flips <= 1:
        raise ValueError(
            f"shift must be two numbers of pixels, 0 <= low <= high, and flips in [0, 1]; "
            f"received {shift!r} and {flips!r}."
        )
    rng = np.random.default_rng(seed)
    values, index = np.unique(label, return_inverse=True)
    inside = regions(index.reshape(label.shape), len(values))
    noisy = np.full_like(label, values[0])
    for k in sorted(range(1, len(values)), key=lambda k: -inside[k].sum()):
        noisy[moved(inside[k], low, high, rng)] = values[k]
    return flipped(noisy, flips, rng)


KINDS = {"scribbles": scribbles, "points": points, "outlines": noisy_outlines}


def weaken(
    case: Case, kind: Literal["scribbles", "points", "outlines"], seed: int, axis: int = 0
) -> Case:
    """A case with weak labels in place of its true ones.

    The random numbers come from SHA-256 of seed, slice and case.id, so that a case has the same
    weak label whatever else is in the set. Volumes are labelled slice by slice, each slice as a
    picture of its own: background is marked in slices without foreground, too.

    Args:
        case: image (*S, K), label (*S), of two or three axes. Weaken a volume before `data.slices`
            cuts it, with the same axis.
        kind: "scribbles", "points" or "outlines" (`noisy_outlines`).
        seed: another seed, another annotator.
        axis: 0, 1 or 2, the axis of a volume along which the slices lie; unused for pictures.

    Returns:
        A case with the same image, spacing, id and group; its label is uint8 with 255 for void,
        which is its `ignore` where there is some. Points of the case that had no label get none.

    Raises:
        ValueError: unknown kind, axis not 0, 1 or 2, or a class 255.

    Example:
        >>> import data
        >>> case = data.phantom(1, (64, 80))[0]
        >>> shares(case.label, weaken(case, "points", seed=0).label)[1]
        1.0
    """
    if kind not in KINDS or axis not in (0, 1, 2):
        raise ValueError(
            f"kind must be one of {', '.join(KINDS)} and axis 0, 1 or 2; "
            f"received {kind!r} and {axis!r}."
        )
    volume = case.label.ndim == 3
    maps = np.moveaxis(case.label, axis, 0) if volume else case.label[None]
    weak = [
        _but_ignored(map_, KINDS[kind], _seed(seed, i, case.id), case.ignore)
        for i, map_ in enumerate(maps)
    ]
    label = np.stack(weak, axis) if volume else weak[0]
    return case.but(label=label.astype("uint8"), ignore=VOID if (label == VOID).any() else None)


def shares(label: np.ndarray, weak: np.ndarray, void: int = VOID) -> tuple[dict[int, float], float]:
    """How much a weak label says, and how much of that is right.

    Args:
        label: (*S) integers, the true classes.
        weak: (*S) integers, the weak label.
        void: the value of pixels without a label.

    Returns:
        The share in [0, 1] of the pixels of each true class that have a weak label, by class; and
        the accuracy, the share of weak labels that are right (NaN if there are none).

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> shares(np.array([0, 0, 1, 1]), np.array([0, 255, 1, 0]))
        ({0: 0.5, 1: 1.0}, 0.6666666666666666)
    """
    if label.shape != weak.shape:
        raise ValueError(f"expected label and weak of one shape; {label.shape} and {weak.shape}.")
    given = weak != void
    labelled = {int(value): float(given[label == value].mean()) for value in np.unique(label)}
    right = (weak == label)[given]
    return labelled, float(right.mean()) if right.size else float("nan")


def _checked(label: np.ndarray, void: int | None = None) -> np.ndarray:
    label = np.asarray(label)
    if label.ndim != 2 or label.dtype.kind not in "iu" or not label.size:
        raise ValueError(
            f"expected one label map, (H, W) integers; received {label.shape} {label.dtype}; "
            f"pass a volume slice by slice or use weaken."
        )
    if void is None:
        return label
    if (label == void).any():
        raise ValueError(f"void = {void} is among the labels; choose a value that is no class.")
    return label.astype(np.result_type(label, np.min_scalar_type(void)))


def _but_ignored(
    label: np.ndarray, generate: Callable[..., np.ndarray], seed: int, ignore: int | None
) -> np.ndarray:
    """A weak label of the points that have a label; the others get none."""
    missing = np.zeros(label.shape, bool) if ignore is None else label == ignore
    if not missing.any():
        return generate(label, seed=seed)
    if missing.all():
        return np.full(label.shape, VOID, "uint8")
    # As if they belonged to the nearest class, since a generator knows nothing but classes.
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.where(missing, VOID, generate(label[tuple(nearest)], seed=seed))


def _seed(seed: int, index: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}:{name}".encode()).digest(), "big")
