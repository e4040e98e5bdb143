"""How much memory a file may ask for, judged before any is taken."""

from __future__ import annotations

import os
from pathlib import Path

from crfrnn.files.errors import Unfit

# The most that deflate (gzip, PNG, .npz) can pack into a byte: a pair of two bits for 258 of them.
DEFLATE = 1032
_GIB = 2**30
_VARIABLE = "CRFRNN_LIMIT_GIB"


def limit() -> float:
    """Bytes that one file may fill: 16 GiB, or $CRFRNN_LIMIT_GIB."""
    given = os.environ.get(_VARIABLE, "16")
    try:
        return float(given) * _GIB
    except ValueError:
        raise ValueError(f"Expected {_VARIABLE} to be a number. Received {given!r}.") from None


def check(size: float, held: float | None = None) -> None:
    """Refuse what a file says it holds where it cannot be, or is too much.

    Args:
        size: bytes that its header asks for.
        held: bytes that are there, times how far they may be packed; None: no one knows.

    Raises:
        Unfit: more than can be there, or more than `limit`.

    Example:

    >>> check(1000, held=4000)
    """
    if held is not None and size > held:
        raise Unfit(
            f"its header asks for {size:,.0f} bytes, and at most {held:,.0f} can be in it; the "
            "file is damaged, or made to exhaust the memory: fetch or export it again."
        )
    if size > limit():
        raise Unfit(
            f"it needs {size / _GIB:.1f} GiB of memory, and {limit() / _GIB:g} are allowed. Cut it "
            f"into pieces, or raise the environment variable {_VARIABLE}."
        )


def on_disk(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size
