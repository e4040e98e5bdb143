"""How far it is, and messages above the bars.

Several processes draw on one terminal, each a bar in a line of its own, and share a lock.
"""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from crfrnn.progress import Bar

_CLEAR = "\r\x1b[J"  # from here to the end of the screen


def steps(total: int, *, title: str, initial: int = 0, position: int = 0) -> Bar:
    """A progress bar that vanishes at the end; without a terminal, lines at every tenth of it.

    Args:
        total: number of steps; initial: those that are done already.
        title: what is done.
        position: line of the bar, where several processes draw.

    Example:
        >>> with steps(3, title="seed 0") as bar:
        ...     _ = [bar.update() for _ in range(3)]
    """
    return Bar(desc=title, total=total, initial=initial, position=position, leave=False)


def say(text: str, file: Any = None) -> None:
    """Write a line above all bars; file: default is standard output."""
    file = file or sys.stdout
    with tqdm.external_write_mode(file=file):
        if sys.stderr.isatty():
            # Bars of other processes as well: each is drawn anew, below the text, when it moves.
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
        print(text, file=file, flush=True)
