"""An option of the command line for every key of a configuration."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import typing
from typing import Any

from experiments.config import HINTS, Config, as_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add one option per key, e.g. ``--further-steps 400``; left out, the preset's value holds."""
    group = parser.add_argument_group("settings (defaults come from the preset)")
    comments = _comments()
    for key, hint in HINTS.items():
        kinds = typing.get_args(hint) if typing.get_origin(hint) is tuple else (hint,)
        number = None if kinds == (hint,) else "+" if Ellipsis in kinds else len(kinds)
        group.add_argument(
            f"--{key.replace('_', '-')}",
            type=str if kinds[0] is str else _value,
            nargs=number,
            metavar=("LOW", "HIGH") if number == 2 else "VALUE",
            default=argparse.SUPPRESS,
            help=comments[key].replace("%", "%%"),
        )


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings among the options the user gave."""
    return as_settings({key: value for key, value in vars(arguments).items() if key in HINTS})


def _value(word: str) -> Any:
    """What stands on the command line, as JSON has it: 400, 0.1, true, none, or .1; or the word."""
    try:
        return None if word.lower() == "none" else json.loads(word.lower())
    except ValueError:
        return float(word) if re.fullmatch(r"[+-]?(\d+\.|\.\d+)", word) else word


def _comments() -> dict[str, str]:
    """The comment of every key, as it stands above: on its line, or on those before it."""
    comments, above = {}, ""
    for line in inspect.getsource(Config).splitlines():
        if key := re.match(r"    (\w+): ", line):
            comments[key[1]] = (above + line.partition("  # ")[2]).strip()
            above = ""
        elif comment := re.match(r"    # (?!---)(.*)", line):
            above += comment[1] + " "
        else:
            above = ""
    return comments
