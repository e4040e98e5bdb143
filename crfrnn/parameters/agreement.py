"""Whether the image sees what the network says: a measure that needs no truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from crfrnn.filtering.make_filter import build_filter
from crfrnn.meanfield.positions import bilateral_positions
from crfrnn.parameters.measures import blurred

# Of larger images the middle tells enough.
_MOST_POINTS = 500_000


def agreement(
    image: np.ndarray,
    probs: np.ndarray,
    *,
    theta_alpha: float,
    theta_beta: Any,
    spacing: Any = None,
    mask: np.ndarray | None = None,
) -> float:
    """How well the bilateral kernel gives back the labels that a network gives.

    The points are those of a checkerboard. Each gets the label that the points of the *other*
    colour send it along the kernel, so that none votes for itself. These labels are compared with
    the network's own, after a blur of its probabilities by 3 points, which takes away noise that
    any CRF would mend. They are compared by Dice, label by label, so that small and thin labels
    count as much as large ones: they are the ones that a CRF wipes out where the image does not
    show them.

    Args:
        image: (*S, K). probs: (*S, L).
        theta_alpha, theta_beta, spacing: of the bilateral kernel; see `crfrnn.refine`. theta_beta
            is a number or (K,).
        mask: (*S) of bool, the points that count; None: all.

    Returns:
        0..1, the mean over the labels that are the most likely one somewhere. Near 1, objects in
        the image and in the labels are the same. Where it is low, the image does not see what the
        network says, and a CRF would undo it.

    Example:

    >>> halves = np.repeat([0.0, 1.0], 12)[:, None] * np.ones(20)  # (24, 20)
    >>> stripes = np.arange(20) % 3 / 2 * np.ones((24, 1))
    >>> def seen(image, p):
    ...     probs = np.stack([1 - p, p], -1) * 0.8 + 0.1
    ...     return agreement(image[..., None], probs, theta_alpha=5, theta_beta=0.2)
    >>> seen(halves, halves) > 0.99, seen(stripes, halves) > 0.9, seen(halves, stripes) < 0.6
    (True, True, True)
    """
    middle = _middle(probs.shape[:-1], mask)
    image, probs = image[middle].astype(np.float64), probs[middle]
    counts = np.ones(probs.shape[:-1], bool) if mask is None else mask[middle]
    # Around 0 and on one scale: the lattice's own error then does not depend on units and offset.
    image = (image - image[counts].mean(0)) / theta_beta
    q = probs[counts][None]  # (1, N, L)
    present = np.unique(q.argmax(-1))
    own = blurred(probs, None if mask is None else counts).argmax(-1)[counts]
    positions = bilateral_positions(image[None], theta_alpha, 1.0, spacing)
    kernel = build_filter(positions[:, counts.ravel()], normalization="none")
    black = np.indices(counts.shape).sum(0)[counts] % 2 == 1
    # A point without any neighbour of the other colour keeps its label.
    found = own.copy()
    for sender in (black, ~black):
        message = kernel(q * sender[None, :, None])[0]
        reached = ~sender & (message.max(-1) > 0)
        found[reached] = message[reached].argmax(-1)
    return float(np.mean([_dice(own == label, found == label) for label in present]))


def nearness(
    probs: np.ndarray, *, theta_alpha: float, spacing: Any = None, mask: np.ndarray | None = None
) -> float:
    """What the agreement would be if the image showed nothing: neighbours mostly have one label.

    Where the image gives back hardly more than this, it is not the image that agrees.

    Args:
        probs, theta_alpha, spacing, mask: see `agreement`.

    Returns:
        0..1.

    Example:

    >>> stripes = np.eye(2)[np.arange(20) % 4 // 2 * np.ones((24, 1), int)]
    >>> blobs = np.eye(2)[np.arange(20) // 10 * np.ones((24, 1), int)]
    >>> nearness(blobs, theta_alpha=2) > 0.9, nearness(stripes, theta_alpha=2) < 0.6
    (True, True)
    """
    nothing = np.zeros((*probs.shape[:-1], 1))
    how = dict(theta_alpha=theta_alpha, theta_beta=1.0, spacing=spacing, mask=mask)
    return agreement(nothing, probs, **how)


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two masks, 0 if both are empty: a label that a blur has wiped out was none."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / max(total, 1)


def _middle(grid: tuple[int, ...], mask: np.ndarray | None) -> tuple[slice, ...]:
    """The middle of a grid S, of at most `_MOST_POINTS` points, in the proportions of the whole.

    Where no point of the middle counts it is the whole.
    """
    share = min(1.0, (_MOST_POINTS / np.prod(grid)) ** (1 / len(grid)))
    sizes = [max(1, int(size * share)) for size in grid]
    middle = tuple(
        slice((have - want) // 2, (have - want) // 2 + want)
        for have, want in zip(grid, sizes, strict=True)
    )
    return middle if mask is None or mask[middle].any() else (slice(None),) * len(grid)
