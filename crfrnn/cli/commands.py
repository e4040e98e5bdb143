"""The `crfrnn` command and what its subcommands have in common."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import click

from crfrnn._version import __version__
from crfrnn.cli import refining
from crfrnn.cli.command_diagnose import diagnose
from crfrnn.cli.command_explore import explore
from crfrnn.cli.command_info import info
from crfrnn.cli.command_pack import pack
from crfrnn.cli.command_refine import refine
from crfrnn.cli.command_search import search
from crfrnn.cli.options import INTERRUPTED


class _Commands(click.Group):
    """Turns the errors of the package into short messages, and Ctrl-C into its usual status."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _short_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _short_errors():
            return super().invoke(ctx)


@contextlib.contextmanager
def _short_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        raise click.ClickException(str(error)) from error
    except MemoryError as error:
        raise click.ClickException(refining.NO_MEMORY) from error
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def crfrnn() -> None:
    """Refine segmentations with a dense CRF, whose boundaries follow the edges of the image.

    \b
    Examples:
      crfrnn refine photo.jpg probs.npy -o labels.png
      crfrnn refine scan.nii.gz scan.npz -o labels.nii.gz
      crfrnn search images/ probs/ labels/ -o best.json
      crfrnn refine images/ probs/ -o refined/ --parameters best.json
      crfrnn diagnose photo.jpg probs.npy -o why.png
      crfrnn explore photo.jpg probs.npy

    `crfrnn COMMAND --help` explains a command.
    """


for command in (refine, search, diagnose, explore, pack, info):
    crfrnn.add_command(command)
