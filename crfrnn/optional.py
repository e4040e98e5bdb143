"""Packages that only some of the features need."""

from __future__ import annotations

import importlib
from typing import Any


def needed(module: str, what: str, extra: str) -> Any:
    """Import an optional package, or say how to install it.

    Raises:
        ImportError: it is missing; the message names the command that installs it.

    Example:

    >>> needed("json", "Examples", "examples").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} need the package {module.split('.')[0]}: pip install 'crfrnn[{extra}]' "
            f"(in a clone: '.[{extra}]')."
        ) from error
