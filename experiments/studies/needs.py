"""Packages that rows of a study need, looked for before hours are spent on the others."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping

from experiments.rows import Row


def check(
    asked: Iterable[Mapping[str, Row]], missing: Callable[[Iterable[str]], set[str]] | None = None
) -> None:
    """ValueError, naming all of them, where rows need packages that are not installed.

    Args:
        asked: of each run, the rows that are to be made.
        missing: which of some modules are not there; None: on this machine.
    """
    rows = {key: row for of_a_run in asked for key, row in of_a_run.items()}
    wanted = {module: name for row in rows.values() for module, name in row.packages.items()}
    absent = (missing or missing_here)(wanted) if wanted else set()
    if absent:
        lacking = [key for key, row in rows.items() if absent & {*row.packages}]
        packages = sorted(wanted[module] for module in absent)
        left_out = ", ".join(f'"{key}"' for key in lacking)
        raise ValueError(
            f"Rows {', '.join(lacking)} need packages that are not installed. Install them, pip "
            f"install {' '.join(packages)}, or leave the rows out in each of the settings of the "
            f"study's file: without = [{left_out}]."
        )


def missing_here(modules: Iterable[str]) -> set[str]:
    """Those of some modules that this Python does not find.

    Example:
        >>> missing_here(["numpy", "no_such_module"])
        {'no_such_module'}
    """
    return {name for name in modules if importlib.util.find_spec(name) is None}
