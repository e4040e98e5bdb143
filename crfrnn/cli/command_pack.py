"""crfrnn pack"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np

from crfrnn import files
from crfrnn.cli import layouts, options, packing, probabilities, reading
from crfrnn.cli.progress import Bar

_ENDINGS = (*files.ARRAYS, *files.HDF5, *files.VOLUMES)


@click.command(short_help="Make small files of probabilities of the labels that are present.")
@click.argument("probs", type=options.EXISTING)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="A .npz, or a folder where PROBS is one.",
)
@click.option(
    "--layout",
    type=click.Choice(["auto", "last", "first"]),
    default="auto",
    help="Where the labels are: last (H, W, L) or first (L, H, W). Default: the axis over which "
    "numbers sum to 1.",
)
@click.option("--logits", is_flag=True, help="PROBS hold numbers before the softmax.")
@click.option(
    "--ignore-below",
    type=click.FloatRange(0),
    default=1e-3,
    show_default=True,
    metavar="P",
    help="Labels whose probability is below P at every point are left out.",
)
@options.OVERWRITE
def pack(
    probs: Path, output: Path, layout: str, logits: bool, ignore_below: float, overwrite: bool
) -> None:
    """Make small files of probabilities of the labels that are present.

    PROBS is an array of probabilities, or a folder of them. The results are .npz of 8 bits, which
    `crfrnn refine` reads; in Python `crfrnn.unpack` does. In a folder, results that are there
    already are kept.

    \b
    Examples:
      crfrnn pack probs/ -o packed/
      crfrnn pack logits/ -o packed/ --logits --layout first
    """
    if not probs.is_dir():
        options.check_output(output, overwrite, probs)
        files.suffix(output, (".npz",))
        _pack(probs, output, layout, logits, ignore_below)
        before, after = probs.stat().st_size, output.stat().st_size
        click.echo(f"{before / 2**20:.2f} MB -> {after / 2**20:.2f} MB. Written: {output}")
        return
    options.check_output_folder(output, probs)
    output.mkdir(parents=True, exist_ok=True)
    found = [path for path in sorted(probs.iterdir()) if path.name.lower().endswith(_ENDINGS)]
    found = [path for path in found if not path.name.startswith(".")]
    if not found:
        raise ValueError(f"Expected files {', '.join(_ENDINGS)} in {probs}. Received none.")
    there = failed = before = after = 0
    with Bar(total=len(found), desc="pack", unit="file") as bar:
        for path in found:
            target = output / f"{files.stem(path)}.npz"
            if target.exists() and not overwrite:
                there += 1
            else:
                try:
                    _pack(path, target, layout, logits, ignore_below)
                except (ValueError, OSError, ImportError) as error:
                    failed += 1
                    bar.write(f"Failed: {path.name}: {error}", file=sys.stderr)
                else:
                    before, after = before + path.stat().st_size, after + target.stat().st_size
            bar.update()
    done, shrunk = len(found) - there - failed, f"{before / 2**20:.1f} MB -> {after / 2**20:.1f} MB"
    click.echo(f"{done} packed ({shrunk}), {there} there already, {failed} failed: {output}")
    sys.exit(1 if failed else 0)


def _pack(path: Path, output: Path, layout: str, logits: bool, ignore_below: float) -> None:
    array, _, _ = reading.array(path)
    if not logits:
        array = probabilities.of_eight_bits(array)
    grids = list(dict.fromkeys([array.shape[:-1], array.shape[1:]]))
    try:
        found = layouts.find(array.shape, grids, layout, values=None if logits else array)
        read = probabilities.from_logits if logits else _probabilities
        packing.pack(output, read(array, found), ignore_below=ignore_below, overwrite=True)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _probabilities(array: np.ndarray, layout: layouts.Layout) -> np.ndarray:
    return probabilities.from_probabilities(array, layout, is_picture=False, sure=False)
