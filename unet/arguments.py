"""Checks of arguments that the networks share; their messages name what was expected."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def check_shape_and_labels(
    input_shape: tuple[int | None, ...], num_labels: int, *, volumes: bool = False
) -> None:
    """Check the two arguments that every network has.

    Args:
        input_shape: ``(H, W, K)``, or ``(D, H, W, K)`` where ``volumes`` are allowed: sizes
            ``None`` or >= 1, and a number of channels K >= 1.
        num_labels: >= 1.
        volumes: whether the network takes volumes beside images.

    Raises:
        ValueError: if one is out of range.

    Example:
        >>> check_shape_and_labels((None, None, 3), 21)
    """
    shapes, ranks = ("(H, W, K) or (D, H, W, K)", (3, 4)) if volumes else ("(H, W, K)", (3,))
    if len(input_shape) not in ranks or not input_shape[-1]:
        raise ValueError(
            f"Invalid input_shape. Expected {shapes} without the batch, where only K must be a "
            f"number >= 1{'' if volumes else '; the network for volumes is unet'}. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    check_at_least(1, num_labels=num_labels)


def check_at_least(least: int, **arguments: int) -> None:
    """Raise ``ValueError`` if one of the named arguments is smaller than ``least``.

    Example:
        >>> check_at_least(0, depth=4)
    """
    for name, value in arguments.items():
        if value < least:
            raise ValueError(
                f"Invalid {name}. Expected an integer >= {least}. Received: {name}={value}"
            )


def check_dropout(dropout: float) -> None:
    """Raise ``ValueError`` unless ``dropout`` is a share of features in [0, 1).

    Example:
        >>> check_dropout(0.5)
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"Invalid dropout. Expected 0 <= dropout < 1. Received: dropout={dropout}")


def check_one_of(choices: Collection[Any], **arguments: Any) -> None:
    """Raise ``ValueError`` if one of the named arguments is none of ``choices``.

    Example:
        >>> check_one_of(("same", "valid"), padding="same")
    """
    for name, value in arguments.items():
        if value not in choices:
            expected = ", ".join(f'"{c}"' if isinstance(c, str) else str(c) for c in choices)
            raise ValueError(
                f"Invalid {name}. Expected one of: {expected}. Received: {name}={value!r}"
            )
