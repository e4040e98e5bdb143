"""How far it is: a bar on terminals, a line now and then elsewhere."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

LINES = 10  # from beginning to end, where there is no terminal


class Bar(tqdm):
    """tqdm's bar; without a terminal, a line on standard error at every tenth of the total.

    Takes tqdm's arguments by name. disable: None: as said; False: a bar everywhere; True: nothing.

    Example:
        >>> import contextlib, sys
        >>> with contextlib.redirect_stderr(sys.stdout):
        ...     with Bar(desc="seed 0", total=20, initial=17) as bar:
        ...         for _ in range(3):
        ...             bar.set_postfix(loss="0.5")
        ...             bar.update()
        seed 0: 18 of 20, loss 0.5
        seed 0: 20 of 20, loss 0.5
    """

    def __init__(
        self,
        *,
        desc: str,
        total: int,
        initial: int = 0,
        disable: bool | None = None,
        **options: Any,
    ):
        super().__init__(desc=desc, total=total, initial=initial, disable=disable, **options)
        self.title, self.done, self.numbers, self.silent = desc, initial, "", disable is True

    def update(self, n: float | None = 1) -> bool | None:
        if not self.disable:
            return super().update(n)
        before, self.done = self.done, self.done + int(n or 0)
        if not self.silent and LINES * self.done // self.total > LINES * before // self.total:
            text = f"{self.title}: {self.done} of {self.total}{self.numbers}"
            print(text, file=sys.stderr, flush=True)
        return None

    def set_postfix(self, *ordered: Any, refresh: bool | None = True, **numbers: Any) -> None:
        if not self.disable:
            return super().set_postfix(*ordered, refresh=refresh, **numbers)
        self.numbers = "".join(f", {name} {value}" for name, value in numbers.items())
        return None
