"""How far it is: progress bars on terminals, a line now and then elsewhere, and messages between.

Several processes draw on one terminal, each a bar in a line of its own, and share a lock.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Protocol

from tqdm import tqdm

LINES = 10  # from beginning to end, where there is no terminal
_CLEAR = "\r\x1b[J"  # from here to the end of the screen


class Steps(Protocol):
    """What is done step by step."""

    def update(self) -> Any:
        """One step more."""

    def set_postfix(self, **numbers: str) -> Any:
        """What is to be said beside the number of steps."""


@contextlib.contextmanager
def steps(total: int, *, title: str, initial: int = 0, position: int = 0) -> Iterator[Steps]:
    """A progress bar that vanishes at the end; without a terminal, lines at every tenth of it.

    Args:
        total: number of steps; initial: those that are done already.
        title: what is done.
        position: line of the bar, where several processes draw.

    Example:
        >>> import contextlib, sys
        >>> with contextlib.redirect_stderr(sys.stdout):
        ...     with steps(20, title="seed 0", initial=17) as bar:
        ...         for _ in range(3):
        ...             bar.set_postfix(loss="0.5")
        ...             bar.update()
        seed 0: 18 of 20, loss 0.5
        seed 0: 20 of 20, loss 0.5
    """
    if not sys.stderr.isatty():
        yield _Lines(total, initial, title)
        return
    with tqdm(total=total, initial=initial, desc=title, position=position, leave=False) as bar:
        yield bar


def say(text: str, file: Any = None) -> None:
    """Write a line above all bars; file: default is standard output."""
    file = file or sys.stdout
    with tqdm.external_write_mode(file=file):
        if sys.stderr.isatty():
            # Bars of other processes as well: each is drawn anew, below the text, when it moves.
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
        print(text, file=file, flush=True)


class _Lines:
    def __init__(self, total: int, initial: int, title: str):
        self.total, self.done, self.title, self.numbers = total, initial, title, ""

    def update(self) -> None:
        self.done += 1
        if LINES * self.done // self.total > LINES * (self.done - 1) // self.total:
            text = f"{self.title}: {self.done} of {self.total}{self.numbers}"
            print(text, file=sys.stderr, flush=True)

    def set_postfix(self, **numbers: str) -> None:
        self.numbers = "".join(f", {name} {value}" for name, value in numbers.items())
