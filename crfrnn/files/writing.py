"""Files that are complete or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

UNFINISHED = ".unfinished-"


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
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Where a file is written before it is complete; it begins with a dot."""
    return path.with_name(f"{UNFINISHED}{path.name}")
