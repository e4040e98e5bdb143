"""The file that `crfrnn search` writes and --parameters reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crfrnn import checks, files
from crfrnn.cli import layouts
from crfrnn.meanfield.parameters import NAMES
from crfrnn.offline.refine import refine

OPTIONAL = (
    *("num_iterations", "normalization", "compatibility", "method", "window"),
    "ignore_below",
)


def read(path: Path) -> dict[str, Any]:
    """The content of a parameter file, checked.

    Args:
        path: a JSON file, {"parameters": {"theta_alpha": 30, ...}, "rescale": false, ...} or only
            the parameters.

    Returns:
        "parameters", and of "spacing", "slice_axis", "rescale", "layout" those that are given.

    Raises:
        ValueError: no JSON, names that no CRF has, or values of a wrong type.
    """
    try:
        content = files.read_json(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read the parameters in {path}: {error}") from error
    parameters = content.get("parameters", content)
    if not isinstance(parameters, dict):
        raise ValueError(
            f'{path}: expected a JSON object as "parameters". Received {parameters!r:.80}.'
        )
    unknown = sorted(set(parameters) - {*NAMES, *OPTIONAL, *_WORKFLOW})
    if unknown:
        raise ValueError(
            f"{path}: expected parameters of crfrnn.refine. Received {', '.join(unknown)}. "
            f"Known are {', '.join(NAMES + OPTIONAL)}."
        )
    given = {**parameters, **content}  # both places will do: `spacing` is an argument of refine
    workflow = {name: given[name] for name in _WORKFLOW if given.get(name) is not None}
    crf = {name: value for name, value in parameters.items() if name not in _WORKFLOW}
    for name, value in {**crf, **workflow}.items():
        expected, right = _TYPES.get(name, _NUMBERS)
        if not right(value):
            raise ValueError(f"{path}: expected {name} to be {expected}. Received {value!r:.80}.")
    try:
        checks.fit(refine.declared, crf, {})  # type: ignore[attr-defined]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return {**workflow, "parameters": crf}


def verdict(path: Path) -> str | None:
    """What the search that wrote a parameter file says of its gain, in one line; else None."""
    content = files.read_json(path).get("search")
    if not isinstance(content, dict) or not isinstance(content.get("verdict"), str):
        return None
    gain, measured = content.get("gain"), ""
    if _is_number(gain):
        measured = f"{gain:+.2f} {content.get('metric')} on cases that had no part in the choice. "
    return f"{path.name}: {measured}{content['verdict']}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _are_numbers(value: Any) -> bool:
    """A number, or lists of them, as deep as a matrix for each point of a kernel may be."""
    if not isinstance(value, list):
        return _is_number(value)
    rows = [row if isinstance(row, list) else [row] for row in value]
    return bool(rows) and all(_is_number(number) for row in rows for number in row)


_WORKFLOW = ("spacing", "slice_axis", "rescale", "layout")
_NUMBERS = "a number, or a list of numbers", _are_numbers
_TEXT = "a text", lambda value: isinstance(value, str)
_TYPES: dict[str, tuple[str, Any]] = {
    "normalization": _TEXT,
    "method": _TEXT,
    "compatibility": (
        '"potts" or a matrix',
        lambda value: isinstance(value, str) or _are_numbers(value),
    ),
    "num_iterations": ("a whole number", _is_whole),
    "window": (
        "a whole number, or a list of them",
        lambda value: all(map(_is_whole, value if isinstance(value, list) else [value])),
    ),
    "slice_axis": ("0, 1 or 2", lambda value: _is_whole(value) and 0 <= value <= 2),
    "rescale": ("true or false", lambda value: isinstance(value, bool)),
    "layout": (f"one of {', '.join(layouts.NAMES)}", lambda value: value in layouts.NAMES),
}
