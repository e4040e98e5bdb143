"""crfrnn refine"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from crfrnn import files
from crfrnn.cli import (
    allocation,
    batch,
    destinations,
    making,
    options,
    outputs,
    pairing,
    parameter_file,
    refining,
    summary,
    tiled,
)
from crfrnn.cli.cases import Paths
from crfrnn.cli.pairing import Found
from crfrnn.cli.refining import Outcome, Settings
from crfrnn.cores import num_cores
from crfrnn.meanfield.parameters import NAMES
from crfrnn.progress import Bar


@click.command(short_help="Refine the probabilities of one image, or of a folder of them.")
@click.argument("image", type=options.EXISTING)
@click.argument("probs", type=options.PROBS)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File, or folder where IMAGE is one. The extension decides: .png, .tif, .nii.gz: most "
    "likely labels; .npy, .npz: probabilities, laid out like the input.",
)
@options.add(*options.CRF, *options.INPUT, options.MASK, options.NAN_OUTSIDE)
@options.add(*making.OPTIONS, *tiled.OPTIONS, *options.FOLDERS)
@click.option(
    "--suffix",
    help="Extension of the results in a folder, such as .npz; default: label maps in the format of "
    "the images, .png of pictures with --palette, .npz with --packed.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Cases at a time; default: one per core for pictures, one for volumes, which need much "
    "memory and use all cores.",
)
@options.OVERWRITE
def refine(
    image: Path,
    probs: Path,
    output: Path,
    mask: Path | None,
    glob: str,
    probs_glob: str,
    image_name: str,
    probs_name: str,
    suffix: str | None,
    jobs: int | None,
    overwrite: bool,
    ignore_below: float | None,
    upsample: bool,
    confidence: float | None,
    agree_with: Path | None,
    palette: bool,
    packed: bool,
    zarr_output: str | None,
    levels: int,
    preview: str | None,
    cluster: str | None,
    **given: Any,
) -> None:
    """Refine the probabilities of one image, or of a folder of them.

    IMAGE is a picture (PNG, JPEG, TIFF, BMP, WebP), a volume (NIfTI, .mha, .nrrd) or an array
    (.npy, .npz, .h5) of shape (H, W), (H, W, K) or (D, H, W[, K]); or Zarr or OME-Zarr of any size,
    as PROBS and the output are then, too: it is refined in tiles, and a killed command goes on.

    PROBS are its probabilities: .npy or .npz with the labels last (H, W, L) or first (L, H, W); a
    .npz of nnU-Net (--save_probabilities); NIfTI (x, y, z, L); a grey picture of one foreground; a
    file of each label, such as scan_prob_{label}.nii.gz; or some of the labels, as `crfrnn pack`
    writes them.

    Parameters that are not given are guessed from the image and shown.

    Folders are matched by file name: images/a.png with probs/a.npy; nnU-Net's case_0000.nii.gz and
    case_0001.nii.gz are the channels of case.npz. Other names are told by --image-name and
    --probs-name. Files without partner are left out; a case that fails is named and the others go
    on. The same command again does what is missing.

    \b
    Examples:
      crfrnn refine photo.jpg probs.npy -o labels.png
      crfrnn refine photo.jpg probs.npy -o refined.npy --theta-alpha 60 --theta-beta 10
      crfrnn refine scan_0000.nii.gz scan.npz -o scan.nii.gz
      crfrnn refine imagesTs/ predictions/ -o refined/ --parameters best.json
      crfrnn refine slide.zarr probs.zarr -o labels.zarr --parameters best.json
    """
    settings = making.settings(
        ignore_below=ignore_below,
        agree_with=agree_with,
        upsample=upsample,
        confidence=confidence,
        palette=palette,
        packed=packed,
        given=given,
    )
    parameters = given["parameters"]
    verdict = parameters and parameter_file.verdict(parameters)
    if files.is_zarr(image):
        tiled.run(
            image,
            probs,
            mask,
            output,
            settings,
            overwrite=overwrite,
            kind=zarr_output or "labels",
            levels=levels,
            preview=preview,
            cluster=cluster,
            jobs=jobs,
        )
        return
    if files.is_zarr(probs):
        raise click.UsageError(
            f"{probs} is Zarr, and {image} is not. Convert both to Zarr, or neither."
        )
    if preview or cluster or levels > 1 or zarr_output:
        raise click.UsageError(
            "--preview, --cluster, --levels and --zarr-output are for Zarr images."
        )
    if image.is_dir() != probs.is_dir() or (mask and mask.is_dir() != image.is_dir()):
        raise click.UsageError("IMAGE and PROBS (and --mask) are two files, or two folders.")
    if image.is_dir():
        destinations.check_output_folder(output, image, probs, mask)
        names = options.names(
            glob=glob, probs_glob=probs_glob, image_name=image_name, probs_name=probs_name
        )
        found = pairing.find(image, probs, None, mask, names=names, results=output)
        ending = outputs.ending(found.cases[0].image[0], settings.how, suffix)
        outputs.check_ending(Path(f"*{ending}"), settings.how, settings.agree_with is not None)
        with batch.alone(output):
            status = _folder(found, output, settings, ending, jobs, overwrite)
        if verdict and status != options.INTERRUPTED:
            click.echo(verdict)
        sys.exit(status)
    first, *others = pairing.numbered(probs)
    paths = Paths(output.name, (image,), first, None, mask, tuple(others))
    destinations.check_output(output, overwrite, *paths.inputs(), parameters, agree_with)
    files.suffix(output)
    with files.replacing(output) as part:
        outcome = refining.run(paths, settings, part)
    options.show(outcome.parameters, outcome.guessed)
    if outcome.reasons:
        click.echo(summary.why(outcome))
    if verdict:
        click.echo(verdict)
    for text in outcome.warnings:
        click.echo(f"Warning: {text}", err=True)
    click.echo(
        f"{100 * outcome.changed:.2f} % of the points have another label "
        f"({outcome.seconds:.1f} s). Written: {output}"
    )


def _folder(
    found: Found,
    output: Path,
    settings: Settings,
    ending: str,
    jobs: int | None,
    overwrite: bool,
) -> int:
    """Refines what is not complete yet; the exit status."""
    paths = found.cases
    todo, complete = batch.plan(paths, output, ending, settings, overwrite)
    volumes = any(files.suffix(case.image[0]) in files.VOLUMES for case in paths)
    processes = min(jobs or (1 if volumes else num_cores()), max(1, len(todo)))
    if complete:
        click.echo(f"Complete already, with these parameters: {complete} of {len(paths)} cases.")
    missing = [name for name in NAMES if name not in settings.parameters]
    if missing and todo:
        click.echo(f"Guessed for each image: {', '.join(missing)}.")
    for line in found.left_out():
        click.echo(f"Left out: {line}", err=True)
    failed = dict(found.problems)
    outcomes: list[Outcome] = []
    allocation.keep_freed()
    try:
        with Bar(total=len(todo), desc="refine", unit="case") as bar:
            for job, outcome in batch.run(todo, output, settings, processes, at_most=jobs is None):
                bar.update()
                if isinstance(outcome, str):
                    failed[job.paths.name] = outcome
                    continue
                outcomes.append(outcome)
                for text in outcome.warnings:
                    bar.write(f"Warning: {job.paths.name}: {text}", file=sys.stderr)
    except KeyboardInterrupt:
        click.echo(
            f"Interrupted: {len(outcomes)} of {len(todo)} done. "
            "The same command again does the rest.",
            err=True,
        )
        return options.INTERRUPTED
    for name, text in failed.items():
        click.echo(f"Failed: {name}: {text}", err=True)
    for line in summary.of_folder(outcomes):
        click.echo(line)
    click.echo(
        f"{len(outcomes)} refined, {complete} complete already, {len(failed)} failed: {output}"
    )
    return 1 if failed else 0
