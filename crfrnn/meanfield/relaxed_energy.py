"""The energy of a dense CRF for probabilities: what the losses of every framework minimise."""

from __future__ import annotations

import math
from typing import Any

from crfrnn.arrays import namespace
from crfrnn.checks import Flag, Reals
from crfrnn.filtering.make_filter import build_filter
from crfrnn.meanfield.logits import flat_logits
from crfrnn.meanfield.parameters import declared
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions

# The arguments of the losses.
LOSS = declared(
    *("method", "native", "window", "spacing"),
    theta_gamma=Reals(above=0, per="axis of the grid", optional=True),
    bilateral_weight=Reals(least=0),
    spatial_weight=Reals(least=0),
    from_logits=Flag(),
)


def check_kernels(bilateral_weight: float, spatial_weight: float, theta_gamma: Any) -> None:
    """Raise ValueError unless there is a kernel, and its bandwidth with it."""
    if spatial_weight and theta_gamma is None:
        raise ValueError(
            "Expected `theta_gamma`, the bandwidth of the spatial kernel, because "
            f"spatial_weight={spatial_weight}. Received None."
        )
    if not bilateral_weight + spatial_weight:
        raise ValueError(
            "Expected `bilateral_weight` or `spatial_weight` to be larger than 0. Received 0 "
            "for both: the loss would always be 0."
        )


def relaxed_energy(
    predictions: Any,
    image: Any,
    weights: Any = None,
    *,
    theta_alpha: Any,
    theta_beta: Any,
    theta_gamma: Any,
    bilateral_weight: float,
    spatial_weight: float,
    method: str,
    native: bool | None,
    window: Any,
    spacing: Any,
    from_logits: bool,
) -> Any:
    """Energy of each image of a batch; see `crfrnn.DenseCRFLoss`, where the equation stands.

    Args:
        predictions: (B, *S, L), logits or probabilities.
        image: (B, *S, K).
        weights: (B, *S) of the points, not negative, or None. Points of weight 0 take no part, also
            not in the kernels, whatever the image and the predictions are there; the mean is over
            the others.
        theta_alpha, ..., from_logits: as in `crfrnn.DenseCRFLoss`.

    Returns:
        (B,) float32, differentiable in the predictions.
    """
    ops = namespace(predictions, image)
    batch, *grid, _ = ops.shape(image)
    image = ops.stop_gradient(ops.cast(image, "float32"))
    predictions = ops.cast(predictions, "float32")
    present = None
    if weights is not None:
        weights = ops.stop_gradient(ops.cast(weights, "float32"))[..., None]  # (B, *S, 1)
        here = weights > 0
        image = ops.where(here, image, 0.0)  # what is there may be NaN
        predictions = ops.where(here, predictions, 0.5)
        flat = (batch, math.prod(grid), 1)
        weights, present = ops.reshape(weights, flat), ops.reshape(ops.cast(here, "float32"), flat)

    q = _probabilities(predictions, from_logits, ops)  # (B, N, L)
    smoothed = 0.0
    options = (method, "after", native, grid, window)
    if bilateral_weight:
        positions = bilateral_positions(image, theta_alpha, theta_beta, spacing)
        kernel = build_filter(positions, *options, present=present)
        smoothed = smoothed + bilateral_weight * kernel(q)
    if spatial_weight:
        # One image's grid serves all: these positions have batch 1.
        positions = spatial_positions(grid, theta_gamma, spacing, ops)
        kernel = build_filter(positions, *options, present=present)
        smoothed = smoothed + spatial_weight * kernel(q)
    # K is not symmetric, so that both q need their gradient: 1 - K q and -(K transposed) q.
    energy = ops.sum(q * (bilateral_weight + spatial_weight - smoothed), axis=-1)  # (B, N)
    if weights is None:
        return ops.mean(energy, axis=-1)
    count = ops.sum(present, axis=(1, 2))
    return ops.sum(energy * weights[..., 0], axis=-1) / ops.maximum(count, 1.0)


def _probabilities(predictions: Any, from_logits: bool, ops: Any) -> Any:
    """Predictions (B, *S, L) as float32 probabilities (B, N, L); L = 1 becomes two labels."""
    if from_logits:
        return ops.softmax(flat_logits(predictions, ops), axis=-1)
    p = predictions
    if p.shape[-1] == 1:
        p = ops.concatenate([1.0 - p, p], axis=-1)
    batch, *grid, _ = ops.shape(p)
    return ops.reshape(p, (batch, math.prod(grid), p.shape[-1]))
