"""crfrnn explore"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crfrnn import files
from crfrnn.cli import cases, options, outputs, pairing, reading, refining
from crfrnn.cli.cases import Paths
from crfrnn.explorer.session import Session

_NO_METHOD = options.CRF[:-1]  # the page has the lattice


@click.command(short_help="See in the browser what a CRF does to an image, while settings move.")
@click.argument("image", type=options.EXISTING)
@click.argument("probs", type=options.PROBS, required=False)
@click.option("--labels", type=options.EXISTING, help="The true label map, if it is known.")
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    help="File that the button Save of the page writes, as `crfrnn refine` would.",
)
@options.add(*_NO_METHOD, *options.INPUT, options.OVERWRITE)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: one that is free.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def explore(
    image: Path,
    probs: Path | None,
    labels: Path | None,
    output: Path | None,
    overwrite: bool,
    port: int,
    no_browser: bool,
    **given: Any,
) -> None:
    """See in the browser what a CRF does to an image, while settings move.

    IMAGE and PROBS are as for `crfrnn refine`; volumes are shown slice by slice. Without PROBS,
    draw strokes. The page is served on this machine, to this machine only, until Ctrl-C.

    \b
    Examples:
      crfrnn explore photo.jpg
      crfrnn explore photo.jpg probs.npy --labels truth.png
      crfrnn explore scan.nii.gz scan.npz -o labels.nii.gz
    """
    from crfrnn.explorer.serve import serve

    settings = options.settings(**given)
    if probs is None and (labels is not None or output is not None):
        raise click.UsageError("--labels and --output need PROBS.")
    with options.told():
        if probs is None:
            session = _of_strokes(image, settings)
        else:
            first, *others = pairing.numbered(probs)
            paths = Paths(files.stem(image), (image,), first, labels, None, tuple(others))
            if output is not None:
                options.check_output(output, overwrite, *paths.inputs(), given["parameters"])
            session = _of_case(paths, settings, output)
    serve(session, files.stem(image), port=port, browser=not no_browser, say=click.echo)


def _of_strokes(image: Path, settings: refining.Settings) -> Session:
    found = reading.image([image])
    values = found.values
    if values.shape == found.grids[0]:
        values = values[..., None]
    spacing = settings.spacing
    return Session(values, spacing=spacing, crf=settings.parameters, workflow=_workflow(settings))


def _of_case(paths: Paths, settings: refining.Settings, output: Path | None) -> Session:
    case = cases.read(paths, settings.kind)
    prepared = refining.prepare(case, settings._replace(slice_axis=None))
    if output is not None:
        outputs.check(output, case, settings.how, False)

    def save(session: Session) -> str:
        path = output or Path()
        chosen = settings._replace(parameters=session.parameters, slice_axis=session.axis)
        with files.replacing(path) as part:
            outcome = refining.run(paths, chosen, part)
        return f"{100 * outcome.changed:.2f} % of the points changed. Written: {path}"

    return Session(
        prepared.image,
        case.probs,
        case.labels,
        prepared.spacing,
        settings.parameters,
        _workflow(settings),
        save if output is not None else None,
    )


def _workflow(settings: refining.Settings) -> dict[str, Any]:
    """What a parameter file has to say beside the parameters."""
    found = {"rescale": settings.rescale, "spacing": settings.spacing}
    return {name: value for name, value in found.items() if value}
