"""Errors about files: each names the file and says what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np


class Unfit(ValueError):
    """A file that can be read but holds the wrong thing."""


def real(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "buif":
        raise Unfit(f"expected real numbers; received {array.dtype}; convert the file.")
    return array


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file.")
    try:
        yield
    except Unfit as error:
        raise ValueError(f"{path}: {error}") from error
    except Exception as error:  # libraries raise a dozen types (zlib, EOF, header, ...) here
        raise ValueError(
            f"cannot read {path}: {error}; the file is damaged or not what its name says: "
            f"fetch or export it again."
        ) from error
