"""How the labels speak to each other: the product of compatibility and kernel weights."""

from __future__ import annotations

from typing import Any

from crfrnn.arrays import namespace


def mixing(weight: Any, compatibility: Any, labels: int) -> Any:
    """C W, compatibility times weights: what turns filtered probabilities K q into energies.

    Args:
        weight: W of one kernel: a number, (L,) one per label, or (L, L).
        compatibility: C: "potts" is minus the identity, so that equal labels support each other; or
            (L, L), row = label that receives, column = label that sends.
        labels: L.

    Returns:
        float32: a number or (L,), a diagonal, where nothing mixes labels; else (L, L). Negative
        numbers attract. `mix` applies it.

    Example:

    >>> float(mixing(3.0, "potts", labels=2))
    -3.0
    >>> mixing([1.0, 2.0], [[0.0, 1.0], [1.0, 0.0]], labels=2)
    array([[0., 2.],
           [1., 0.]], dtype=float32)
    """
    ops = namespace(weight, compatibility)
    weight = ops.cast(weight, "float32")
    if isinstance(compatibility, str):
        return -weight
    compatibility = ops.cast(compatibility, "float32")
    # A number or (L,) is a diagonal W: it scales the columns of C.
    product = ops.matmul if len(weight.shape) == 2 else ops.multiply
    return product(compatibility, weight)


def mix(filtered: Any, mixing: Any) -> Any:
    """The energies C W K q of one kernel.

    Args:
        filtered: K q, (..., L).
        mixing: what `mixing` returned.

    Returns:
        (..., L).
    """
    if len(mixing.shape) < 2:
        return filtered * mixing
    ops = namespace(filtered, mixing)
    # One long product: backends take a batch for B products, twice as slow in the gradient.
    rows = ops.reshape(filtered, (-1, mixing.shape[0]))
    return ops.reshape(ops.matmul(rows, ops.transpose(mixing)), ops.shape(filtered))
