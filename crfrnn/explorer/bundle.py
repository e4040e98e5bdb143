"""ES modules in several files as one text: for notebooks, and for a page without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

FRONT = Path(__file__).parent / "front"

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (\w+))", re.M)


def bundled(entry: str, folders: Sequence[Path] = (FRONT,)) -> str:
    """A module with all that it imports before it, each once and in a scope of its own.

    Args:
        entry: name of a file, such as "app.js". What it exports itself stays exported.
        folders: where files are looked for, the first ones first.

    Raises:
        ValueError: a file that is in none of the folders, or a circle of imports.

    Example:

    >>> text = bundled("scores.js")
    >>> "const { element, short } = elements_js;" in text, "import " in text
    (True, False)
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
    for _, imported in _IMPORT.findall(text):
        yield from _parts(imported, folders, done, [*above, name])
    done.append(name)
    text = _IMPORT.sub(lambda found: f"const {{{found[1]}}} = {_scope(found[2])};\n", text)
    if not above:
        yield text
        return
    exported = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", text)
    yield f"const {_scope(name)} = (() => {{\n{body}return {{ {exported} }};\n}})();"


def _scope(name: str) -> str:
    return name.replace(".", "_")
