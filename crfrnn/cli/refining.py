"""What the command does with one case."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crfrnn import files
from crfrnn.cli import cases
from crfrnn.cli.cases import Case, Paths
from crfrnn.offline import slices
from crfrnn.offline.intensities import normalise
from crfrnn.offline.refine import refine

REQUIRED = ("theta_alpha", "theta_beta", "theta_gamma", "bilateral_weight", "spatial_weight")
OPTIONAL = ("num_iterations", "normalization", "compatibility", "method", "window")
_WORKFLOW = ("spacing", "slice_axis", "rescale", "layout")


class Settings(NamedTuple):
    """How a case is refined.

    parameters: arguments of `crfrnn.refine`; of those that have no default, the ones that are
        missing are guessed for each case.
    spacing: distance of neighbouring points, in place of that of the file; a number or one
        per axis.
    slice_axis: refine each slice across this axis by itself.
    rescale: map the percentiles of each channel to 0 and 1 first; see `intensities.normalise`.
    layout: of the probabilities; see `layouts.find`.
    """

    parameters: Mapping[str, Any]
    spacing: float | tuple[float, ...] | None = None
    slice_axis: int | None = None
    rescale: bool = False
    layout: str = "auto"


class Outcome(NamedTuple):
    """What became of one case.

    parameters: all that were used; guessed: the names of those that were guessed.
    changed: share of the points whose most likely label changed.
    """

    parameters: dict[str, Any]
    guessed: tuple[str, ...]
    changed: float
    seconds: float
    warnings: tuple[str, ...]


def read_parameters(path: Path) -> dict[str, Any]:
    """The content of a parameter file, as `crfrnn search` writes it, checked.

    Args:
        path: a JSON file, {"parameters": {"theta_alpha": 30, ...}, "rescale": false, ...} or only
            the parameters.

    Returns:
        "parameters", and of "spacing", "slice_axis", "rescale", "layout" those that are given.

    Raises:
        ValueError: no JSON, or names that no CRF has.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read the parameters in {path}: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object. Received {type(content).__name__}.")
    parameters = content.get("parameters", content)
    if not isinstance(parameters, dict):
        raise ValueError(
            f'{path}: expected a JSON object as "parameters". Received {parameters!r}.'
        )
    unknown = sorted(set(parameters) - {*REQUIRED, *OPTIONAL, *_WORKFLOW})
    if unknown:
        raise ValueError(
            f"{path}: expected parameters of crfrnn.refine. Received {', '.join(unknown)}. "
            f"Known are {', '.join(REQUIRED + OPTIONAL)}."
        )
    given = {**parameters, **content}  # both places will do: `spacing` is an argument of refine
    workflow = {name: given[name] for name in _WORKFLOW if given.get(name) is not None}
    crf = {name: value for name, value in parameters.items() if name not in _WORKFLOW}
    return {**workflow, "parameters": crf}


def run(paths: Paths, settings: Settings, output: Path) -> Outcome:
    """Read a case, refine it and write the result.

    Args:
        paths: of the case.
        settings: how.
        output: where to; see `cases.write`.

    Raises:
        ValueError, OSError, ImportError: whatever keeps it from being done.
    """
    start = time.perf_counter()
    case = cases.read(paths, settings.layout)
    if files.suffix(output) not in files.ARRAYS:
        files.check_label_format(output, case.probs.ndim - 1, case.nifti)  # before the work
    image, spacing = prepare(case, settings)
    parameters, guessed = complete(settings.parameters, image, case.probs, spacing)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        refined = _refine(image, case.probs, spacing, settings.slice_axis, parameters)
    changed = np.mean(refined.argmax(-1) != case.probs.argmax(-1))
    texts = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    cases.write(output, refined, case)
    return Outcome(parameters, guessed, float(changed), time.perf_counter() - start, texts)


def prepare(case: Case, settings: Settings) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """The image (*S, K) and the spacing (S,) that the CRF gets."""
    axes = case.probs.ndim - 1
    if settings.slice_axis is not None and axes != 3:
        raise ValueError(f"Expected a volume for --slice-axis. Received an image of {axes} axes.")
    image = normalise(case.image) if settings.rescale else case.image
    if settings.spacing is None:
        return image, case.spacing
    if np.size(settings.spacing) not in (1, axes):
        raise ValueError(
            f"Expected a --spacing of {axes} numbers, one per axis. Received {settings.spacing}."
        )
    return image, tuple(map(float, np.broadcast_to(settings.spacing, axes)))


def complete(
    parameters: Mapping[str, Any],
    image: np.ndarray,
    probs: np.ndarray,
    spacing: tuple[float, ...] | None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The parameters with guesses for the required ones that are missing, and their names."""
    if all(name in parameters for name in REQUIRED):
        return dict(parameters), ()
    from crfrnn.parameters.first_guess import first_guess

    guess = first_guess([image], [probs], spacing=spacing)
    guessed = tuple(name for name in guess if name not in parameters)
    return {**guess, **parameters}, guessed


def _refine(
    image: np.ndarray,
    probs: np.ndarray,
    spacing: tuple[float, ...] | None,
    slice_axis: int | None,
    parameters: Mapping[str, Any],
) -> np.ndarray:
    if slice_axis is None:
        return refine(image, probs, spacing=spacing, **parameters)
    pieces, spacing = slices.cut(image, probs, spacing, slice_axis)
    refined = [refine(i, p, spacing=spacing, **parameters) for i, p in pieces]
    return np.stack(refined, slice_axis)
