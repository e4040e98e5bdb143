"""The options that several commands share."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from crfrnn import checks
from crfrnn.cli import layouts, parameter_file
from crfrnn.cli.pairing import Names
from crfrnn.cli.refining import Settings
from crfrnn.filtering.make_filter import METHODS
from crfrnn.filtering.normalized import NORMALIZATIONS
from crfrnn.meanfield.parameters import MOST_ITERATIONS, meaning
from crfrnn.offline.refine import refine
from crfrnn.parameters.presets import presets

# What Python's users write, and what the command's users do.
_AS_AN_OPTION = (
    "for instance their 0.5 and 99.5 percentiles to 0 and 1",
    "for instance their 0.5 and 99.5 percentiles to 0 and 1: add --rescale",
)
INTERRUPTED = 130  # what shells report for Ctrl-C
EXISTING = click.Path(exists=True, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


class Probs(click.Path):
    """A path that exists, or one with {label} in it, for a file of each label."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if "{label}" in Path(value).name:
            return Path(value)
        return super().convert(value, param, ctx)


PROBS = Probs(exists=True, path_type=Path)
MASK = click.option(
    "--mask",
    type=EXISTING,
    help="Points that count, in a picture, NIfTI, array or Zarr where the others are 0: those take "
    "no part and keep their probabilities. A folder where IMAGE is one. NaN of the image, and what "
    "a GeoTIFF says to be no data, never take part.",
)

NAN_OUTSIDE = click.option(
    "--nan-outside",
    is_flag=True,
    help="Points whose probabilities are NaN stand for nothing, as outside of a brain: they take "
    "no part and stay NaN, in label maps 0.",
)


IGNORE_BELOW = click.option(
    "--ignore-below",
    type=click.FloatRange(0),
    metavar="P",
    help="Leave out labels whose probability is below P at every point, such as 0.001: the time is "
    "in proportion to the labels that remain.",
)


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
        "--preset",
        type=click.Choice(list(presets)),
        help="The setting of a paper or library, for 8-bit pictures or, with --rescale, images in "
        "0..1. --parameters and options override it.",
    ),
    click.option(
        "--parameters",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="JSON file with parameters, as `crfrnn search` writes it. Options override it.",
    ),
    click.option(
        "--theta-alpha",
        type=Numbers(),
        help=f"{meaning('theta_alpha')}. In pixels; in mm for NIfTI. Commas separate one number "
        "per axis.",
    ),
    click.option(
        "--theta-beta",
        type=Numbers(),
        help=f"{meaning('theta_beta')}. In the image's units: grey levels for 8-bit pictures.",
    ),
    click.option(
        "--theta-gamma", type=Numbers(), help=f"{meaning('theta_gamma')}. As --theta-alpha."
    ),
    click.option(
        "--bilateral-weight", type=Numbers(), help="Weight of the bilateral kernel; 0: none."
    ),
    click.option("--spatial-weight", type=Numbers(), help="Weight of the spatial kernel; 0: none."),
    click.option(
        "--iterations",
        "num_iterations",
        type=click.IntRange(0, MOST_ITERATIONS),
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
        help="Where the labels are in the probabilities: last (H, W, L), first (L, H, W), "
        "nnunet (L, z, y, x), or foreground (H, W). Default: found from shapes and values.",
    ),
    click.option(
        "--logits",
        is_flag=True,
        help="PROBS hold logits: numbers before the softmax, or the sigmoid of one foreground.",
    ),
    click.option(
        "--labels-as-probs",
        type=click.FloatRange(0, 1, min_open=True),
        metavar="P",
        help="PROBS hold label maps, each label of which is right with probability P, such as 0.9; "
        "255 means unknown.",
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
    click.option(
        "--image-name",
        default="{case}",
        show_default=True,
        help="How the names of the images are made of that of the case, without extension, such as "
        "'{case}_leftImg8bit'.",
    ),
    click.option(
        "--probs-name",
        default="{case}",
        show_default=True,
        help="The same for probabilities; '{case}_prob_{label}' where each label 0, 1, ... has a "
        "file of its own.",
    ),
)
LABELS_NAME = click.option(
    "--labels-name",
    default="{case}",
    show_default=True,
    help="How the names of the labels are made of that of the case, such as '{case}_gt'.",
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
    preset: str | None = None,
    parameters: Path | None = None,
    spacing: Any = None,
    layout: str = "auto",
    logits: bool = False,
    labels_as_probs: float | None = None,
    nan_outside: bool = False,
    rescale: bool = False,
    slice_axis: int | None = None,
    **crf: Any,
) -> Settings:
    """The settings of a command: a preset, overridden by the parameter file, then by options."""
    if logits and labels_as_probs is not None:
        raise click.UsageError("--logits and --labels-as-probs exclude each other.")
    content = parameter_file.read(parameters) if parameters else {}
    spacing = content.get("spacing") if spacing is None else spacing
    given = {name: value for name, value in crf.items() if value is not None}
    rescale = rescale or content.get("rescale", False)
    known = presets[preset].scaled_to(1.0 if rescale else 255.0) if preset else {}
    checks.fit(refine.declared, given, {})  # type: ignore[attr-defined]  # once, not for every case
    return Settings(
        {**known, **content.get("parameters", {}), **given},
        spacing=tuple(spacing) if isinstance(spacing, list) else spacing,
        slice_axis=content.get("slice_axis") if slice_axis is None else slice_axis,
        rescale=rescale,
        layout=content.get("layout", "auto") if layout == "auto" else layout,
        logits=logits,
        labels_as_probs=labels_as_probs,
        nan_outside=nan_outside,
    )


def names(
    *, glob: str, probs_glob: str, image_name: str, probs_name: str, labels_name: str = "{case}"
) -> Names:
    """What the files of folders are called."""
    return Names(glob, probs_glob, image_name, probs_name, labels_name)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Warnings as short messages on the standard error, each once, also before an error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for text in dict.fromkeys(str(warning.message) for warning in caught):
                click.echo(f"Warning: {text.replace(*_AS_AN_OPTION)}", err=True)


def show(parameters: Mapping[str, Any], guessed: Collection[str]) -> None:
    """Print the parameters of a CRF, one per line."""
    for name, value in parameters.items():
        click.echo(f"{name:18} {_text(value)}{'  (guessed)' if name in guessed else ''}")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)
