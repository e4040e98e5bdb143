"""`crfrnn refine` on Zarr: images of any size, in tiles, on this machine or a cluster."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from crfrnn import files
from crfrnn._version import __version__
from crfrnn.cli import destinations, options, refining, zarr_output
from crfrnn.cli.refining import Prepared, Settings
from crfrnn.cli.zarr_inputs import Inputs, opened
from crfrnn.files.zarrs import ZARR
from crfrnn.meanfield.parameters import NAMES
from crfrnn.offline.refine import refine as refine_in_memory
from crfrnn.optional import needed, needed_zarr

OPTIONS = (
    click.option(
        "--zarr-output",
        type=click.Choice(["labels", "probabilities"]),
        show_default="labels",
        help="What is written, where IMAGE is Zarr.",
    ),
    click.option(
        "--levels",
        type=click.IntRange(1),
        default=1,
        metavar="N",
        help="Of the labels, where IMAGE is Zarr: each has every second point of the one before.",
    ),
    click.option(
        "--preview",
        metavar="REGION",
        help="Only a part of a Zarr image, such as 1000:1600,2000:2800, to a picture or .npy.",
    ),
    click.option("--cluster", metavar="tcp://HOST:PORT", help="Of Dask, to work on a Zarr image."),
)
_SAMPLE = 2**18  # points of the part whose time is measured, and that is guessed from


def run(
    image: Path,
    probs: Path,
    output: Path,
    settings: Settings,
    *,
    overwrite: bool,
    kind: str,
    levels: int,
    preview: str | None,
    cluster: str | None,
    jobs: int | None,
) -> None:
    """Refines a Zarr image.

    Raises:
        ValueError: inputs that do not fit together, or settings that tiles cannot have.
        ImportError: zarr or dask is missing, or too old.
    """
    needed_zarr()
    from crfrnn import large

    _check_settings(settings)
    if preview is not None:
        destinations.check_output(output, overwrite, image, probs)
    else:
        files.suffix(output, ZARR)
        zarr_output.check(output, overwrite, image, probs)
    if kind != "labels" and levels > 1:
        raise click.UsageError("--levels are of labels.")
    given = opened(image, probs, settings)
    if levels > 1 and not given.like.axes:
        raise click.UsageError("--levels are of OME-Zarr, and the image is a plain array.")
    grid = given.probs.shape[:-1]
    crf, guess, seconds = _tried(given, settings)
    options.show(crf, () if guess is None else [n for n in NAMES if n not in settings.parameters])
    kernels = {"theta_alpha": "bilateral_weight", "theta_gamma": "spatial_weight"}
    cut = large.plan(
        grid,
        [crf[theta] for theta, weight in kernels.items() if np.any(crf[weight])],
        crf.get("num_iterations", 5),
        crf.get("normalization", "symmetric"),
        given.spacing,
    )
    minutes = seconds * np.prod(grid) * cut.cost / 60
    click.echo(f"{cut}; about {minutes:.1f} minutes on this machine.")
    with options.told():
        refined = large.refine(
            *given[:2], **crf, spacing=given.spacing, tile=cut.tile, passes=len(cut.iterations)
        )
    labels = refined.argmax(-1).astype("uint8" if refined.shape[-1] < 256 else "uint16")
    if preview is not None:
        region = _region(preview, grid)
        with files.replacing(output) as part, zarr_output.at_work(cluster, jobs) as compute:
            if files.suffix(output) in files.ARRAYS:
                files.write_array(part, compute([refined[region]])[0])
            else:
                files.write_labels(part, compute([labels[region]])[0])
        click.echo(f"Written: {output}")
        return
    wanted = labels if kind == "labels" else refined
    if wanted is refined and given.like.axes:  # OME-Zarr has the channels first
        wanted = needed("dask.array", "Zarr files", "large").moveaxis(refined, -1, 0)
    asked = {
        "version": __version__,
        "inputs": given.files,
        "read as": [given.image.shape, given.probs.shape],
        "crf": crf,
        "spacing": given.spacing,
        "logits": settings.logits,
        "tiles": [cut.tile, cut.iterations],
        "output": [kind, levels],
    }
    zarr_output.write(
        wanted,
        output.absolute(),
        given.like,
        asked,
        overwrite=overwrite,
        levels=levels,
        cluster=cluster,
        jobs=jobs,
    )
    click.echo(f"Written: {output}")


def _check_settings(settings: Settings) -> None:
    crf = settings.parameters
    others = {
        "--rescale": settings.rescale,
        "--slice-axis": settings.slice_axis is not None,
        "--layout": settings.layout != "auto",
        "--labels-as-probs": settings.labels_as_probs is not None,
        "--nan-outside": settings.nan_outside,
        "--palette": settings.palette,
        "--confidence": settings.confidence is not None,
        "--packed": settings.packed,
        "--agree-with": settings.agree_with is not None,
        "another method": crf.get("method", "lattice") != "lattice",
    }
    if asked := [name for name, value in others.items() if value]:
        raise click.UsageError(f"{', '.join(asked)}: not for Zarr, which is refined in tiles.")


def _tried(given: Inputs, settings: Settings) -> tuple[dict[str, Any], Any, float]:
    """The parameters, the guess or None, and the seconds per point of a part in the middle."""
    grid = given.probs.shape[:-1]
    side = int(_SAMPLE ** (1 / len(grid)))
    part = tuple(slice((n - min(n, side)) // 2, (n + min(n, side)) // 2) for n in grid)
    image, probs = (np.asarray(array[part].compute()) for array in given[:2])
    with options.told():
        prepared = Prepared(image, None, given.spacing)
        crf, guess = refining.complete(settings.parameters, prepared, probs)
        crf.pop("method", None), crf.pop("window", None)
        start = time.perf_counter()
        refine_in_memory(image, probs, **crf, spacing=given.spacing)
    return crf, guess, (time.perf_counter() - start) / probs[..., 0].size


def _region(text: str, grid: Sequence[int]) -> tuple[slice, ...]:
    try:
        ends = [tuple(map(int, part.split(":"))) for part in text.split(",")]
        region = tuple(slice(low, high) for low, high in ends)
        fits = len(region) == len(grid) and all(
            0 <= part.start < part.stop <= size for part, size in zip(region, grid, strict=True)
        )
    except ValueError:
        fits = False
    if not fits:
        raise click.UsageError(
            f"Expected a --preview such as {','.join(f'0:{min(n, 600)}' for n in grid)}, within an "
            f"image of {'x'.join(map(str, grid))} points. Received {text!r}."
        )
    return region
