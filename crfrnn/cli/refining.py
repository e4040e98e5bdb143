"""What the command does with one case."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crfrnn import files
from crfrnn.cli import cases, outputs
from crfrnn.cli.cases import Case, Paths
from crfrnn.cli.outputs import Refined
from crfrnn.meanfield.parameters import NAMES, WEIGHTS
from crfrnn.offline import slices
from crfrnn.offline.intensities import normalise
from crfrnn.offline.refine import refine, refine_upsampled
from crfrnn.offline.upsampling import upsample

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
    upsample: the probabilities may be smaller than their picture.
    palette, confidence, packed: of the output; see `outputs.How`.
    agree_with: parameters of a second CRF, in place of those of the first; label maps are 255 where
        the two disagree.
    """

    parameters: Mapping[str, Any]
    spacing: float | tuple[float, ...] | None = None
    slice_axis: int | None = None
    rescale: bool = False
    layout: str = "auto"
    logits: bool = False
    labels_as_probs: float | None = None
    nan_outside: bool = False
    upsample: bool = False
    palette: bool = False
    confidence: float | None = None
    packed: bool = False
    agree_with: Mapping[str, Any] | None = None

    @property
    def kind(self) -> cases.Kind:
        """What the files of probabilities hold."""
        return cases.Kind(self.layout, self.logits, self.labels_as_probs, self.nan_outside)

    @property
    def how(self) -> outputs.How:
        """What the outputs shall be like."""
        return outputs.How(self.palette, self.confidence, self.packed)


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
        output: where to; see `outputs.write`.

    Raises:
        ValueError, OSError, ImportError: whatever keeps it from being done.
    """
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case = cases.read(paths, settings.kind._replace(small=settings.upsample, sparse=True))
        outputs.check(output, case, settings.how, settings.agree_with is not None)
        prepared = prepare(case, settings)
        parameters, guess = complete(settings.parameters, prepared, case.probs)
        # A whole array is asked for: of small probabilities all labels are upsampled.
        whole = files.suffix(output) in files.ARRAYS and not settings.packed
        refined, other = _refined(prepared, case, settings.slice_axis, parameters, whole), None
        if settings.agree_with is not None:
            second = {**parameters, **settings.agree_with}
            other = _refined(prepared, case, settings.slice_axis, second, whole).label_map()
    texts = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    changed = refined.changed()
    with files.written(output):
        outputs.write(output, refined, case, settings.how, other)
    seconds = time.perf_counter() - start
    guessed = tuple(name for name in guess or () if name not in settings.parameters)
    reasons, sure = ("", True) if guess is None else (guess.reasons, guess.sure)
    return Outcome(parameters, guessed, changed, seconds, texts, reasons, sure)


def prepare(case: Case, settings: Settings) -> Prepared:
    """What the CRF gets of a case."""
    axes = case.image.ndim - 1
    check_axes(axes, settings)
    if case.nifti is None and settings.spacing is None:
        warn_of_batch(case.image.shape, settings.slice_axis)
    image, mask = _without_missing(case.image, case.mask)
    if settings.rescale:
        image = _rescaled(image, mask)
    if settings.spacing is None:
        return Prepared(image, mask, case.spacing)
    return Prepared(image, mask, tuple(map(float, np.broadcast_to(settings.spacing, axes))))


def check_axes(axes: int, settings: Settings) -> None:
    """ValueError where settings are of another number of axes than the image's."""
    if settings.slice_axis is not None and axes != 3:
        raise ValueError(f"Expected a volume for --slice-axis. Received an image of {axes} axes.")
    if settings.spacing is not None and np.size(settings.spacing) not in (1, axes):
        raise ValueError(
            f"Expected a --spacing of {axes} numbers, one per axis. Received {settings.spacing}."
        )


def warn_of_batch(shape: tuple[int, ...], slice_axis: int | None) -> None:
    """Warns where an image (*S, K) whose slices are not said to lie apart is likely a batch."""
    if len(shape) == 4 and shape[-1] in (3, 4) and slice_axis is None:
        warnings.warn(
            f"the image of shape {shape} is read as a volume, whose slices influence "
            "one another. If they are pictures that do not belong together, add --slice-axis 0; "
            "if they do, say by --spacing how far apart they are.",
            stacklevel=3,
        )


