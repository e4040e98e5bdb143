"""Checks of the files and folders that a command is told to write."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import click


def check_output(output: Path, overwrite: bool, *inputs: Path | None) -> None:
    """ClickException where a command would write over what it reads, or over something there."""
    if output.is_dir():
        raise click.ClickException(f"{output} is a folder. Give the name of a file.")
    if any(_same(output, path) for path in inputs if path is not None):
        raise click.ClickException(f"{output} is an input. Write to another file.")
    # A link counts, also one to nothing: it would be replaced as well.
    if os.path.lexists(output) and not overwrite:
        raise click.ClickException(f"{output} exists. Add --overwrite to replace it.")
    if not output.parent.is_dir():
        raise click.ClickException(f"There is no folder {output.parent}.")


def check_distinct(*outputs: Path | None) -> None:
    """ClickException where a command would write two things to one file."""
    given = [path for path in outputs if path is not None]
    for path, other in itertools.combinations(given, 2):
        if _same(path, other):
            raise click.ClickException(f"{path} is given twice. Write to two files.")


def check_output_folder(output: Path, *inputs: Path | None) -> None:
    """ClickException where results would come among the inputs."""
    if os.path.lexists(output) and not output.is_dir():
        raise click.ClickException(f"{output} is a file. Give a folder for the results of folders.")
    if any(_same(output, path) for path in inputs if path is not None):
        raise click.ClickException(f"{output} is a folder of inputs. Write to another one.")


def _same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return path.resolve() == other.resolve()
