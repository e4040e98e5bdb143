"""`crfrnn refine` on Zarr: images of any size, in tiles, on this machine or a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from crfrnn import files
from crfrnn._version import __version__
from crfrnn.cli import destinations, options, sampling, zarr_output
from crfrnn.cli.refining import Settings
from crfrnn.cli.sampling import without
from crfrnn.cli.zarr_inputs import Inputs, opened
from crfrnn.files.zarrs import ZARR
from crfrnn.meanfield.parameters import NAMES
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


def run(
    image: Path,
    probs: Path,
    mask: Path | None,
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
    from crfrnn.large.percentiles import normalised

    _check_settings(settings)
    inputs = [path for path in (image, probs, mask) if path is not None]
    if preview is not None:
        destinations.check_output(output, overwrite, *inputs)
    else:
        files.suffix(output, ZARR)
        zarr_output.check(output, overwrite, *inputs)
    if kind != "labels" and levels > 1:
        raise click.UsageError("--levels are of labels.")
    with options.told():
        given = opened(image, probs, mask, settings)
    if levels > 1 and not given.like.axes:
        raise click.UsageError("--levels are of OME-Zarr, and the image is a plain array.")
    if settings.rescale:
        click.echo("Looking for the percentiles of the image, which is read for them.")
        given = given._replace(image=normalised(given.image, given.mask))
    grid = given.probs.shape[:-1]
    with options.told():
        crf, guess, seconds = sampling.tried(given, settings)
    options.show(crf, () if guess is None else [n for n in NAMES if n not in settings.parameters])
    kernels = {"theta_alpha": "bilateral_weight", "theta_gamma": "spatial_weight"}
    axis, spacing = settings.slice_axis, given.spacing
    cut = large.plan(
        without(grid, axis),
        [crf[theta] for theta, weight in kernels.items() if np.any(crf[weight])],
        crf.get("num_iterations", 5),
        crf.get("normalization", "symmetric"),
        spacing if spacing is None else without(spacing, axis),
    )
    minutes = seconds * np.prod(grid) * cut.cost / 60
    each = "" if axis is None else f"{grid[axis]} slices in "
    click.echo(f"{each}{cut}; about {minutes:.1f} minutes on this machine.")
    how = {**crf, "tile": cut.tile, "passes": len(cut.iterations)}
    with options.told():
        refined = _refined(given, axis, how)
    da, labels = needed("dask.array", "Zarr files", "large"), refined.argmax(-1)
    if given.mask is not None:  # points that take no part may be NaN
        labels = da.where(da.isnan(refined).any(-1), 0, labels)
    labels = labels.astype("uint8" if refined.shape[-1] < 256 else "uint16")
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
        wanted = da.moveaxis(refined, -1, 0)
    asked = {
        "version": __version__,
        "inputs": given.files,
        "read as": [given.image.shape, given.probs.shape],
        "crf": crf,
        "spacing": given.spacing,
        "read by": [settings.logits, settings.nan_outside, settings.rescale, axis],
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
        "--layout": settings.layout != "auto",
        "--labels-as-probs": settings.labels_as_probs is not None,
        "--palette": settings.palette,
        "--confidence": settings.confidence is not None,
        "--packed": settings.packed,
        "--agree-with": settings.agree_with is not None,
        "another method": crf.get("method", "lattice") != "lattice",
    }
    if asked := [name for name, value in others.items() if value]:
        raise click.UsageError(f"{', '.join(asked)}: not for Zarr, which is refined in tiles.")


def _refined(given: Inputs, axis: int | None, how: dict[str, Any]) -> Any:
    """The probabilities (*S, L), lazy; each slice across the axis by itself, if there is one."""
    from crfrnn import large

    image, probs, mask, spacing = given[:4]
    if axis is None:
        return large.refine(image, probs, mask=mask, spacing=spacing, **how)
    rest = None if spacing is None else without(spacing, axis)
    slices = []
    for number in range(probs.shape[axis]):
        place = (*(slice(None),) * axis, number)
        part = None if mask is None else mask[place]
        slices.append(large.refine(image[place], probs[place], mask=part, spacing=rest, **how))
    return needed("dask.array", "Zarr files", "large").stack(slices, axis)


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
