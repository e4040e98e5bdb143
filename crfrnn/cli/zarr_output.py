"""A Zarr result that is complete or not there; killed work goes on where it was.

While it is made it lies in a hidden folder beside its place, `.labels.zarr.unfinished`, with

- `labels.zarr`: the array, or the OME-Zarr image, so far;
- `asked.json`: of what, and how, it is made;
- `written`: a file for each block that is finished;
- `replaced`: at the end, for a moment, what was in the place;
- `lock`: held by the command that is at work.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from crfrnn import files
from crfrnn.cli import batch
from crfrnn.files.zarrs import Zarr, create_array, write_image
from crfrnn.optional import needed
from crfrnn.progress import Bar

_TILES: dict[str, Any] = {"desc": "refine", "unit": "tile"}


def check(output: Path, overwrite: bool, *inputs: Path) -> None:
    """ClickException where a result would replace an input, or something there without leave."""
    place = output.resolve()
    for path in inputs:
        given = path.resolve()
        if place == given:
            raise click.ClickException(f"{output} is an input. Write to another file.")
        if place in given.parents or given in place.parents:
            inside = "lies in" if given in place.parents else "holds"
            raise click.ClickException(f"{output} {inside} the input {path}. Write elsewhere.")
    if os.path.lexists(output) and not overwrite:
        raise click.ClickException(f"{output} exists. Add --overwrite to replace it.")
    if not output.absolute().parent.is_dir():
        raise click.ClickException(f"There is no folder {output.absolute().parent}.")


def write(
    array: Any,
    output: Path,
    like: Zarr,
    asked: dict[str, Any],
    *,
    overwrite: bool,
    levels: int,
    cluster: str | None,
    jobs: int | None,
) -> None:
    """Writes a dask array as Zarr, or goes on with it; then it takes the place of `output`.

    Args:
        array: dask array, with blocks of one size but the last along each axis.
        output: its place, absolute; `check` has passed it.
        like: the image, the format and the axes of which the result gets.
        asked: all that the array depends on. Work that was begun with another one is not gone on
            with.
        overwrite: whether such work is thrown away, and what is in the place replaced.
        levels: of labels.
        cluster: address of a Dask cluster, or None.
        jobs: threads without a cluster; None: one per core.
    """
    from crfrnn.large import written

    record = output.with_name(f".{output.name}.unfinished")
    note, done, made = record / "asked.json", record / "written", record / output.name
    target = made / "0" if like.axes else made
    text = json.dumps(asked, default=np.ndarray.tolist)
    record.mkdir(exist_ok=True)
    with batch.held(record / "lock", f"on {output}", "output"):
        check(output, overwrite)  # once more: another command may have ended just now
        begun = note.exists() and files.is_zarr(target)
        if begun and note.read_text() != text:
            if not overwrite:
                raise click.ClickException(
                    f"{output} was begun with other inputs or parameters, or by another version. "
                    "Add --overwrite to begin anew."
                )
            begun = False
        if not begun:
            note.unlink(missing_ok=True)  # first: without it nothing else counts
            for folder in (made, done):
                shutil.rmtree(folder, ignore_errors=True)
            done.mkdir()
            chunks = [sizes[0] for sizes in array.chunks]
            create_array(target, array.shape, chunks, array.dtype, like.version)
            with files.replacing(note) as part:
                part.write_text(text)
        tasks = written.left(array, target, done)
        total = int(np.prod(array.numblocks))
        if len(tasks) < total:
            click.echo(f"Complete already: {total - len(tasks)} of {total} tiles.")
        with at_work(cluster, jobs) as compute:
            compute(tasks)
            names = [("0", 1.0)]
            for level in range(1, levels):
                names.append((str(level), 2.0**level))
                _halved(made / str(level - 1), made / str(level), like, compute)
        if like.axes:
            write_image(made, names, like, labels=asked["output"][0] == "labels")
        if os.path.lexists(output):
            shutil.rmtree(record / "replaced", ignore_errors=True)  # of a command killed just here
            os.replace(output, record / "replaced")
        os.replace(made, output)
        shutil.rmtree(record, ignore_errors=True)


def _halved(source: Path, target: Path, like: Zarr, compute: Any) -> None:
    """Every second point: labels have no mean."""
    da = needed("dask.array", "Images larger than memory", "large")
    fine = da.from_zarr(str(source))
    coarse = fine[(slice(None, None, 2),) * fine.ndim].rechunk(fine.chunksize)
    shutil.rmtree(target, ignore_errors=True)
    array = create_array(target, coarse.shape, coarse.chunksize, coarse.dtype, like.version)
    compute([da.store(coarse, array, compute=False, lock=False)])


@contextlib.contextmanager
def at_work(cluster: str | None, jobs: int | None) -> Iterator[Any]:
    """What computes dask objects, and shows progress: on a cluster, or threads of this process."""
    dask = needed("dask", "Images larger than memory", "large")
    if cluster is None:
        with dask.config.set(scheduler="threads", num_workers=jobs):
            yield _computed_here
        return
    distributed = needed("distributed", "Clusters", "cluster")
    with distributed.Client(cluster) as client:

        def compute(what: Sequence[Any]) -> Any:
            futures = client.compute(list(what))
            with Bar(total=len(futures), **_TILES) as bar:
                for _ in distributed.as_completed(futures):
                    bar.update()
            return client.gather(futures)

        yield compute


def _computed_here(what: Sequence[Any]) -> Any:
    dask = needed("dask", "Images larger than memory", "large")
    wanted = {key for each in what for key in dask.core.flatten(each.__dask_keys__())}

    def done(key: Any, *_: Any) -> None:
        if key in wanted:
            bar.update()

    with Bar(total=len(wanted), **_TILES) as bar, dask.callbacks.Callback(posttask=done):
        return dask.compute(*what)
