"""Refines the probabilities of any segmentation, in one call; public as `crfrnn.refine`."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.meanfield import absent
from crfrnn.meanfield.parameters import declared
from crfrnn.offline import inputs
from crfrnn.offline.present import Present, refine_present
from crfrnn.offline.upsampling import in_proportion


def _sizes(given: dict[str, Any]) -> checks.Sizes:
    grid = np.shape(given["probs"])[:-1] if given.get("mask") is not None else ()
    given["mask"] = mask = inputs.mask_of(given.get("mask"), grid)
    given["image"], given["probs"] = inputs.case(given["image"], given["probs"], mask)
    inputs.check_points(given, given["image"].shape[:-1])
    return inputs.sizes_of(given["image"], given, given["probs"].shape[-1])


@checks.door(
    _sizes,
    inputs.NO_PARAMETERS,
    **declared(*inputs.OPTIONS, "num_iterations"),
)
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
    spacing: float | Sequence[float] | None = None,
    coordinates: np.ndarray | None = None,
    method: str = "lattice",
    window: int | Sequence[int] = 11,
    mask: np.ndarray | None = None,
    ignore_below: float = 0.0,
) -> np.ndarray:
    """Refines the probabilities of a segmentation by a dense CRF that follows the image's edges.

    The iteration is that of `mean_field`, started at the logarithm of the probabilities.
    `probs_from_logits` and `probs_from_labels` make probabilities of other outputs, `DenseCRF`
    goes step by step, `first_guess` and `search` find the parameters.

    Args:
        image: (*S,) or (*S, K), any real dtype, S = (H, W), (D, H, W) or (N,). Points without a
            grid, given by `coordinates`, have S = (N,).
        probs: (*S, L), L >= 2 probabilities of each point, in [0, 1], which sum to 1.
        theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight: see
            `crfrnn.Parameters`. A weight of 0 leaves its kernel out.
        num_iterations: mean-field iterations, 0 or more.
        compatibility: "potts" or (L, L); see `mean_field`.
        normalization: "symmetric" (pydensecrf's default), "after" (CRF-as-RNN), "before" or "none".
        spacing: distance of neighbouring points, a number or one number per axis; default 1.
        coordinates: (N, 1 to 3), where each of N points is, for clouds of points.
        mask: (*S) of bool, True for the points that take part; the others have no part in any
            kernel and keep what stands in `probs`, NaN included. Not with method="local". None: all
            take part.
        method: "lattice", "exact" or "local"; see `gaussian_filter`.
        window: width in points of method="local"; see `gaussian_filter`.
        ignore_below: leave out labels whose probability is below this at every point, such as 1e-3:
            the time is in proportion to the labels that remain. Only those that can be proven to
            stay rare (docs/pruning.md); they keep their probabilities. 0: all are kept. Needs
            "potts" and weights of 0 or more, none of them (L, L).

    Returns:
        Refined probabilities (*S, L), float32, of all labels.

    Raises:
        ValueError: shapes that do not fit together, numbers that are no probabilities, not finite
            or out of range, an unknown name.

    Warns:
        UserWarning: theta_beta is out of proportion to the intensities of the image.

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
    found = refine_present(
        image,
        probs,
        theta_alpha=theta_alpha,
        theta_beta=theta_beta,
        theta_gamma=theta_gamma,
        bilateral_weight=bilateral_weight,
        spatial_weight=spatial_weight,
        num_iterations=num_iterations,
        compatibility=compatibility,
        normalization=normalization,
        spacing=spacing,
        coordinates=coordinates,
        mask=mask,
        method=method,
        window=window,
        ignore_below=ignore_below,
    )
    if len(found.labels) == probs.shape[-1]:
        return found.probs
    taking_part = np.s_[:] if mask is None else mask
    refined = probs.astype(np.float32)
    refined[taking_part] = absent.restored(
        found.probs[taking_part], probs[taking_part], found.labels
    )
    return refined


def refine_upsampled(image: np.ndarray, probs: np.ndarray, **crf: Any) -> Present:
    """`refine`, of the labels that are present alone, also from probabilities of fewer points.

    Args:
        image: as for `refine`.
        probs: (*S, L), or (*s, L) in proportion to the image: `upsample` says how they become more.
        crf: the other arguments of `refine`.

    Returns:
        `Present`: the rest of the L labels is not in it.

    Raises:
        ValueError: as `refine`, or another proportion.

    Example:

    >>> image = np.repeat([0.0, 1.0], 6)[None]  # (1, 12)
    >>> coarse = np.array([[[0.9, 0.1, 0], [0.6, 0.4, 0], [0.1, 0.9, 0]]])  # (1, 3, 3)
    >>> found = refine_upsampled(image, coarse, theta_alpha=10, theta_beta=0.1, theta_gamma=1,
    ...                          bilateral_weight=5, spatial_weight=0, ignore_below=1e-3)
    >>> found.labels, found.probs.argmax(-1)
    (array([0, 1]), array([[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]]))
    """
    bound = inspect.signature(refine).bind(image, probs, **crf)
    bound.apply_defaults()
    given = bound.arguments
    checks.fit(refine.declared, given, _sizes_upsampled(given))  # type: ignore[attr-defined]
    return refine_present(**given)


def _sizes_upsampled(given: dict[str, Any]) -> checks.Sizes:
    image, probs = (checks.array(name, given[name]) for name in ("image", "probs"))
    axes = probs.ndim - 1
    grid, small = image.shape[:axes], probs.shape[:-1]
    if grid == small:
        return _sizes(given)
    if given["coordinates"] is not None or not in_proportion(small, grid):
        raise ValueError(
            "Expected probabilities (*s, L) in the proportions of the image (*S,) or (*S, K), and "
            f"no larger. Received: image of shape {image.shape}, probs of shape {probs.shape}. "
            "Crop both alike."
        )
    given["mask"] = mask = inputs.mask_of(given["mask"], grid)
    given["probs"] = inputs.probabilities(probs)
    given["image"] = inputs.finite_image(image if image.ndim > axes else image[..., None], mask)
    inputs.check_points(given, grid)
    return inputs.sizes_of(given["image"], given, probs.shape[-1])
