"""Files that are complete or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_UNFINISHED = ".unfinished-"
WORKSHOP = ".unfinished"  # a folder for the unfinished files of a folder of results


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file so that it is complete or not there, however the process ends.

    Args:
        path: the file to write; its folder exists.

    Yields:
        Another path in the same folder, with the same extension, to write to. It becomes `path`
        when the block ends well and is deleted when it does not.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.txt")
    >>> with replacing(path) as part:
    ...     _ = part.write_text("text")
    >>> path.read_text()
    'text'
    """
    part = unfinished(path)
    try:
        with written(part):
            yield part
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """Whatever keeps a file from being written names it: a full disk does not by itself.

    Example:

    >>> with written(Path("a.npy")):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    OSError: cannot write a.npy: No space left on device
    """
    try:
        yield
    except OSError as error:
        name = asked_for(path)
        if error.filename is not None or name.name in str(error):
            raise
        reason = error.strerror or str(error)
        if error.errno is None and "requested and" in reason:  # NumPy: "99 requested and 9 written"
            reason = "no space left on device"
        raise OSError(f"cannot write {name}: {reason}") from error


def unfinished(path: Path) -> Path:
    """Where this process writes a file before it is complete; the name begins with a dot.

    The number of the process is in it, so that two which write one file spoil neither's.
    """
    return path.with_name(f"{_UNFINISHED}{os.getpid()}-{path.name}")


def asked_for(path: Path) -> Path:
    """The file that an unfinished one becomes: the name that the user knows."""
    path = Path(*(part for part in path.parts if part != WORKSHOP))
    name = path.name.removeprefix(_UNFINISHED)
    return path if name == path.name else path.with_name(name.partition("-")[2])
