"""crfrnn pack"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from crfrnn import files
from crfrnn.cli import (
    batch,
    destinations,
    layouts,
    options,
    packing,
    pairing,
    probabilities,
    reading,
)
from crfrnn.progress import Bar

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
        destinations.check_output(output, overwrite, probs)
        files.suffix(output, (".npz",))
        for text in _pack(probs, output, layout, logits, ignore_below):
            click.echo(f"Warning: {text}", err=True)
        before, after = probs.stat().st_size, output.stat().st_size
        click.echo(f"{before / 2**20:.2f} MB -> {after / 2**20:.2f} MB. Written: {output}")
        return
    destinations.check_output_folder(output, probs)
    found, passed_over = _files(probs)
    for path, chosen in passed_over:
        click.echo(f"Left out: {path.name}: {chosen.name} has the same name.", err=True)

    def packed(path: Path, target: Path) -> tuple[str, ...]:
        part = output / files.WORKSHOP / target.name
        texts = _pack(path, part, layout, logits, ignore_below)
        os.replace(part, target)
        return texts

    with batch.alone(output):
        failed = _folder(found, output, overwrite, packed)
    sys.exit(1 if failed else 0)


def _folder(
    found: list[Path],
    output: Path,
    overwrite: bool,
    packed: Callable[[Path, Path], tuple[str, ...]],
) -> int:
    """Packs what is not there yet, and says so; how many files failed."""
    there = failed = before = after = 0
    with Bar(total=len(found), desc="pack", unit="file") as bar:
        for path in found:
            target = output / f"{files.stem(path)}.npz"
            if os.path.lexists(target) and not overwrite:
                there += 1
            else:
                try:
                    texts = packed(path, target)
                except (ValueError, OSError, ImportError) as error:
                    failed += 1
                    bar.write(f"Failed: {path.name}: {error}", file=sys.stderr)
                else:
                    before, after = before + path.stat().st_size, after + target.stat().st_size
                    for text in texts:
                        bar.write(f"Warning: {path.name}: {text}", file=sys.stderr)
            bar.update()
    done, shrunk = len(found) - there - failed, f"{before / 2**20:.1f} MB -> {after / 2**20:.1f} MB"
    kept = f"{there} there already"
    if there:
        kept += ", however they were made (--overwrite makes them anew)"
    click.echo(f"{done} packed ({shrunk}), {kept}, {failed} failed: {output}")
    return failed


def _files(folder: Path) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """The files to pack, one of each name, and those passed over with what stands for them."""
    named: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.lower().endswith(_ENDINGS) and not path.name.startswith("."):
            named.setdefault(files.stem(path), []).append(path)
    if not named:
        raise ValueError(f"Expected files {', '.join(_ENDINGS)} in {folder}. Received none.")
    ordered = [sorted(paths, key=pairing.preference) for paths in named.values()]
    return (
        [paths[0] for paths in ordered],
        [(other, paths[0]) for paths in ordered for other in paths[1:]],
    )


def _pack(
    path: Path, output: Path, layout: str, logits: bool, ignore_below: float
) -> tuple[str, ...]:
    """Packs a file; returns the warnings."""
    array, key, _ = reading.array(path)
    if key in (files.NNUNET_KEY, files.NNUNET_V1_KEY):
        raise ValueError(
            f"{path}: expected probabilities in the axes of their image. Received nnU-Net's, whose "
            "axes are turned round. `crfrnn refine` reads them as they are."
        )
    if not logits:
        array = probabilities.of_eight_bits(array)
    grids = list(dict.fromkeys([array.shape[:-1], array.shape[1:]]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = layouts.find(array.shape, grids, layout, values=None if logits else array)
            read = probabilities.from_logits if logits else _probabilities
            packing.pack(output, read(array, found), ignore_below=ignore_below, overwrite=True)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return tuple(dict.fromkeys(str(warning.message) for warning in caught))


def _probabilities(array: np.ndarray, layout: layouts.Layout) -> np.ndarray:
    return probabilities.from_probabilities(array, layout, is_picture=False, sure=False)
