"""The public door: where a function's declared arguments are checked."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from crfrnn.checks.constraints import Constraint, Sizes

P = ParamSpec("P")
R = TypeVar("R")


def door(
    sizes: Callable[[dict[str, Any]], Sizes] | None = None,
    advice: str = "",
    /,
    **declared: Constraint,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Checks the arguments of a public function before it runs.

    Args:
        sizes: of the arguments by name to `Sizes`; checks and may replace those (arrays) of which
            a declaration cannot say enough. None: sizes are not known.
        advice: what to do when an argument is missing.
        declared: what each of the other arguments may be.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                text = f"{function.__qualname__}: {error}."
                missing = "missing" in str(error)
                raise TypeError(f"{text} {advice}".rstrip() if missing else text) from None
            given = bound.arguments
            fit(declared, given, sizes(given) if sizes else {})
            return function(*bound.args, **bound.kwargs)

        checked.declared = declared  # type: ignore[attr-defined]
        checked.__signature__ = signature  # type: ignore[attr-defined]  # Keras looks for it here
        return checked

    return decorate


def fit(declared: Mapping[str, Constraint], given: Mapping[str, Any], sizes: Sizes) -> None:
    """Raises ValueError unless each argument that is given is as it was declared."""
    for name, constraint in declared.items():
        if name in given:
            constraint.check(name, given[name], sizes)


def renamed(**new_names: str) -> Callable[[Callable[P, R]], Callable[..., R]]:
    """Lets a function take old names of its arguments, too: `renamed(old="new")`."""

    def decorate(function: Callable[P, R]) -> Callable[..., R]:
        @functools.wraps(function)
        def renaming(*args: Any, **kwargs: Any) -> R:
            for old, new in new_names.items():
                if old in kwargs and new in kwargs:
                    raise TypeError(f"{function.__qualname__}: `{old}` and `{new}` are the same.")
            return function(*args, **{new_names.get(k, k): v for k, v in kwargs.items()})

        return renaming

    return decorate
