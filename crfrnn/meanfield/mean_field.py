"""Mean-field inference in a dense CRF: the iteration of CRF-as-RNN as a pure function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.arrays import namespace
from crfrnn.checks import LabelWeights
from crfrnn.filtering.bandwidths import gaussian_kernel
from crfrnn.meanfield.logits import flat_logits
from crfrnn.meanfield.mixing import mix, mixing
from crfrnn.meanfield.parameters import declared
from crfrnn.meanfield.positions import (
    bilateral_bandwidths,
    bilateral_positions,
    spatial_bandwidths,
    spatial_positions,
)


def _sizes(given: dict[str, Any]) -> checks.Sizes:
    for name in ("unaries", "image"):
        given[name] = checks.array_or_tensor(name, given[name])
    return sizes_of(tuple(given["unaries"].shape), tuple(given["image"].shape))


@checks.renamed(spatial_weights="spatial_weight", bilateral_weights="bilateral_weight")
@checks.door(
    _sizes,
    **declared(
        *("num_iterations", "compatibility", "normalization", "method", "native", "window"),
        *("spacing", "image_gradient", "damping"),
        bilateral_weight=LabelWeights(optional=True),
        spatial_weight=LabelWeights(optional=True),
    ),
)
def mean_field(
    unaries: Any,
    image: Any,
    *,
    theta_alpha: Any,
    theta_beta: Any,
    theta_gamma: Any,
    bilateral_weight: Any,
    spatial_weight: Any,
    num_iterations: int,
    compatibility: Any = "potts",
    normalization: str = "after",
    method: str = "lattice",
    native: bool | None = None,
    window: int = 11,
    spacing: Any = None,
    mask: Any = None,
    image_gradient: bool = False,
    damping: float = 0.0,
) -> Any:
    """Refine unaries by mean-field iterations of a dense CRF whose edges follow the image.

    One iteration (Zheng et al. 2015, algorithm 1; here as in crfasrnn_keras):

        q = softmax(x)
        x = unaries - C (W_s K_s q + W_b K_b q)

    K_s and K_b are normalised Gaussian filters over all pairs of points: K_s of their distance
    (theta_gamma), K_b of their distance and difference in intensity (theta_alpha, theta_beta). The
    weights W and the compatibility C act on the label axis. The filters are built once and applied
    in every iteration.

    Args:
        unaries: logits (B, *S, L), larger = more likely; S is (H, W), (D, H, W) or (N,). Infinite
            values act as +-1e38: -inf forbids a label. L = 1 is one sigmoid channel: the CRF runs
            on the two labels with logits (0, unaries), and one channel is returned.
        image: (B, *S, K), K >= 1 channels, any real dtype.
        theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight: see
            `crfrnn.Parameters`; W_b and W_s are the weights. L = 1 unaries count as 2 labels. None
            or 0 leaves a kernel out.
        num_iterations: T >= 0; 0 returns the unaries.
        compatibility: C: "potts" or (L, L); see `crfrnn.meanfield.mixing`.
        normalization: "after", "symmetric", "before" or "none"; see `gaussian_filter`.
        method: "lattice", "exact" or "local"; see `gaussian_filter`.
        native: None, True or False; see `gaussian_filter`.
        window: odd width in points, for `method="local"`.
        spacing: distance of neighbouring points, one number per axis; default 1.
        mask: (B, *S) or (B, *S, 1), of bool or numbers, not 0 for the points that take part. The
            others have no part in any kernel and keep their unaries, whatever stands there in the
            image, NaN included. None: all take part.
        image_gradient: whether the image receives a gradient from the lattice, so that what made it
            learns. The backward pass then filters 2 K times as many channels. "exact" and "local"
            pass theirs on in any case.
        damping: share of the old x that an iteration keeps, in [0, 1]: x <- damping x + (1 -
            damping) update. 0 is the iteration as above; more makes it converge where labels that
            repel each other swing to and fro, and takes more iterations.

    Returns:
        Refined logits (B, *S, L) in the dtype of the unaries (float32 for integers); computed in
        float32. NumPy arrays give NumPy arrays and do not import Keras. Tensors of the Keras
        backend give tensors, differentiable in the unaries, the weights and the compatibility, in
        thetas that are tensors, and in the image as said.

    Raises:
        ValueError: shapes that do not fit together, an unknown string, fewer than 0 iterations.

    Reference:
        Krahenbuhl and Koltun, "Efficient inference in fully connected CRFs with Gaussian edge
        potentials", 2011. Zheng et al., "Conditional random fields as recurrent neural networks",
        2015. Damping, which in x is a proximal step with the Kullback-Leibler divergence: Baque et
        al., "Principled parallel mean-field inference for discrete random fields", 2016.

    Example:

    >>> image = np.array([0, 0, 0, 90, 90, 90.0]).reshape(1, 1, 6, 1)
    >>> unaries = np.array([2, -1, 2, -2, 1, -2.0]).reshape(1, 1, 6, 1)  # two of them wrong
    >>> refined = mean_field(unaries, image, theta_alpha=10.0, theta_beta=5.0, theta_gamma=1.0,
    ...                      bilateral_weight=5.0, spatial_weight=None, num_iterations=5)
    >>> (refined > 0).astype(int).ravel()
    array([1, 1, 1, 0, 0, 0])
    """
    thetas = (theta_alpha, theta_beta, theta_gamma)
    ops = namespace(unaries, image, *thetas, bilateral_weight, spatial_weight, compatibility, mask)
    batch, *grid, channels = ops.shape(unaries)
    given, here, present = unaries, None, None
    if mask is not None:
        here = _mask_of(mask, unaries, ops)  # (B, *S, 1)
        present = ops.reshape(ops.cast(here, "float32"), (batch, math.prod(grid), 1))
        # What stands there may be NaN.
        unaries = ops.where(here, ops.cast(unaries, "float32"), 0.0)
        image = ops.where(here, ops.cast(image, "float32"), 0.0)
    unary = flat_logits(unaries, ops)  # (B, N, L)

    kernels = []  # of K and C W
    options = dict(
        method=method,
        normalization=normalization,
        native=native,
        window=window,
        grid=grid,
        present=present,
    )
    if not _is_zero(spatial_weight):
        # One image's grid serves all: these positions have batch 1.
        positions = spatial_positions(grid, theta_gamma, spacing, ops)
        learned = checks.is_tensor(theta_gamma)
        bandwidths = spatial_bandwidths(theta_gamma, len(grid), ops) if learned else None
        kernels.append((gaussian_kernel(positions, bandwidths, **options), spatial_weight))
    if not _is_zero(bilateral_weight):
        learned = checks.is_tensor(theta_alpha) or checks.is_tensor(theta_beta)
        sizes = (len(grid), image.shape[-1])
        bandwidths = bilateral_bandwidths(theta_alpha, theta_beta, *sizes, ops) if learned else None
        made_with = (theta_alpha, theta_beta)
        if image_gradient and method == "lattice":
            options["learned_from"] = len(grid)  # the channels, behind the coordinates
            made_with = tuple(
                ops.stop_gradient(theta) if checks.is_tensor(theta) else theta
                for theta in made_with
            )
        positions = bilateral_positions(image, *made_with, spacing)
        kernels.append((gaussian_kernel(positions, bandwidths, **options), bilateral_weight))
    labels = unary.shape[-1]
    mixings = [ops.convert_to_tensor(mixing(w, compatibility, labels)) for _, w in kernels]

    x = unary
    for _ in range(num_iterations):
        q = ops.softmax(x, axis=-1)
        old, x = x, unary
        for (kernel, _), mixed in zip(kernels, mixings, strict=True):
            x = x - mix(kernel(q), mixed)  # (B, N, L)
        if damping:
            x = damping * old + (1 - damping) * x

    if unaries.shape[-1] == 1:
        x = x[..., 1:] - x[..., :1]  # (B, N, 1)
    dtype = given.dtype if "float" in str(given.dtype) else "float32"
    refined = ops.cast(ops.reshape(x, (batch, *grid, channels)), dtype)
    return refined if here is None else ops.where(here, refined, ops.cast(given, dtype))


def sizes_of(unaries: tuple[int | None, ...], image: tuple[int | None, ...]) -> checks.Sizes:
    """How many axes, channels and labels unaries (B, *S, L) and an image (B, *S, K) have.

    Args:
        unaries, image: their shapes; None is an unknown size.

    Raises:
        ValueError: they do not belong to one image.
    """
    if len(unaries) != len(image) or not 3 <= len(unaries) <= 5:
        raise ValueError(
            "Expected unaries (B, *S, L) and an image (B, *S, K) with the same 1 to 3 axes S "
            f"between batch and channels. Received shapes {unaries} and {image}. "
            "Add the missing axis: `x[None]` for the batch, `x[..., None]` for a single channel."
        )
    if any(a != b for a, b in zip(unaries[:-1], image[:-1], strict=True) if None not in (a, b)):
        raise ValueError(
            "Expected unaries and image of one batch size and one spatial size. "
            f"Received shapes {unaries} and {image}. Resize one of them; "
            "`crfrnn.attach` does so for a whole model."
        )
    # One sigmoid channel: background and foreground.
    labels = None if unaries[-1] is None else max(unaries[-1], 2)
    return {"S": len(unaries) - 2, "K": image[-1], "L": labels}


def _mask_of(mask: Any, unaries: Any, ops: Any) -> Any:
    """Which points take part, bool (B, *S, 1), of a mask (B, *S) or (B, *S, 1)."""
    mask = mask if hasattr(mask, "shape") else checks.array("mask", mask)
    given, points = tuple(mask.shape), tuple(unaries.shape[:-1])
    shape, expected = given if len(given) > len(points) else (*given, 1), (*points, 1)
    if len(shape) != len(expected) or any(
        a != b for a, b in zip(shape, expected, strict=True) if None not in (a, b)
    ):
        raise ValueError(
            f"Expected `mask` of shape {points}, not 0 where a point takes part. Received shape "
            f"{given}."
        )
    return ops.cast(mask if len(given) > len(points) else mask[..., None], "bool")


def _is_zero(weight: Any) -> bool:
    """Whether a kernel is left out; known only of plain numbers and arrays, not of tensors."""
    return weight is None or (isinstance(weight, (int, float, np.ndarray)) and not np.any(weight))
