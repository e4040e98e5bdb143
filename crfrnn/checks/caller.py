"""Whose line a warning is about."""

from __future__ import annotations

import sys


def outside() -> int:
    """The `stacklevel` with which a warning names the line that called the package.

    However many of the package's functions and doors are between.
    """
    level, frame = 1, sys._getframe(1)
    package = __name__.partition(".")[0]
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    return level
