"""crfrnn diagnose"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crfrnn import files
from crfrnn.cli import cases, destinations, options, pairing, refining
from crfrnn.cli.cases import Paths
from crfrnn.cli.probabilities import unknown_among
from crfrnn.optional import needed


@click.command(short_help="Why a CRF does nothing to an image, or too much.")
@click.argument("image", type=options.EXISTING)
@click.argument("probs", type=options.PROBS)
@click.option(
    "--labels",
    type=options.EXISTING,
    help="The true label map, if it is known; 255: no label, which does not count.",
)
@click.option(
    "-o", "--output", type=options.FILE, help="Figure to write, such as why.png or why.pdf."
)
@options.add(*options.CRF, *options.INPUT, options.MASK, options.NAN_OUTSIDE, options.OVERWRITE)
def diagnose(
    image: Path,
    probs: Path,
    labels: Path | None,
    output: Path | None,
    mask: Path | None,
    overwrite: bool,
    **given: Any,
) -> None:
    """Why a CRF does nothing to an image, or too much.

    IMAGE, PROBS and the parameters are as for `crfrnn refine`. Prints what the CRF does and what
    could be changed; the figure shows it.

    \b
    Examples:
      crfrnn diagnose photo.jpg probs.npy -o why.png --theta-beta 3
      crfrnn diagnose scan.nii.gz scan.npz --labels truth.nii.gz --parameters best.json
    """
    from crfrnn.diagnosis.diagnose import diagnose as find

    first, *others = pairing.numbered(probs)
    paths = Paths(files.stem(image), (image,), first, labels, mask, tuple(others))
    if output is not None:
        needed("matplotlib", "Figures", "plot")
        destinations.check_output(output, overwrite, *paths.inputs(), given["parameters"])
    settings = options.settings(**given)
    if settings.slice_axis is not None:
        raise click.UsageError("--slice-axis is not for diagnose: it looks at one volume or image.")
    with options.told():
        case = cases.read(paths, settings.kind)
        prepared = refining.prepare(case, settings)
        parameters, guess = refining.complete(settings.parameters, prepared, case.probs)
        found = find(
            prepared.image,
            case.probs,
            case.labels,
            spacing=prepared.spacing,
            mask=prepared.mask,
            unknown=unknown_among(case.probs.shape[-1]),
            **parameters,
        )
    options.show(parameters, [name for name in guess or () if name not in settings.parameters])
    click.echo(f"\n{found}")
    if output is not None:
        with files.replacing(output) as part:
            found.plot().savefig(part)
        click.echo(f"\nWritten: {output}")
