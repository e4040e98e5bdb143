"""What the command does with one case."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crfrnn import files
from crfrnn.cli import cases
from crfrnn.cli.cases import Case, Paths
from crfrnn.meanfield.parameters import NAMES
from crfrnn.offline import slices
from crfrnn.offline.intensities import normalise
from crfrnn.offline.refine import refine

if TYPE_CHECKING:
    from crfrnn.parameters.first_guess import Guess

NO_MEMORY = (
    "There is not enough memory for it. A CRF needs about 100 bytes per point and 16 per point and "
    "label: cut the image into pieces, add --slice-axis for a volume, or use fewer --jobs."
)


class Settings(NamedTuple):
    """How a case is refined.

    parameters: arguments of `crfrnn.refine`; of those that have no default, the ones that are
        missing are guessed for each case.
    spacing: distance of neighbouring points, in place of that of the file; a number or one
        per axis.
    slice_axis: refine each slice across this axis by itself.
    rescale: map the percentiles of each channel to 0 and 1 first; see `intensities.normalise`.
    layout, logits, labels_as_probs, nan_outside: of the probabilities; see `cases.Kind`.
    """

    parameters: Mapping[str, Any]
    spacing: float | tuple[float, ...] | None = None
    slice_axis: int | None = None
    rescale: bool = False
    layout: str = "auto"
    logits: bool = False
    labels_as_probs: float | None = None
    nan_outside: bool = False

    @property
    def kind(self) -> cases.Kind:
        """What the files of probabilities hold."""
        return cases.Kind(self.layout, self.logits, self.labels_as_probs, self.nan_outside)


class Prepared(NamedTuple):
    """What the CRF gets: image (*S, K), mask (*S) or None, and spacing (S,) or None."""

    image: np.ndarray
    mask: np.ndarray | None
    spacing: tuple[float, ...] | None


class Outcome(NamedTuple):
    """What became of one case.

    parameters: all that were used; guessed: the names of those that were guessed.
    changed: share of the points whose most likely label changed.
    reasons: of the guess, empty where nothing was guessed; sure: whether the guess rests on them.
    """

    parameters: dict[str, Any]
    guessed: tuple[str, ...]
    changed: float
    seconds: float
    warnings: tuple[str, ...]
    reasons: str = ""
    sure: bool = True


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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case = cases.read(paths, settings.kind)
        if files.suffix(output) not in files.ARRAYS:
            files.check_label_format(output, case.probs.ndim - 1, case.nifti)  # before the work
        prepared = prepare(case, settings)
        parameters, guess = complete(settings.parameters, prepared, case.probs)
        refined = _refine(prepared, case.probs, settings.slice_axis, parameters)
    changed = np.mean(refined.argmax(-1) != case.probs.argmax(-1))
    texts = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    cases.write(output, refined, case)
    seconds = time.perf_counter() - start
    guessed = tuple(name for name in guess or () if name not in settings.parameters)
    reasons, sure = ("", True) if guess is None else (guess.reasons, guess.sure)
    return Outcome(parameters, guessed, float(changed), seconds, texts, reasons, sure)


def prepare(case: Case, settings: Settings, masks: bool = True) -> Prepared:
    """What the CRF gets of a case; without `masks` an image with points to leave out is refused."""
    axes = case.probs.ndim - 1
    if settings.slice_axis is not None and axes != 3:
        raise ValueError(f"Expected a volume for --slice-axis. Received an image of {axes} axes.")
    if settings.spacing is not None and np.size(settings.spacing) not in (1, axes):
        raise ValueError(
            f"Expected a --spacing of {axes} numbers, one per axis. Received {settings.spacing}."
        )
    is_batch = axes == 3 and case.nifti is None and case.image.shape[-1] in (3, 4)
    if is_batch and settings.slice_axis is None and settings.spacing is None:
        warnings.warn(
            f"the image of shape {case.image.shape} is read as a volume, whose slices influence "
            "one another. If they are pictures that do not belong together, add --slice-axis 0; "
            "if they do, say by --spacing how far apart they are.",
            stacklevel=2,
        )
    image, mask = _without_missing(case.image, case.mask)
    if mask is not None and not masks:
        raise ValueError(
            f"Expected an image with a value at every point. Received {np.sum(~mask)} points of "
            "NaN or without data, which only `crfrnn refine` can leave out. Cut them off."
        )
    if settings.rescale:
        image = _rescaled(image, mask)
    if settings.spacing is None:
        return Prepared(image, mask, case.spacing)
    return Prepared(image, mask, tuple(map(float, np.broadcast_to(settings.spacing, axes))))


def complete(
    parameters: Mapping[str, Any], prepared: Prepared, probs: np.ndarray
) -> tuple[dict[str, Any], Guess | None]:
    """The parameters with guesses for the required ones that are missing, and the guess, if any."""
    if all(name in parameters for name in NAMES):
        return dict(parameters), None
    from crfrnn.parameters.first_guess import first_guess

    # Where nothing is known, all labels are equally likely.
    known = np.where(np.isnan(probs).any(-1, keepdims=True), 1 / probs.shape[-1], probs)
    guess = first_guess([prepared.image], [known], spacing=prepared.spacing)
    return {**guess, **parameters}, guess


def _without_missing(
    image: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The image with its NaN (no data, background) filled, and a mask that leaves them out."""
    there = ~np.isnan(image).any(-1) if image.dtype.kind == "f" else np.ones(image.shape[:-1], bool)
    if there.all():
        return image, mask
    mask = there if mask is None else mask & there
    if not mask.any():
        raise ValueError("Expected an image with some point that counts. Received none but NaN.")
    # A value of the image, so that what is guessed from its intensities stays right.
    return np.where(there[..., None], image, np.median(image[mask], 0)), mask


def _rescaled(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if mask is None:
        return normalise(image)
    rescaled = np.zeros(image.shape, np.float32)
    rescaled[mask] = normalise(image[mask])
    return rescaled


def _refine(
    prepared: Prepared, probs: np.ndarray, slice_axis: int | None, parameters: Mapping[str, Any]
) -> np.ndarray:
    image, mask, spacing = prepared
    how = dict(parameters) if mask is None else {**parameters, "mask": mask}
    if slice_axis is None:
        return refine(image, probs, spacing=spacing, **how)
    pieces, spacing = slices.cut(image, probs, spacing, slice_axis)
    refined = []
    for number, (piece, likely) in enumerate(pieces):
        if mask is not None:
            how["mask"] = mask.take(number, slice_axis)
            if not how["mask"].any():  # nothing to do
                refined.append(likely)
                continue
        refined.append(refine(piece, likely, spacing=spacing, **how))
    return np.stack(refined, slice_axis)
