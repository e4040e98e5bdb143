"""crfrnn search"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from crfrnn import files
from crfrnn._version import __version__
from crfrnn.cli import cases, destinations, options, pairing, reading, refining
from crfrnn.cli.cases import Case, Paths
from crfrnn.cli.pairing import Names
from crfrnn.cli.probabilities import unknown_among
from crfrnn.cli.refining import Settings
from crfrnn.filtering.normalized import NORMALIZATIONS
from crfrnn.meanfield.parameters import MOST_ITERATIONS
from crfrnn.optional import needed
from crfrnn.parameters.metrics import METRICS
from crfrnn.parameters.trials import MOST_TRIALS, is_url


@click.command(short_help="Find the best parameters on cases with known labels.")
@click.argument("images", type=options.EXISTING)
@click.argument("probs", type=options.PROBS)
@click.argument("labels", type=options.EXISTING)
@click.option(
    "-o",
    "--output",
    required=True,
    type=options.FILE,
    help="JSON file for --parameters of `crfrnn refine`.",
)
@click.option("--plot", type=options.FILE, help="Figure of what mattered, such as search.png.")
@click.option(
    "--metric",
    type=click.Choice(["auto", *METRICS]),
    default="auto",
    show_default=True,
    help="What to maximise: dice, iou, boundary (Dice near the true boundary), mean over the "
    "foreground of each case; mdice, miou, of the points of all cases together. auto: dice up to "
    "three labels, else mdice.",
)
@click.option(
    "--width",
    type=float,
    default=2.0,
    show_default=True,
    help="Of the band of the metric boundary, in pixels, or mm for NIfTI.",
)
@click.option(
    "--trials",
    type=click.IntRange(2, MOST_TRIALS),
    metavar="N",
    default=100,
    show_default=True,
    help="How many CRFs to try.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the proposals.")
@click.option(
    "--storage",
    metavar="FILE|URL",
    help="File (or URL of a database) that keeps the trials: the same command goes on where it was "
    "interrupted, and run on several machines at once it shares the trials out.",
)
@click.option(
    "--iterations",
    "num_iterations",
    type=click.IntRange(1, MOST_ITERATIONS),
    metavar="N",
    default=5,
    show_default=True,
    help="Mean-field iterations.",
)
@click.option(
    "--normalization",
    type=click.Choice(NORMALIZATIONS),
    default="after",
    show_default=True,
    help="Of the kernels: symmetric as pydensecrf, after as CRF-RNN.",
)
@options.IGNORE_BELOW
@options.add(*options.INPUT, options.MASK, options.NAN_OUTSIDE)
@options.add(*options.FOLDERS, options.LABELS_NAME, options.OVERWRITE)
def search(
    images: Path,
    probs: Path,
    labels: Path,
    output: Path,
    plot: Path | None,
    mask: Path | None,
    nan_outside: bool,
    glob: str,
    probs_glob: str,
    image_name: str,
    probs_name: str,
    labels_name: str,
    overwrite: bool,
    spacing: Any,
    layout: str,
    logits: bool,
    labels_as_probs: float | None,
    rescale: bool,
    slice_axis: int | None,
    **search_options: Any,
) -> None:
    """Find the best parameters on cases with known labels.

    IMAGES and PROBS are as for `crfrnn refine`. LABELS are label maps: pictures whose grey values
    or palette indices are the labels 0, 1, ... (one mask may be 0 and 255), NIfTI or arrays. Points
    of 255 beside other labels have no label and do not count.

    Use cases that the network was not trained on. The printed gain is measured on cases that had no
    part in the choice.

    \b
    Examples:
      crfrnn search images/ probs/ labels/ -o best.json
      crfrnn search imagesTr/ crossval/ labelsTr/ -o best.json --rescale --plot search.png
      crfrnn search images/ probs/ labels/ -o best.json --trials 300 --storage trials.log
    """
    from crfrnn.parameters.search import search as find

    if plot is not None:
        needed("matplotlib", "Figures", "plot")
    names = options.names(
        glob=glob,
        probs_glob=probs_glob,
        image_name=image_name,
        probs_name=probs_name,
        labels_name=labels_name,
    )
    paths = _paths(images, probs, labels, mask, names)
    storage = search_options["storage"]
    trials_file = None if storage is None or is_url(storage) else Path(storage)
    destinations.check_distinct(output, plot, trials_file)
    for path in (output, plot):
        if path is not None:
            inputs = [file for case in paths for file in case.inputs()]
            destinations.check_output(path, overwrite, images, probs, labels, mask, *inputs)
    settings = options.settings(
        spacing=spacing,
        layout=layout,
        logits=logits,
        labels_as_probs=labels_as_probs,
        nan_outside=nan_outside,
        rescale=rescale,
        slice_axis=slice_axis,
    )
    ignored = search_options.pop("ignore_below") or 0.0
    with options.told():
        read = _read(paths, settings)
        prepared = [refining.prepare(case, settings) for case in read]
        result = find(
            [case.image for case in prepared],
            [case.probs for case in read],
            [case.labels for case in read if case.labels is not None],
            spacing=[case.spacing for case in prepared],
            masks=[case.mask for case in prepared],
            unknown=unknown_among(read[0].probs.shape[-1]),
            slice_axis=slice_axis,
            ignore_below=ignored,
            progress={"desc": "search"},
            **search_options,
        )
    how = {name: value for name, value in search_options.items() if name != "storage"}
    content = {
        "parameters": result.best | ({"ignore_below": ignored} if ignored else {}),
        "rescale": rescale,
        "slice_axis": slice_axis,
        "spacing": settings.spacing,  # the unit of the bandwidths
        "search": {
            "cases": len(read),
            **how,
            "metric": result.metric,
            "trials": len(result.trials),
            "score_before": result.baseline,
            "score": result.score,
            "gain": result.gain.mean,
            "interval": result.gain.interval,
            "p_value": result.gain.p_value,
            "verdict": result.verdict,
            "crfrnn": __version__,
        },
    }
    click.echo(str(result))  # first: it is not lost with a file that cannot be written
    with files.replacing(output) as part:
        part.write_text(json.dumps(_without_nan(content), indent=2, allow_nan=False) + "\n")
    click.echo(f"Written: {output}")
    if plot is not None:
        with files.replacing(plot) as part:
            result.plot().savefig(part)
        click.echo(f"Written: {plot}")
    if result.interrupted:
        click.echo("Interrupted: these are the best parameters so far.", err=True)
        sys.exit(options.INTERRUPTED)


def _without_nan(value: Any) -> Any:
    """NaN, which JSON does not know, becomes null."""
    if isinstance(value, dict):
        return {name: _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _paths(images: Path, probs: Path, labels: Path, mask: Path | None, names: Names) -> list[Paths]:
    """The files of one case, or of all cases of several folders."""
    folders = [path.is_dir() for path in (images, probs, labels, mask) if path is not None]
    if not any(folders):
        first, *others = pairing.numbered(probs)
        return [Paths(files.stem(images), (images,), first, labels, mask, tuple(others))]
    if not all(folders):
        raise click.UsageError(
            "IMAGES, PROBS and LABELS (and --mask) are three files, or three folders."
        )
    found = pairing.find(images, probs, labels, mask, names=names)
    for line in (*found.left_out(), *(": ".join(pair) for pair in found.problems.items())):
        click.echo(f"Left out: {line}", err=True)
    return found.cases


def _read(paths: list[Paths], settings: Settings) -> list[Case]:
    """The cases, all with as many labels."""
    bar = tqdm(paths, "read", unit="case", disable=None)
    # One file does not tell how many labels there are where some occur in others only.
    packed = [files.read_labels(path.probs) for path in paths if files.is_packed(path.probs)]
    if settings.labels_as_probs is not None:
        count = _count(file for path in paths for file in (path.probs, path.labels))
    elif any(num_labels is None for _, num_labels in packed):
        said = max(num_labels or int(keys[-1]) + 1 for keys, num_labels in packed)
        count = max(said, _count(path.labels for path in paths))
    else:
        count = None
    return [cases.read(path, settings.kind, count) for path in bar]


def _count(maps: Iterable[Path | None]) -> int:
    """L of label maps, at least 2."""
    count = 2
    for path in maps:
        if path is not None:
            labels = np.nan_to_num(reading.array(path, classes=True)[0])
            count = max(count, round(float(labels[labels != 255].max(initial=1))) + 1)
    return count
