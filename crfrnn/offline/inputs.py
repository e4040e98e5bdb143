"""An image and what belongs to it, as the offline CRF takes them: checked at its doors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.meanfield.parameters import declared

# How far rows of probabilities may be from sum 1: float16 softmaxes over some hundred labels stay
# within.
SUM_TOLERANCE = 1e-2

# How far below 0 a probability may be: interpolation and sums in float16 round so.
_ROUNDING = 1e-3

# Enough points to judge intensities by.
_SAMPLE = 2**14


# The arguments of an offline CRF beside the five parameters, for its doors.
OPTIONS = ("compatibility", "normalization", "spacing", "method", "window", "ignore_below")
NO_PARAMETERS = "`crfrnn.first_guess(image, probs)` proposes them, `crfrnn.search` finds them."


def case(image: Any, probs: Any, mask: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """An image (*S, K) and its probabilities (*S, L), from an image (*S,) or (*S, K).

    mask: (*S) of bool, the points that count, as `points_of` returns it; or None.
    """
    image = checks.array("image", image)
    probs = checks.array("probs", probs)
    same_grid(image, probs)
    probs = probabilities(probs, mask=mask)
    return finite_image(image if image.ndim == probs.ndim else image[..., None], mask), probs


def finite_image(value: Any, mask: np.ndarray | None = None) -> np.ndarray:
    """An image (*S, K), finite where `mask` (*S) is, with 1 to 3 axes S and K >= 1 channels."""
    result = checks.array("image", value)
    if not 2 <= result.ndim <= 4 or result.shape[-1] == 0:
        raise ValueError(
            "Expected an image (*S, K) with 1 to 3 axes S and K >= 1 channels. "
            f"Received shape {result.shape}. "
            "A grey image gets its channel axis by image[..., None]."
        )
    # A sum is many times as fast as isfinite, and only finite numbers have a finite one (but for
    # overflow, hence the second look).
    with np.errstate(all="ignore"):
        suspicious = result.dtype.kind == "f" and not np.isfinite(result.sum())
    if not suspicious:
        return result
    bad = ~np.isfinite(result).all(axis=-1)
    if mask is not None:
        if not np.any(bad & mask):
            return np.where(mask[..., None], result, 0)
        bad &= mask
    if bad.any():
        raise ValueError(
            f"Expected a finite image. Received one with NaN or infinite values at {bad.sum()} of "
            f"{bad.size} points. Where they stand for nothing, leave these points out: "
            "mask=np.isfinite(image).all(-1)."
        )
    return result


def coordinates(value: Any, shape: tuple[int, ...], spacing: Any) -> np.ndarray:
    """Coordinates (N, 1 to 3) of the points of an image of the shape S = (N,), finite."""
    result = checks.array("coordinates", value)
    if len(shape) != 1 or result.ndim != 2 or not 1 <= result.shape[1] <= 3:
        raise ValueError(
            "Expected `coordinates` (N, 1 to 3) for an image (N, K) and probabilities (N, L). "
            f"Received coordinates of shape {result.shape} for points of shape {shape}."
        )
    if len(result) != shape[0] or not np.isfinite(result).all():
        raise ValueError(
            f"Expected finite coordinates of {shape[0]} points. Received shape {result.shape}, "
            f"{np.sum(~np.isfinite(result))} numbers not finite."
        )
    if spacing is not None:
        raise ValueError(
            "Expected either `coordinates` or `spacing`. Received both. Points with coordinates "
            "form no grid: multiply the coordinates instead."
        )
    return result


def mask_of(mask: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """A mask of the points (*S) that count, of bool; None for all."""
    if mask is None:
        return None
    result = checks.array("mask", mask)
    if result.shape != shape or not np.isin(result, (0, 1)).all():
        raise ValueError(
            f"Expected `mask` of shape {shape}, True where a point counts. Received shape "
            f"{result.shape}, values {np.unique(result)[:5].tolist()}."
        )
    if not result.any():
        raise ValueError("Expected `mask` with some point that counts. Received none but False.")
    return result.astype(bool)


def probabilities(
    probs: Any, shape: tuple[int, ...] | None = None, mask: np.ndarray | None = None
) -> np.ndarray:
    """Probabilities (*S, L), L >= 2, that sum to 1; negative ones within rounding become 0.

    mask: (*S) of bool, the points that count: what is elsewhere may be anything, NaN included.
    """
    probs = checks.array("probs", probs)
    if probs.ndim < 2 or probs.shape[-1] < 2 or (shape is not None and probs.shape != shape):
        expected = "(*S, L), L >= 2" if shape is None else str(shape)
        raise ValueError(
            f"Expected probabilities of shape {expected}. Received shape {probs.shape}. "
            "One probability per point becomes two by np.stack([1 - p, p], -1); "
            "labels first become last by np.moveaxis(p, 0, -1)."
        )
    if not probs.size:
        return probs
    inside = probs if mask is None else probs[mask]
    # A matrix product: ten times as fast as a sum over a short axis.
    ones = np.ones(probs.shape[-1], probs.dtype if probs.dtype.kind == "f" else np.float32)
    sums = inside @ ones
    smallest, least, most = inside.min(), sums.min(), sums.max()
    if np.isnan(smallest):
        raise ValueError(
            f"Expected probabilities without NaN. Received NaN at {np.isnan(sums).sum()} of "
            f"{sums.size} points. Where they stand for nothing, such as outside of a brain, leave "
            "these points out: mask=np.isfinite(probs).all(-1). Elsewhere a network has failed."
        )
    if not (smallest >= -_ROUNDING and most < 1 + SUM_TOLERANCE and least > 1 - SUM_TOLERANCE):
        raise ValueError(
            "Expected probabilities that are not negative and sum to 1 over the last axis. "
            f"Received: values in [{smallest}, {inside.max()}], sums in [{least}, {most}]. "
            "Apply a softmax to logits (`probs_from_logits`), move the label axis last, and make "
            "two of one probability per point: np.stack([1 - p, p], -1)."
        )
    if smallest >= 0:
        return probs
    positive = np.maximum(probs, 0)
    return positive if mask is None else np.where(mask[..., None], positive, probs)


def label_map(
    labels: Any, num_labels: int, grid: tuple[int, ...] | None = None, ignore: int | None = None
) -> np.ndarray:
    """Labels (*S), whole numbers 0..L-1 or `ignore`, as int64.

    Resampled maps are off by rounding: they are rounded back.
    """
    result = checks.array("labels", labels)
    rounded = np.round(result) if result.dtype.kind == "f" else result
    whole = rounded is result or bool(np.all(np.abs(rounded - result) < _ROUNDING))
    known = (rounded >= 0) & (rounded < num_labels)
    if ignore is not None:
        known |= rounded == ignore
    if (grid is not None and result.shape != grid) or not whole or not known.all():
        shape = "" if grid is None else f" of shape {grid},"
        wrong = np.unique(result[~known] if whole else result[rounded != result])[:5].tolist()
        raise ValueError(
            f"Expected labels{shape} that are whole numbers 0..{num_labels - 1}"
            f"{'' if ignore is None else f', or {ignore}'}. Received shape {result.shape}"
            f"{f', among the values {wrong}' if wrong else ''}."
        )
    return rounded.astype(np.int64)


def per_case(spacing: Any, count: int) -> list[Any]:
    """`spacing` of each of `count` cases, given once for all or as a list with one for each."""
    listed = isinstance(spacing, list | tuple) or (isinstance(spacing, np.ndarray) and spacing.ndim)
    if not listed or not len(spacing) or np.isscalar(spacing[0]):
        return [spacing] * count
    if len(spacing) != count:
        raise ValueError(
            f"Expected one spacing for all cases, or one for each of {count}. "
            f"Received {len(spacing)}."
        )
    return list(spacing)


def check_points(given: dict[str, Any], grid: tuple[int, ...]) -> None:
    """Checks `coordinates`, and that method="local" has the grid that it needs."""
    partial = [name for name in ("coordinates", "mask") if given.get(name) is not None]
    if partial and given.get("method") == "local":
        raise ValueError(
            f'method="local" needs a grid, which points with `{partial[0]}` have not. '
            'Use method="lattice" or "exact".'
        )
    if given.get("coordinates") is not None:
        spacing = given.get("spacing")
        given["coordinates"] = coordinates(given["coordinates"], grid, spacing)


def sizes_of(image: np.ndarray, given: dict[str, Any], labels: int) -> checks.Sizes:
    """Of an image (*S, K), for the declarations of the other arguments, now without tensors."""
    parameters = {name: given[name] for name in declared(*OPTIONS) if name in given}
    given.update(checks.without_tensors(parameters))
    clouds = given.get("coordinates")
    axes = image.ndim - 1 if clouds is None else clouds.shape[1]
    return {"S": axes, "K": image.shape[-1], "L": labels}


def same_grid(image: np.ndarray, probs: np.ndarray) -> None:
    """Raise ValueError unless image (*S,) or (*S, K) and probs (*S, L) have the same S."""
    if probs.ndim < 2 or probs.shape[:-1] not in (image.shape, image.shape[:-1]):
        hint = ""
        if probs.dtype.kind in "biu" and probs.shape in (image.shape, image.shape[:-1]):
            hint = " Labels become probabilities by `probs_from_labels`."
        elif probs.ndim > 1 and probs.shape[-2::-1] in (image.shape, image.shape[:-1]):
            hint = " The axes are in opposite order: transpose one of them."
        elif probs.shape in (image.shape, image.shape[:-1]):
            hint = " One probability per point becomes two: np.stack([1 - probs, probs], -1)."
        elif probs.ndim > 1 and image.shape[1:] == probs.shape[:-1]:
            hint = " The channels come first: np.moveaxis(image, 0, -1)."
        elif probs.ndim > 1 and probs.shape[1:] in (image.shape, image.shape[:-1]):
            hint = " The labels come first: np.moveaxis(probs, 0, -1), before any softmax."
        raise ValueError(
            "Expected an image (*S,) or (*S, K) and probabilities (*S, L), L >= 2, of the same S. "
            f"Received: image of shape {image.shape}, probs of shape {probs.shape}.{hint}"
        )


def warn_if_blind(image: np.ndarray, theta_beta: Any, mask: np.ndarray | None) -> None:
    """Warn when theta_beta is so large or so small that the bilateral kernel means nothing.

    Args:
        image: (*S, K).
        theta_beta: a number or (K,), in the image's units.
        mask: (*S) of bool, the points that count; None: all.
    """
    theta = np.broadcast_to(np.asarray(theta_beta, np.float64), image.shape[-1:])
    points = image.reshape(-1, image.shape[-1]) if mask is None else image[mask]
    if len(points) < 2:
        return

    def factor(differences: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * np.square(differences / theta).sum(-1))

    sample = points[:: -(-len(points) // _SAMPLE)]
    # The range of a sample is at most that of the image: only a small one needs a second look.
    for seen in (sample, points):
        extent = seen.max(0).astype(np.float64) - seen.min(0)
        if factor(extent) < 0.9:
            break
    else:
        if extent.any():
            warnings.warn(
                f"theta_beta = {_short(theta_beta)} is large for an image whose intensities span "
                f"{_short(extent)}: the bilateral kernel hardly sees an edge. theta_beta is in the "
                "units of the image; `crfrnn.first_guess` proposes one.",
                stacklevel=checks.outside(),
            )
        return
    if mask is not None:
        return  # neighbours in the array need not be points that count
    rows = image.reshape(-1, *image.shape[-2:])  # neighbours along the last axis of the grid
    if image.ndim > 2 and rows.shape[1] > 1:
        rows = rows[:: -(-rows[..., 0].size // _SAMPLE)].astype(np.float64)
        if np.median(factor(np.diff(rows, axis=1))) < 1e-3:
            warnings.warn(
                f"theta_beta = {_short(theta_beta)} is small for an image whose intensities span "
                f"{_short(extent)}: to the bilateral kernel hardly any two neighbours are alike. "
                "theta_beta is in the units of the image; `crfrnn.first_guess` proposes one.",
                stacklevel=checks.outside(),
            )


def _short(numbers: Any) -> str:
    numbers = np.asarray(numbers, np.float64)
    return np.array2string(numbers, precision=4, separator=", ", threshold=8, edgeitems=2)
