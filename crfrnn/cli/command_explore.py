"""crfrnn explore"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crfrnn import files
from crfrnn.cli import cases, destinations, options, outputs, pairing, refining
from crfrnn.cli.cases import Case, Paths
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
    if probs is None:
        _refuse(labels, output, **given)
    with options.told():
        if probs is None:
            session = _of_strokes(image, settings)
        else:
            first, *others = pairing.numbered(probs)
            paths = Paths(files.stem(image), (image,), first, labels, None, tuple(others))
            if output is not None:
                destinations.check_output(output, overwrite, *paths.inputs(), given["parameters"])
            session = _of_case(paths, settings, output)
    serve(session, files.stem(image), port=port, browser=not no_browser, say=click.echo)


def _refuse(
    labels: Path | None,
    output: Path | None,
    *,
    logits: bool,
    layout: str,
    labels_as_probs: float | None,
    **_: Any,
) -> None:
    """UsageError where something is said of probabilities that are not there."""
    said = {
        **{"--labels": labels, "--output": output, "--logits": logits},
        **{"--layout": layout != "auto", "--labels-as-probs": labels_as_probs},
    }
    if wrong := [name for name, value in said.items() if value]:
        raise click.UsageError(
            f"Expected PROBS with {', '.join(wrong)}. Received none. Without PROBS labels are "
            "drawn as strokes."
        )


def _of_strokes(image: Path, settings: refining.Settings) -> Session:
    prepared = _prepared(cases.without_probs(image), settings)
    return Session(
        prepared.image,
        spacing=prepared.spacing,
        crf=settings.parameters,
        workflow=_workflow(settings),
        axis=settings.slice_axis,
    )


def _of_case(paths: Paths, settings: refining.Settings, output: Path | None) -> Session:
    case = cases.read(paths, settings.kind)
    prepared = _prepared(case, settings)
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
        settings.slice_axis,
    )


def _prepared(case: Case, settings: refining.Settings) -> refining.Prepared:
    axis = settings.slice_axis
    if axis is None and case.image.ndim == 4:
        axis = 0  # any: slices are shown each by itself, so that none influences another
    return refining.prepare(case, settings._replace(slice_axis=axis))


def _workflow(settings: refining.Settings) -> dict[str, Any]:
    """What a parameter file has to say beside the parameters."""
    found = {"rescale": settings.rescale, "spacing": settings.spacing}
    return {name: value for name, value in found.items() if value}
