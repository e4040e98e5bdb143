"""Errors about files: each names the file and says what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np


class Unfit(ValueError):
    """A file that can be read but holds the wrong thing."""


def real(array: np.ndarray) -> np.ndarray:
    """The array, of real numbers and at least one; Unfit for anything else."""
    if array.dtype.kind not in "buif":
        raise Unfit(f"expected real numbers; received {array.dtype}; convert the file.")
    if not array.size:
        raise Unfit(f"expected at least one value; received an array of shape {array.shape}.")
    return array


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside becomes a ValueError that names the file."""
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file.")
    try:
        yield
    except Unfit as error:
        raise ValueError(f"{path}: {error}") from error
    except ImportError:  # a package that is not installed, which is no fault of the file
        raise
    except MemoryError as error:
        raise ValueError(
            f"{path}: there is not enough memory for it. Close other programs, or cut it into "
            "pieces."
        ) from error
    except Exception as error:  # libraries raise a dozen types (zlib, EOF, header, ...) here
        raise ValueError(
            f"cannot read {path}: {error}; the file is damaged or not what its name says: "
            f"fetch or export it again."
        ) from error
