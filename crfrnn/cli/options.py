"""The options that several commands share, and the checks of the files they write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from crfrnn.cli import layouts, refining
from crfrnn.cli.refining import Settings
from crfrnn.filtering.make_filter import METHODS
from crfrnn.filtering.normalized import NORMALIZATIONS

INTERRUPTED = 130  # what shells report for Ctrl-C
EXISTING = click.Path(exists=True, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


class Numbers(click.ParamType):
    """One number, or several with commas between them."""

    name = "number[,...]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"expected a number, or several as in 3,3,1.5; received {value!r}.")
        return numbers[0] if len(numbers) == 1 else numbers


CRF = (
    click.option(
        "--parameters",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="JSON file with parameters, as `crfrnn search` writes it. Options override it.",
    ),
    click.option(
        "--theta-alpha",
        type=Numbers(),
        help="Spatial bandwidth of the bilateral kernel, in pixels; in mm for NIfTI. "
        "Commas separate one number per axis.",
    ),
    click.option(
        "--theta-beta",
        type=Numbers(),
        help="Intensity bandwidth of the bilateral kernel, in the image's units: grey levels for "
        "8-bit pictures.",
    ),
    click.option(
        "--theta-gamma", type=Numbers(), help="Bandwidth of the spatial kernel, in pixels or mm."
    ),
    click.option(
        "--bilateral-weight", type=Numbers(), help="Weight of the bilateral kernel; 0: none."
    ),
    click.option("--spatial-weight", type=Numbers(), help="Weight of the spatial kernel; 0: none."),
    click.option(
        "--iterations",
        "num_iterations",
        type=click.IntRange(0),
        metavar="N",
        help="Mean-field iterations.",
    ),
    click.option(
        "--normalization",
        type=click.Choice(NORMALIZATIONS),
        help="Of the kernels: symmetric as pydensecrf, after as CRF-RNN.",
    ),
    click.option(
        "--method", type=click.Choice(METHODS), help="How to filter; lattice is the fast one."
    ),
)

INPUT = (
    click.option(
        "--spacing",
        type=Numbers(),
        help="Distance of neighbouring points along each axis of the image; default: the NIfTI "
        "header's, else 1.",
    ),
    click.option(
        "--layout",
        type=click.Choice(layouts.NAMES),
        default="auto",
        help="Where the labels are in the probabilities: last (H, W, L), first (L, H, W), or "
        "nnunet (L, z, y, x). Default: found from the shapes.",
    ),
    click.option(
        "--rescale",
        is_flag=True,
        help="First map the 0.5 and 99.5 percentiles of each channel to 0 and 1, so that one "
        "theta_beta fits images without a common unit, such as MR.",
    ),
    click.option(
        "--slice-axis",
        type=click.IntRange(0, 2),
        metavar="0|1|2",
        help="Work on each slice across this axis of a volume by itself.",
    ),
)

FOLDERS = (
    click.option(
        "--glob",
        default="*",
        show_default=True,
        help="Which files of a folder of images count; '**/*.png' looks into folders below.",
    ),
    click.option(
        "--probs-glob",
        default="*",
        show_default=True,
        help="Which files of a folder of probabilities count. Of two files of one name .npz comes "
        "before .npy, NIfTI and pictures.",
    ),
)

OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace results that exist.")


def add(*options: Callable) -> Callable:
    """A decorator that gives a command these options, in this order."""

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def settings(
    *,
    parameters: Path | None = None,
    spacing: Any = None,
    layout: str = "auto",
    rescale: bool = False,
    slice_axis: int | None = None,
    **crf: Any,
) -> Settings:
    """The settings of a command: those of the parameter file, overridden by the options."""
    content = refining.read_parameters(parameters) if parameters else {}
    spacing = content.get("spacing") if spacing is None else spacing
    given = {name: value for name, value in crf.items() if value is not None}
    return Settings(
        {**content.get("parameters", {}), **given},
        spacing=tuple(spacing) if isinstance(spacing, list) else spacing,
        slice_axis=content.get("slice_axis") if slice_axis is None else slice_axis,
        rescale=rescale or content.get("rescale", False),
        layout=content.get("layout", "auto") if layout == "auto" else layout,
    )


def check_output(output: Path, overwrite: bool, *inputs: Path) -> None:
    """ClickException where a command would write over what it reads, or over something there."""
    if output.is_dir():
        raise click.ClickException(f"{output} is a folder. Give the name of a file.")
    if any(output.exists() and output.samefile(path) for path in inputs):
        raise click.ClickException(f"{output} is an input. Write to another file.")
    if output.exists() and not overwrite:
        raise click.ClickException(f"{output} exists. Add --overwrite to replace it.")
    if not output.parent.is_dir():
        raise click.ClickException(f"There is no folder {output.parent}.")


def check_output_folder(output: Path, *inputs: Path) -> None:
    """ClickException where results would come among the inputs."""
    if output.exists() and not output.is_dir():
        raise click.ClickException(f"{output} is a file. Give a folder for the results of folders.")
    if any(output.exists() and output.samefile(path) for path in inputs):
        raise click.ClickException(f"{output} is a folder of inputs. Write to another one.")


def show(parameters: Mapping[str, Any], guessed: tuple[str, ...]) -> None:
    """Print the parameters of a CRF, one per line."""
    for name, value in parameters.items():
        click.echo(f"{name:18} {_text(value)}{'  (guessed)' if name in guessed else ''}")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)
