"""Labels that are not in an image, left out of mean field because they cannot come up in it.

With Potts attraction no message lowers the denominator of the softmax, and what a label gets is in
proportion to what there is of it. So a label that is hardly anywhere stays so; docs/pruning.md has
the bound and its proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crfrnn.meanfield.in_place import PairwiseKernel

# With reach * probability up to 1 / e a label's probability can grow by a factor of e at most.
_PROVEN = math.exp(-1)

# Below this share of 1 / L no label is the likeliest of a point, whose L probabilities sum to 1
# within rounding.
_SHARE = 0.9


class Bound(NamedTuple):
    """Which labels are left out: see `present`."""

    reach: np.ndarray
    ignore_below: float


def bound(kernels: Sequence[PairwiseKernel], ignore_below: float) -> Bound | None:
    """What `kept` needs of kernels; None where nothing is to be left out, or nothing happens.

    Raises:
        ValueError: see `reach`.
    """
    return Bound(reach(kernels), ignore_below) if ignore_below and kernels else None


def kept(
    kernels: Sequence[PairwiseKernel], bound: Bound, highest: np.ndarray
) -> tuple[list[PairwiseKernel], np.ndarray]:
    """The kernels for the labels that have to be kept, and these labels (K,); see `present`.

    Example:

    >>> from crfrnn.filtering import make_filter
    >>> from crfrnn.meanfield.in_place import pairwise_kernel
    >>> points = make_filter(np.arange(6.0, dtype=np.float32).reshape(1, 6, 1))
    >>> kernels = [pairwise_kernel(points, 3.0, "potts", labels=3)]
    >>> (kernel,), labels = kept(kernels, bound(kernels, 1e-3), np.array([0.9, 1e-4, 0.8]))
    >>> kernel.mixing, labels
    (array([-3., -3.], dtype=float32), array([0, 2]))
    """
    labels = present(highest, *bound)
    # The mixing is a diagonal: `reach` has seen to it.
    return [kernel._replace(mixing=kernel.mixing[labels]) for kernel in kernels], labels


def reach(kernels: Sequence[PairwiseKernel]) -> np.ndarray:
    """The strongest message that each label can get, per unit of its largest probability.

    Args:
        kernels: of one set of points; one or more.

    Returns:
        (L,): the sum over the kernels of weight times largest row sum. A row of a kernel sums to 1
        with normalization "after"; of the others the sums are measured.

    Raises:
        ValueError: labels that repel themselves or attract others, for which there is no bound.

    Example:

    >>> from crfrnn.filtering import make_filter
    >>> from crfrnn.meanfield.in_place import pairwise_kernel
    >>> points = make_filter(np.arange(6.0, dtype=np.float32).reshape(1, 6, 1))
    >>> reach([pairwise_kernel(points, (3.0, 5.0), "potts", labels=2)]).round(3)
    array([3., 5.], dtype=float32)
    """
    total = np.float32(0)
    for kernel in kernels:
        total = total + attraction(kernel.mixing) * kernel.filter.largest_row_sum
    return np.asarray(total)


def attraction(mixing: np.ndarray) -> np.ndarray:
    """The weight, a number or (L,), of a kernel for which there is a bound; see `reach`.

    Args:
        mixing: see `crfrnn.meanfield.mixing`.

    Raises:
        ValueError: labels that repel themselves or attract others.
    """
    if mixing.ndim > 1 or not np.all(mixing <= 0):
        raise ValueError(
            'Expected compatibility="potts" and weights of 0 or more, a number or one per '
            "label, with `ignore_below`: only then does an absent label stay absent. Received "
            "others. Leave `ignore_below` out."
        )
    return -mixing


def present(highest: np.ndarray, reach: np.ndarray, ignore_below: float) -> np.ndarray:
    """The labels that have to be kept.

    Args:
        highest: (L,) the largest probability of each label at any point.
        reach: see `reach`.
        ignore_below: labels whose probability is below it everywhere are left out, provided that
            they are the most likely nowhere and that it is proven that they stay rare.

    Returns:
        (K,) label numbers, ascending, K >= 1.

    Example:

    >>> present(np.array([0.9, 1e-4, 0.8]), np.full(3, 10.0), ignore_below=1e-3)
    array([0, 2])
    """
    if not highest.any():  # there are no points
        return np.arange(len(highest))
    few = min(ignore_below, _SHARE / len(highest))
    return np.flatnonzero((highest >= few) | (highest * reach > _PROVEN))


def restored(q: np.ndarray, start: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probabilities of all labels.

    Args:
        q: (..., K) of the labels that were kept.
        start: (..., L) what mean field started from; rows sum to 1 within rounding.
        labels: (K,) which were kept.

    Returns:
        (..., L) float32, rows sum to 1: the others have what they had, the kept ones the rest.

    Example:

    >>> start = np.array([[0.5, 0.1, 0.4]])
    >>> restored(np.array([[0.7, 0.3]]), start, np.array([0, 2])).round(2)
    array([[0.63, 0.1 , 0.27]], dtype=float32)
    """
    result = start.astype(np.float32)
    # A matrix product: ten times as fast as a sum over a short axis.
    result /= (result @ np.ones(result.shape[-1], np.float32))[..., None]
    result[..., labels] = q * result[..., labels].sum(-1, keepdims=True)
    return result
