"""ES modules in several files as one text: what a notebook is given, and a page without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

FRONT = Path(__file__).parent / "front"

_IMPORT = re.compile(r'^import [^;]*? from "\./([\w.]+)";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.M)


def bundled(entry: str, folders: Sequence[Path] = (FRONT,)) -> str:
    """A module and all that it imports, in one scope: the imported come first, each once.

    Args:
        entry: name of a file, such as "app.js".
        folders: where files are looked for, the first ones first. No two modules may declare the
            same name at their top level.

    Raises:
        ValueError: a file that is in none of the folders, or a circle of imports.

    Example:

    >>> text = bundled("paint.js")
    >>> "import " in text, "function paintLabels(" in text
    (False, True)
    """
    return "\n".join(_parts(entry, folders, [], []))


def _parts(
    name: str, folders: Sequence[Path], done: list[str], above: Sequence[str]
) -> Iterator[str]:
    if name in above:
        raise ValueError(f"Expected no circle of imports. Received {' -> '.join([*above, name])}.")
    if name in done:
        return
    file = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if file is None:
        raise ValueError(f"Expected {name} in one of {', '.join(map(str, folders))}.")
    text = file.read_text("utf-8")
    for imported in _IMPORT.findall(text):
        yield from _parts(imported, folders, done, [*above, name])
    done.append(name)
    yield _EXPORT.sub("", _IMPORT.sub("", text))
