"""The offline CRF: refines the probabilities of any segmentation, on NumPy arrays alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn import numpy_ops
from crfrnn.filtering import native
from crfrnn.filtering.normalized import make_filter
from crfrnn.mean_field import (
    check_compatibility,
    check_iterations,
    label_mixing,
    logits_from_probabilities,
    mean_field,
)
from crfrnn.native import library
from crfrnn.pairwise import bilateral_positions, spatial_positions

# How far rows of probabilities may be from sum 1: float16 softmaxes over some hundred labels stay
# within.
_SUM_TOLERANCE = 1e-2


def refine(
    image: np.ndarray,
    probs: np.ndarray,
    *,
    theta_alpha: float | Sequence[float],
    theta_beta: float | Sequence[float],
    theta_gamma: float | Sequence[float],
    bilateral_weight: Any,
    spatial_weight: Any,
    num_iterations: int = 5,
    compatibility: Any = "potts",
    normalization: str = "symmetric",
    spacing: Sequence[float] | None = None,
    method: str = "lattice",
) -> np.ndarray:
    """Refines the probabilities of a segmentation by a dense CRF that follows the image's edges.

    The iteration is that of `mean_field`, started at the logarithm of the probabilities.

    Args:
        image: (*S,) or (*S, K), any real dtype, S = (H, W), (D, H, W) or (N,).
        probs: (*S, L), L >= 2 probabilities of each point, in [0, 1], which sum to 1.
        theta_alpha, theta_gamma: spatial bandwidths of the bilateral and of the spatial kernel, in
            points or in the unit of `spacing`: a number, or one number per axis.
        theta_beta: intensity bandwidth of the bilateral kernel, in the image's units: a number, or
            one number per channel.
        bilateral_weight, spatial_weight: weight of each kernel: a number, (L,) or (L, L). 0 leaves
            it out.
        num_iterations: mean-field iterations, 0 or more.
        compatibility: "potts" or (L, L); see `mean_field`.
        normalization: "symmetric" (pydensecrf's default), "after" (CRF-as-RNN), "before" or "none".
        spacing: distance of neighbouring points, one number per axis; default 1.
        method: "lattice", "exact" or "local"; see `gaussian_filter`.

    Returns:
        Refined probabilities (*S, L), float32.

    Raises:
        ValueError: shapes that do not fit together, numbers that are no probabilities or not
            finite.

    Reference:
        P. Kraehenbuehl, V. Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
        Potentials", NIPS 2011.

    Example:

    >>> image = np.repeat([0.0, 1.0], 3)[None]  # (1, 6): an edge in the middle
    >>> foreground = np.array([[0.1, 0.6, 0.1, 0.9, 0.9, 0.4]])  # wrong at two points
    >>> refined = refine(image, np.stack([1 - foreground, foreground], -1), theta_alpha=10,
    ...                  theta_beta=0.1, theta_gamma=1, bilateral_weight=5, spatial_weight=0)
    >>> refined.argmax(-1)
    array([[0, 0, 0, 1, 1, 1]])
    """
    image, probs = _checked(np.asarray(image), np.asarray(probs))
    if not probs.size:
        return probs.astype(np.float32)
    unaries = logits_from_probabilities(probs)[None]  # (1, *S, L)
    image = image[None]
    crf: dict[str, Any] = dict(
        theta_alpha=theta_alpha,
        theta_beta=theta_beta,
        theta_gamma=theta_gamma,
        bilateral_weights=bilateral_weight,
        spatial_weights=spatial_weight,
        num_iterations=num_iterations,
        compatibility=compatibility,
        normalization=normalization,
        spacing=spacing,
    )
    features = image.ndim - 2 + image.shape[-1]
    if method == "lattice" and native.available() and features <= library.MAX_FEATURES:
        return _native(unaries, image, **crf)[0]
    return numpy_ops.softmax(mean_field(unaries, image, **crf, method=method))[0]


def _native(
    unaries: np.ndarray,
    image: np.ndarray,
    *,
    theta_alpha: Any,
    theta_beta: Any,
    theta_gamma: Any,
    bilateral_weights: Any,
    spatial_weights: Any,
    num_iterations: int,
    compatibility: Any,
    normalization: str,
    spacing: Any,
) -> np.ndarray:
    """`mean_field` with each iteration in one native call."""
    check_iterations(num_iterations)
    labels = unaries.shape[-1]
    unary = library.contiguous(unaries.reshape(-1, labels))  # (N, L)
    kernels = []
    # The bilateral lattice is the larger one and needs the most memory while it is built: first.
    for weight, positions in (
        (bilateral_weights, lambda: bilateral_positions(image, theta_alpha, theta_beta, spacing)),
        (
            spatial_weights,
            lambda: spatial_positions(unaries.shape[1:-1], theta_gamma, spacing, numpy_ops),
        ),
    ):
        if np.any(weight):
            kernel = make_filter(positions(), normalization=normalization, native=True)
            kernels.append(
                library.Kernel(
                    kernel.operator.lattice,
                    kernel.scale_in,
                    kernel.scale_out,
                    _native_mixing(weight, compatibility, labels),
                )
            )
    q = library.softmax(unary)
    for _ in range(num_iterations if kernels else 0):
        library.mean_field_step(kernels, unary, q)
    return q.reshape(unaries.shape)


def _native_mixing(weight: Any, compatibility: Any, labels: int) -> np.ndarray:
    """C W as the native step wants it: (L,) where it is diagonal, else (L, L), from the left."""
    mixing = -label_mixing(weight, check_compatibility(compatibility), labels, numpy_ops)
    return library.contiguous(mixing.T if mixing.ndim == 2 else np.broadcast_to(mixing, (labels,)))


def _checked(image: np.ndarray, probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image with its channel axis, and the probabilities."""
    if image.ndim == probs.ndim - 1:
        image = image[..., None]
    if probs.ndim < 2 or probs.shape[-1] < 2 or image.shape[:-1] != probs.shape[:-1]:
        raise ValueError(
            "Expected an image (*S,) or (*S, K) and probabilities (*S, L), L >= 2, of the same S. "
            f"Received: image of shape {image.shape}, probs of shape {probs.shape}. "
            "One probability per point becomes two by np.stack([1 - p, p], -1)."
        )
    if not np.all(np.isfinite(image)):
        raise ValueError("Expected a finite image. Received: one with NaN or infinite values.")
    # A matrix product: ten times as fast as a sum over a short axis.
    sums = probs @ np.ones(probs.shape[-1], probs.dtype)
    if probs.size and not (probs.min() >= 0 and np.abs(sums - 1).max() < _SUM_TOLERANCE):
        raise ValueError(
            "Expected probabilities that are not negative and sum to 1 over the last axis. "
            f"Received: values in [{probs.min()}, {probs.max()}], "
            f"sums in [{sums.min()}, {sums.max()}]. "
            "Apply a softmax to logits, and move the label axis last."
        )
    return image, probs
