"""From raw arrays to what a network takes: intensities, sizes, slices."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from crfrnn.offline.intensities import normalise as normalise  # public here as well

from .case import Case


def slices(cases: Iterable[Case], axis: int, *, foreground_only: bool = False) -> list[Case]:
    """Cut volumes into 2-D cases along one axis (views, no copies).

    A volume's slices come in order, so `np.stack(predictions, axis)` rebuilds the volume and
    metrics can be computed on it.

    Args:
        cases: volumes, image (D, H, W, K) and label (D, H, W).
        axis: 0, 1 or 2, the axis that disappears.
        foreground_only: leave out slices without any foreground (for training only).

    Returns:
        2-D cases with the volume's group, the two remaining spacings, and id "<id>/<axis>-<index>".

    Raises:
        ValueError: a case is not a volume, or axis is not 0, 1 or 2.

    Example:
        >>> import data
        >>> volume = data.phantom(1, (16, 20, 24))
        >>> slices(volume, axis=1)[0].image.shape
        (16, 24, 1)
    """
    if axis not in (0, 1, 2):
        raise ValueError(f"axis must be 0, 1 or 2; received {axis!r}.")
    cut = []
    for case in cases:
        if case.label.ndim != 3:
            raise ValueError(
                f"slices expects volumes with label (D, H, W); case {case.id} has label "
                f"{case.label.shape}; 2-D cases need no slicing."
            )
        spacing = case.spacing[:axis] + case.spacing[axis + 1 :]
        images, labels = np.moveaxis(case.image, axis, 0), np.moveaxis(case.label, axis, 0)
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            name = f"{case.id}/{axis}-{index:03d}"
            piece = case.but(image=image, label=label, spacing=spacing, id=name)
            if not foreground_only or piece.foreground().any():
                cut.append(piece)
    return cut


def batch(
    cases: Sequence[Case], shape: Sequence[int] | None = None, *, multiple: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stack cases of different sizes into arrays of one size, padded at the end of each axis.

    Padded pixels repeat the image's border, so that they show the CRF no false edge, have label 0
    and mask False. As padding is behind the image, `output[i][:H, :W]` (in general
    `output[i][tuple(map(slice, case.label.shape))]`) undoes it: compute metrics on that.

    Args:
        cases: at least one; equal numbers of axes and channels.
        shape: size to pad to, None = the largest size among the cases, per axis.
        multiple: the size is rounded up to a multiple of this; 2**depth for a U-Net.

    Returns:
        images (B, *S, K) float32, labels (B, *S) uint8, mask (B, *S) bool, True on real pixels.

    Raises:
        ValueError: no cases, different channels or axes, or a case larger than shape (use `crop`).

    Example:
        >>> import data
        >>> images, labels, mask = batch(data.phantom(3, (30, 44)), multiple=16)
        >>> images.shape, int(mask[0].sum())
        ((3, 32, 48, 1), 1320)
    """
    if not cases:
        raise ValueError("batch expects at least one case; received none.")
    kinds = {(case.label.ndim, case.image.shape[-1]) for case in cases}
    if len(kinds) > 1:
        raise ValueError(
            f"batch expects cases of one kind; received (axes, channels) {sorted(kinds)}; "
            f"load 2-D and 3-D, or grey and colour, cases apart."
        )
    sizes = np.array([case.label.shape for case in cases])  # (B, axes)
    full = sizes.max(0) if shape is None else np.array(shape)
    full = -(-full // multiple) * multiple
    if full.shape != sizes.shape[1:] or (sizes > full).any():
        raise ValueError(
            f"batch cannot pad to {tuple(map(int, full))}: the largest case is "
            f"{tuple(map(int, sizes.max(0)))}; give a larger shape or crop the cases first."
        )

    pads = [[(0, int(f - s)) for f, s in zip(full, size, strict=True)] for size in sizes]
    pairs = list(zip(cases, pads, strict=True))
    images = [np.pad(case.image, [*pad, (0, 0)], mode="edge") for case, pad in pairs]
    labels = [np.pad(case.label, pad) for case, pad in pairs]
    masks = [np.pad(np.ones(case.label.shape, bool), pad) for case, pad in pairs]
    return np.stack(images), np.stack(labels), np.stack(masks)


def crop(case: Case, shape: Sequence[int], rng: np.random.Generator | None = None) -> Case:
    """Cut a window out of a case: central, or at a random place for training.

    Args:
        case: image (*S, K), label (*S).
        shape: window size per axis; an axis smaller than it is kept whole (`batch` pads it).
        rng: draws the window's place; None = the centre.

    Returns:
        A case with the same spacing, id and group; views, no copies.

    Raises:
        ValueError: shape has not one size per axis.

    Example:
        >>> import data
        >>> crop(data.phantom(1, (30, 44))[0], (16, 64)).label.shape
        (16, 44)
    """
    if len(shape) != case.label.ndim:
        raise ValueError(
            f"crop expects {case.label.ndim} sizes for case {case.id}, one per axis; "
            f"received {tuple(shape)}."
        )
    room = [max(have - want, 0) for have, want in zip(case.label.shape, shape, strict=True)]
    start = [r // 2 if rng is None else int(rng.integers(r + 1)) for r in room]
    window = tuple(slice(a, a + want) for a, want in zip(start, shape, strict=True))
    return case.but(image=case.image[window], label=case.label[window])


def shrink(case: Case, factor: int) -> Case:
    """Reduce a case by an integer factor per axis: block means of the image, block majority labels.

    Args:
        case: image (*S, K), label (*S).
        factor: >= 1. Rows beyond the last whole block are cut off.

    Returns:
        A case of size S // factor, spacing times factor, same id and group.

    Raises:
        ValueError: factor < 1 or larger than an axis.

    Example:
        >>> import data
        >>> shrink(data.phantom(1, (30, 44))[0], 4).label.shape
        (7, 11)
    """
    if not 1 <= factor <= min(case.label.shape):
        raise ValueError(
            f"factor must be from 1 to {min(case.label.shape)}, the smallest side of case "
            f"{case.id}; received {factor!r}."
        )
    spacing = tuple(s * factor for s in case.spacing)
    image = block_mean(case.image, factor, case.label.ndim)
    return case.but(image=image, label=block_majority(case.label, factor), spacing=spacing)


def resize(case: Case, scale: float) -> Case:
    """Resize a case by any factor: the image smoothly, each point's label by majority.

    Args:
        case: image (*S, K), label (*S).
        scale: > 0, the same for all axes.

    Returns:
        A case of size round(scale * S), at least 1 per axis, spacing S / its size times the
        spacing, same id and group.

    Raises:
        ValueError: scale not above 0.

    Example:
        >>> import data
        >>> resize(data.phantom(1, (30, 44))[0], 0.6).label.shape
        (18, 26)
    """
    if not scale > 0:
        raise ValueError(f"scale must be above 0; received {scale!r}.")
    shape = tuple(max(round(scale * size), 1) for size in case.label.shape)
    # One mask per label: its share of each new point, of which the largest wins.
    labels = np.unique(case.label)
    shares = [_resized((case.label == k).astype("float32"), shape) for k in labels]
    return case.but(
        image=_resized(case.image, shape),
        label=labels[np.argmax(shares, axis=0)],
        spacing=tuple(np.multiply(case.spacing, case.label.shape) / shape),
    )


def _resized(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array (*S, ...) brought to a shape S by linear interpolation, after a Gaussian as wide as
    the new grid is coarser, so that no detail becomes another one."""
    factors = np.divide(array.shape, (*shape, *array.shape[len(shape) :]))
    smooth = ndimage.gaussian_filter(array, np.maximum(0, (factors - 1) / 2), mode="mirror")
    resized = ndimage.zoom(smooth, 1 / factors, order=1, mode="mirror", grid_mode=True)
    return np.clip(resized, array.min(), array.max())


def block_mean(array: np.ndarray, factor: int, axes: int) -> np.ndarray:
    """Mean over blocks of factor^axes on the leading `axes` axes; remainders are cut off.

    Args:
        array: (*S, ...) real. factor: block side. axes: how many leading axes are S.

    Returns:
        (*(S // factor), ...), dtype of NumPy's mean.

    Example:
        >>> import numpy as np
        >>> block_mean(np.arange(8.0).reshape(2, 4), 2, 2)
        array([[2.5, 4.5]])
    """
    size = [s // factor for s in array.shape[:axes]]
    array = array[tuple(slice(s * factor) for s in size)]
    blocks = array.reshape(*itertools.chain(*((s, factor) for s in size)), *array.shape[axes:])
    return blocks.mean(axis=tuple(range(1, 2 * axes, 2)))


def block_majority(label: np.ndarray, factor: int) -> np.ndarray:
    """Most frequent class in each block of factor^axes; the lower class wins a tie.

    Args:
        label: (*S) uint8. factor: block side.

    Returns:
        (*(S // factor)) uint8.

    Example:
        >>> import numpy as np
        >>> block_majority(np.array([[1, 1, 0, 2], [1, 0, 2, 2]], "uint8"), 2)
        array([[1, 2]], dtype=uint8)
    """
    classes = np.unique(label)
    shares = np.stack([block_mean(label == c, factor, label.ndim) for c in classes])
    return classes[shares.argmax(0)]
