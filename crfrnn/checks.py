"""Checks of what users hand to the offline CRF."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np

# How far rows of probabilities may be from sum 1: float16 softmaxes over some hundred labels stay
# within.
_SUM_TOLERANCE = 1e-2

# Enough points to judge intensities by.
_SAMPLE = 2**14


def array(name: str, value: Any) -> np.ndarray:
    """`value` as an array of real numbers; ValueError for anything else."""
    try:
        result = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists, tensors on a GPU
        raise ValueError(
            f"Expected `{name}` to be an array of numbers. Received {type(value).__name__}: {error}"
        ) from error
    if result.dtype.kind not in "buif":
        raise ValueError(
            f"Expected `{name}` to be an array of real numbers. Received dtype {result.dtype}."
        )
    return result


def whole(name: str, value: Any, least: int) -> None:
    """Raise ValueError unless `value` is a whole number, `least` or more."""
    try:
        if operator.index(value) >= least:
            return
    except TypeError:
        pass
    raise ValueError(
        f"Expected `{name}` to be a whole number, {least} or more. Received {value!r}."
    )


def image(value: Any) -> np.ndarray:
    """An image (*S, K), finite, with 1 to 3 axes S and K >= 1 channels."""
    result = array("image", value)
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
    if suspicious and not np.isfinite(result).all():
        raise ValueError("Expected a finite image. Received one with NaN or infinite values.")
    return result


def coordinates(value: Any, shape: tuple[int, ...], spacing: Any) -> np.ndarray:
    """Coordinates (N, 1 to 3) of the points of an image of the shape S = (N,), finite."""
    result = array("coordinates", value)
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


def probabilities(probs: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Probabilities (*S, L), L >= 2, that are not negative and sum to 1."""
    probs = array("probs", probs)
    if probs.ndim < 2 or probs.shape[-1] < 2 or (shape is not None and probs.shape != shape):
        expected = "(*S, L), L >= 2" if shape is None else str(shape)
        raise ValueError(
            f"Expected probabilities of shape {expected}. Received shape {probs.shape}. "
            "One probability per point becomes two by np.stack([1 - p, p], -1); "
            "labels first become last by np.moveaxis(p, 0, -1)."
        )
    if not probs.size:
        return probs
    # A matrix product: ten times as fast as a sum over a short axis.
    sums = probs @ np.ones(probs.shape[-1], probs.dtype if probs.dtype.kind == "f" else np.float32)
    smallest, least, most = probs.min(), sums.min(), sums.max()
    if not (smallest >= 0 and most < 1 + _SUM_TOLERANCE and least > 1 - _SUM_TOLERANCE):
        raise ValueError(
            "Expected probabilities that are not negative and sum to 1 over the last axis. "
            f"Received: values in [{smallest}, {probs.max()}], sums in [{least}, {most}]. "
            "Apply a softmax to logits (`probs_from_logits`), move the label axis last, and make "
            "two of one probability per point: np.stack([1 - p, p], -1)."
        )
    return probs


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


def finite(name: str, value: Any) -> None:
    """Raise ValueError unless a number or array of parameters is finite, also as float32."""
    with np.errstate(over="ignore"):
        numbers = array(name, value).astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError(f"Expected `{name}` to be finite. Received {value!r}.")


def no_nan(name: str, value: Any) -> None:
    """Raise ValueError unless numbers are numbers; infinite ones pass."""
    numbers = array(name, value)
    if numbers.dtype.kind == "f" and np.isnan(numbers).any():
        raise ValueError(f"Expected `{name}` without NaN. Received {np.isnan(numbers).sum()} NaN.")


def warn_if_blind(image: np.ndarray, theta_beta: Any) -> None:
    """Warn when theta_beta is so large or so small that the bilateral kernel means nothing.

    Args:
        image: (*S, K).
        theta_beta: a number or (K,), in the image's units.
    """
    theta = np.broadcast_to(np.asarray(theta_beta, np.float64), image.shape[-1:])
    points = image.reshape(-1, image.shape[-1])
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
                stacklevel=4,
            )
        return
    rows = image.reshape(-1, *image.shape[-2:])  # neighbours along the last axis of the grid
    if image.ndim > 2 and rows.shape[1] > 1:
        rows = rows[:: -(-rows[..., 0].size // _SAMPLE)].astype(np.float64)
        if np.median(factor(np.diff(rows, axis=1))) < 1e-3:
            warnings.warn(
                f"theta_beta = {_short(theta_beta)} is small for an image whose intensities span "
                f"{_short(extent)}: to the bilateral kernel hardly any two neighbours are alike. "
                "theta_beta is in the units of the image; `crfrnn.first_guess` proposes one.",
                stacklevel=4,
            )


def _short(numbers: Any) -> str:
    return np.array2string(np.asarray(numbers, np.float64), precision=4, separator=", ")
