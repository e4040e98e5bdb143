"""JSON that people have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, with or without the byte order mark that Windows' editors write.

    Args:
        path: the file.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no JSON, none that is an object, or a name that is given twice.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.json")
    >>> _ = path.write_text('{"theta_beta": 3}')
    >>> read_json(path)
    {'theta_beta': 3}
    """
    try:
        content = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError(
            f"{path} is not valid JSON: its brackets are nested too deeply; repair it."
        ) from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise ValueError(
            f"{path} is not valid JSON ({error}); repair or fetch it again."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object; received {type(content).__name__}.")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; ValueError where a name is there twice, of which one would be lost."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is given twice")
    return content
