"""`crfrnn refine` on Zarr: images of any size, in tiles, on this machine or a cluster."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from crfrnn import files
from crfrnn.cli import options, refining
from crfrnn.cli.refining import Prepared, Settings
from crfrnn.files.zarrs import ZARR, Zarr, create_array, open_zarr, write_image
from crfrnn.meanfield.parameters import NAMES
from crfrnn.offline.refine import refine as refine_in_memory
from crfrnn.optional import needed

OPTIONS = (
    click.option(
        "--zarr-output",
        type=click.Choice(["labels", "probabilities"]),
        default="labels",
        show_default=True,
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


class Inputs(NamedTuple):
    """Image (*S, K) and probabilities (*S, L) as dask arrays; spacing (S,) or None; the image."""

    image: Any
    probs: Any
    spacing: tuple[float, ...] | None
    like: Zarr


def run(
    image: Path,
    probs: Path,
    output: Path,
    settings: Settings,
    *,
    overwrite: bool,
    zarr_output: str,
    levels: int,
    preview: str | None,
    cluster: str | None,
    jobs: int | None,
) -> None:
    """Refines a Zarr image.

    Raises:
        ValueError: inputs that do not fit together, or settings that tiles cannot have.
    """
    from crfrnn import large

    _check_settings(settings)
    if preview is not None:
        options.check_output(output, overwrite, image, probs)
    elif files.suffix(output, ZARR) and output.resolve() in (image.resolve(), probs.resolve()):
        raise click.ClickException(f"{output} is an input. Write to another file.")
    if zarr_output != "labels" and levels > 1:
        raise click.UsageError("--levels are of labels.")
    given = opened(image, probs, settings)
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
        with files.replacing(output) as part, _at_work(cluster, jobs) as compute:
            if files.suffix(output) in files.ARRAYS:
                files.write_array(part, compute([refined[region]])[0])
            else:
                files.write_labels(part, compute([labels[region]])[0])
        click.echo(f"Written: {output}")
        return
    wanted = labels if zarr_output == "labels" else refined
    if wanted is refined and given.like.axes:  # OME-Zarr has the channels first
        wanted = needed("dask.array", "Zarr files", "large").moveaxis(refined, -1, 0)
    asked = {
        "image": [str(image.resolve()), given.image.shape, str(given.image.dtype)],
        "probs": [str(probs.resolve()), given.probs.shape, str(given.probs.dtype)],
        "crf": crf,
        "spacing": given.spacing,
        "logits": settings.logits,
        "output": [zarr_output, levels],
    }
    _write(wanted, output.absolute(), given.like, asked, overwrite, levels, cluster, jobs)
    click.echo(f"Written: {output}")


def opened(image: Path, probs: Path, settings: Settings) -> Inputs:
    """Image and probabilities as dask arrays, channels and labels last."""
    da = needed("dask.array", "Images larger than memory", "large")
    from crfrnn.large.probabilities import prepared

    if not files.is_zarr(probs):
        raise ValueError(f"{probs}: expected Zarr, as the image is. Convert it.")
    lazy = []
    both = [open_zarr(path) for path in (image, probs)]
    for path, found in zip((image, probs), both, strict=True):
        array = da.from_zarr(found.array)
        if found.axes:
            if "t" in found.axes:
                axis = found.axes.index("t")
                if array.shape[axis] > 1:
                    raise ValueError(f"{path}: expected one time. Received {array.shape[axis]}.")
                array = da.take(array, 0, axis=axis)
            names = [name for name in found.axes if name != "t"]
            if names != sorted(names, key="czyx".index):
                raise ValueError(f"{path}: expected axes t, c, z, y, x. Received {names}.")
            array = da.moveaxis(array, 0, -1) if "c" in names else array[..., None]
        lazy.append(array)
    picture, q = lazy
    grids = {picture.shape[:-1], *([] if both[0].axes else [picture.shape])}
    if not both[1].axes and q.shape[:-1] not in grids and q.shape[1:] in grids:
        q = da.moveaxis(q, 0, -1)  # (L, *S)
    grid = picture.shape[: q.ndim - 1]
    if settings.upsample or q.shape[:-1] == grid:
        q = prepared(q, grid, settings.logits)
    if q.shape[:-1] not in grids or q.ndim not in (3, 4):
        raise ValueError(
            "Expected probabilities (*S, L) of the image's size, or with --upsample smaller by a "
            f"whole factor. Received an image of shape {picture.shape} and probabilities of shape "
            f"{q.shape}."
        )
    if picture.shape == q.shape[:-1]:
        picture = picture[..., None]
    spacing = both[0].spacing if settings.spacing is None else settings.spacing
    axes = q.ndim - 1
    if spacing is not None:
        spacing = tuple(map(float, np.broadcast_to(spacing, axes)))
    return Inputs(picture, q, spacing, both[0])


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


def _write(
    array: Any,
    output: Path,
    like: Zarr,
    asked: dict[str, Any],
    overwrite: bool,
    levels: int,
    cluster: str | None,
    jobs: int | None,
) -> None:
    """Writes a dask array as Zarr; goes on where a killed process left it."""
    from crfrnn.large import written

    record = output.with_name(f".{output.name}.unfinished")
    note, target = record / "asked.json", output / "0" if like.axes else output
    text = json.dumps(asked, default=np.ndarray.tolist)
    if overwrite:
        for folder in (output, record):
            shutil.rmtree(folder, ignore_errors=True)
    if output.exists() and not record.exists():
        raise click.ClickException(f"{output} exists. Add --overwrite to replace it.")
    if note.exists() and note.read_text() != text:
        raise click.ClickException(
            f"{output} was begun with other inputs or parameters. Add --overwrite to begin anew."
        )
    if not note.exists():  # killed before the array was made, or nothing done yet
        shutil.rmtree(output, ignore_errors=True)
        record.mkdir(exist_ok=True)
        chunks = [sizes[0] for sizes in array.chunks]
        create_array(target, array.shape, chunks, array.dtype, like.version)
        with files.replacing(note) as part:
            part.write_text(text)
    tasks = written.left(array, target, record)
    total = int(np.prod(array.numblocks))
    if len(tasks) < total:
        click.echo(f"Complete already: {total - len(tasks)} of {total} tiles.")
    with _at_work(cluster, jobs) as compute:
        compute(tasks)
        names = [("0", 1.0)]
        for level in range(1, levels):
            names.append((str(level), 2.0**level))
            _halved(output / str(level - 1), output / str(level), like, compute)
    if like.axes:
        write_image(output, names, like, labels=asked["output"][0] == "labels")
    shutil.rmtree(record)


def _halved(source: Path, target: Path, like: Zarr, compute: Any) -> None:
    """Every second point: labels have no mean."""
    da = needed("dask.array", "Images larger than memory", "large")
    fine = da.from_zarr(str(source))
    coarse = fine[(slice(None, None, 2),) * fine.ndim].rechunk(fine.chunksize)
    shutil.rmtree(target, ignore_errors=True)
    array = create_array(target, coarse.shape, coarse.chunksize, coarse.dtype, like.version)
    compute([da.store(coarse, array, compute=False, lock=False)])


@contextlib.contextmanager
def _at_work(cluster: str | None, jobs: int | None) -> Iterator[Any]:
    """What computes dask objects, and shows progress: on a cluster, or threads of this process."""
    dask = needed("dask", "Images larger than memory", "large")
    if cluster is None:
        from dask.diagnostics import ProgressBar

        with ProgressBar(), dask.config.set(scheduler="threads", num_workers=jobs):
            yield lambda what: dask.compute(*what)
        return
    distributed = needed("distributed", "Clusters", "cluster")
    with distributed.Client(cluster) as client:

        def compute(what: Sequence[Any]) -> Any:
            futures = client.compute(list(what))
            distributed.progress(futures, notebook=False)
            return client.gather(futures)

        yield compute