def complete(
    parameters: Mapping[str, Any], prepared: Prepared, probs: np.ndarray
) -> tuple[dict[str, Any], Guess | None]:
    """The parameters with guesses for the required ones that are missing, and the guess, if any."""
    if all(name in parameters for name in NAMES):
        return dict(parameters), None
    from crfrnn.parameters.first_guess import first_guess

    image, mask, spacing = prepared
    # Where nothing is known, all labels are equally likely.
    known = np.where(np.isnan(probs).any(-1, keepdims=True), 1 / probs.shape[-1], probs)
    known = upsample(known, image.shape[:-1])
    if known.shape[-1] == 1:  # a CRF has two labels, of which one is nowhere
        known = np.concatenate([known, np.zeros_like(known)], -1)
    guess = first_guess([image], [known], spacing=spacing, mask=[mask])
    return {**guess, **parameters}, guess


def _without_missing(
    image: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The image and a mask that leaves out its NaN (no data, background).

    Raises ValueError where nothing is left, or infinite values are.
    """
    if image.dtype.kind != "f" or (finite := np.isfinite(image).all(-1)).all():
        return image, mask
    there = ~np.isnan(image).any(-1)
    mask = there if mask is None else mask & there
    if not mask.any():
        raise ValueError("Expected an image with some point that counts. Received none but NaN.")
    infinite = mask & ~finite
    if infinite.any():
        raise ValueError(
            f"Expected a finite image. Received infinite values at {infinite.sum()} of "
            f"{infinite.size} points. Where they stand for nothing, save them as NaN: such points "
            "take no part."
        )
    return image, mask


def _rescaled(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if mask is None:
        return normalise(image)
    rescaled = np.zeros(image.shape, np.float32)
    rescaled[mask] = normalise(image[mask])
    return rescaled


def _refined(
    prepared: Prepared,
    case: Case,
    slice_axis: int | None,
    parameters: Mapping[str, Any],
    whole: bool,
) -> Refined:
    """A case through the CRF; `whole`: with all labels that the file has."""
    image, mask, spacing = prepared
    probs, count = case.probs, case.probs.shape[-1]
    keys = np.arange(count) if case.keys is None else case.keys
    num_labels = count if case.keys is None else case.num_labels
    how = _of_labels(parameters, keys, num_labels)
    if mask is not None:
        how["mask"] = mask
    if count == 1:  # one label is everywhere
        probs = upsample(probs, image.shape[:-1])
        return Refined(probs, probs, keys, num_labels)
    if slice_axis is not None or (whole and how.get("ignore_below")):
        probs = upsample(probs, image.shape[:-1])
        refined = _by_slices(image, probs, spacing, slice_axis, how)
        return Refined(refined, probs, keys, num_labels)
    found = refine_upsampled(image, probs, spacing=spacing, **how)
    return Refined(found.probs, found.before, keys[found.labels], num_labels)


def _of_labels(
    parameters: Mapping[str, Any], keys: np.ndarray, num_labels: int | None
) -> dict[str, Any]:
    """The parameters for some labels alone, of those that have a number for each or each pair."""
    how = dict(parameters)
    if num_labels is not None and len(keys) == num_labels:
        return how
    for name in (*WEIGHTS, "compatibility"):
        if name in how and not isinstance(how[name], str) and np.ndim(how[name]):
            value = np.asarray(how[name])
            if max(keys) >= len(value):
                raise ValueError(
                    f"Expected `{name}` with a number for each of the labels up to {max(keys)}. "
                    f"Received {len(value)}."
                )
            how[name] = value[np.ix_(*[keys] * value.ndim)]
    return how


def _by_slices(
    image: np.ndarray,
    probs: np.ndarray,
    spacing: tuple[float, ...] | None,
    slice_axis: int | None,
    how: dict[str, Any],
) -> np.ndarray:
    if slice_axis is None:
        return refine(image, probs, spacing=spacing, **how)
    mask = how.get("mask")
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
