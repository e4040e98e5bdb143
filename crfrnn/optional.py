"""Packages that only some of the features need."""

from __future__ import annotations

import importlib
import importlib.util
import platform
from typing import Any

BACKENDS = ("tensorflow", "jax", "torch")  # of Keras, and the extras that bring them


def of_framework(value: Any) -> bool:
    """Whether a value is a tensor, a variable or a symbol of Keras or of one of its backends.

    Example:

    >>> of_framework([1.0])
    False
    """
    homes = {base.__module__.split(".")[0] for base in type(value).__mro__}
    return not homes.isdisjoint(("keras", "jaxlib", *BACKENDS))


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


def needed_zarr() -> Any:
    """Import zarr of a version that is understood, or say how to install it.

    Raises:
        ImportError: it is missing, or older than 3, as everywhere on Python 3.10.
    """
    reason = "it is missing"
    try:
        zarr = importlib.import_module("zarr")
        reason = f"zarr {zarr.__version__} is here"
        if int(zarr.__version__.split(".")[0]) >= 3:
            return zarr
    except ImportError:
        pass
    raise ImportError(
        f"Zarr files need zarr 3, which needs Python 3.11 or newer; {reason}, with Python "
        f"{platform.python_version()}: pip install 'crfrnn[large]' (in a clone: '.[large]')."
    )


def needed_keras(what: str) -> Any:
    """Import Keras, which imports its backend, or say how to install them.

    Args:
        what: that needs Keras, in the plural.

    Raises:
        ImportError: Keras or the backend is missing; the message names what installs both, and a
            backend that is there.

    Example:

    >>> needed_keras("Examples").__name__
    'keras'
    """
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        missing = (error.name or "keras").split(".")[0]
        extras = ", ".join(f"'crfrnn[{name}]'" for name in BACKENDS)
        present = [name for name in BACKENDS if importlib.util.find_spec(name)]
        instead = f", or set KERAS_BACKEND={present[0]}, which is here" if present else ""
        raise ImportError(
            f"{what} need Keras and one of its backends, and {missing} is missing: pip install "
            f"one of {extras} (in a clone: '.[{BACKENDS[0]}]', ...)"
            f"{instead if missing in BACKENDS else ''}."
        ) from error
