"""Mean-field inference in a dense CRF: the iteration of CRF-as-RNN as a pure function."""

import math
from typing import Any

import numpy as np

from crfrnn import arrays, checks
from crfrnn.arrays import check_array, namespace
from crfrnn.filtering.bandwidths import gaussian_kernel
from crfrnn.filtering.normalized import check_names
from crfrnn.meanfield.positions import (
    bilateral_bandwidths,
    bilateral_positions,
    spatial_bandwidths,
    spatial_positions,
)

# Infinite unaries would turn into NaN where a maximum is subtracted (inf - inf). float32 ends at
# 3.4e38: differences of two of these and added messages do not overflow.
LARGEST = 1e38


def mean_field(
    unaries: Any,
    image: Any,
    *,
    spatial_weights: Any,
    bilateral_weights: Any,
    theta_alpha: Any,
    theta_beta: Any,
    theta_gamma: Any,
    num_iterations: int,
    compatibility: Any = "potts",
    normalization: str = "after",
    method: str = "lattice",
    native: bool | None = None,
    window: int = 11,
    spacing: Any = None,
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
        spatial_weights, bilateral_weights: W_s and W_b: a number, (L,) one per label, or (L, L).
            L = 1 unaries count as 2 labels. None or 0 leaves the kernel out.
        theta_alpha, theta_gamma: spatial bandwidths of the bilateral and the spatial kernel, in
            points or the unit of `spacing`: a number or one number per axis.
        theta_beta: intensity bandwidth, in the image's units: a number or one number per channel.
        num_iterations: T >= 0; 0 returns the unaries.
        compatibility: C: "potts" is minus the identity, so that equal labels support each other; or
            (L, L), row = label that receives, column = label that sends.
        normalization: "after", "symmetric", "before" or "none"; see `gaussian_filter`.
        method: "lattice", "exact" or "local"; see `gaussian_filter`.
        native: None, True or False; see `gaussian_filter`.
        window: odd width in points, for `method="local"`.
        spacing: distance of neighbouring points, one number per axis; default 1.

    Returns:
        Refined logits (B, *S, L) in the dtype of the unaries (float32 for integers); computed in
        float32. NumPy arrays give NumPy arrays and do not import Keras. Tensors of the Keras
        backend give tensors, differentiable in the unaries, the weights and the compatibility, and
        in thetas that are tensors.

    Raises:
        ValueError: shapes that do not fit together, an unknown string, fewer than 0 iterations.

    Reference:
        Krahenbuhl and Koltun, "Efficient inference in fully connected CRFs with Gaussian edge
        potentials", 2011. Zheng et al., "Conditional random fields as recurrent neural networks",
        2015.

    Example:

    >>> image = np.array([0, 0, 0, 90, 90, 90.0]).reshape(1, 1, 6, 1)
    >>> unaries = np.array([2, -1, 2, -2, 1, -2.0]).reshape(1, 1, 6, 1)  # two of them wrong
    >>> refined = mean_field(unaries, image, spatial_weights=None, bilateral_weights=5.0,
    ...                      theta_alpha=10.0, theta_beta=5.0, theta_gamma=1.0, num_iterations=5)
    >>> (refined > 0).astype(int).ravel()
    array([1, 1, 1, 0, 0, 0])
    """
    check_array("unaries", unaries)
    check_array("image", image)
    check_shapes(tuple(unaries.shape), tuple(image.shape))
    check_iterations(num_iterations)
    for name, value in dict(
        spatial_weights=spatial_weights,
        bilateral_weights=bilateral_weights,
        compatibility=None if isinstance(compatibility, str) else compatibility,
    ).items():
        if value is not None and namespace(value) is arrays:
            checks.no_nan(name, value)
    check_names(method, normalization)
    compatibility = check_compatibility(compatibility)
    weights = [spatial_weights, bilateral_weights]
    thetas = [theta_alpha, theta_beta, theta_gamma]
    given = [w for w in [*weights, compatibility] if w is not None]
    ops = namespace(unaries, image, *given, *thetas)

    batch, *grid, channels = ops.shape(unaries)
    unary = flat_logits(unaries, ops)  # (B, N, L)
    labels = unary.shape[-1]

    options = dict(
        method=method, normalization=normalization, native=native, window=window, grid=grid
    )
    messages = []
    if not _is_zero(spatial_weights):
        # One image's grid serves all: these positions have batch 1.
        positions = spatial_positions(grid, theta_gamma, spacing, ops)
        learned = _is_tensor(theta_gamma)
        bandwidths = spatial_bandwidths(theta_gamma, len(grid), ops) if learned else None
        kernel = gaussian_kernel(positions, bandwidths, **options)
        messages.append((kernel, label_mixing(spatial_weights, compatibility, labels, ops)))
    if not _is_zero(bilateral_weights):
        positions = bilateral_positions(image, theta_alpha, theta_beta, spacing)
        learned = _is_tensor(theta_alpha) or _is_tensor(theta_beta)
        sizes = (len(grid), image.shape[-1])
        bandwidths = bilateral_bandwidths(theta_alpha, theta_beta, *sizes, ops) if learned else None
        kernel = gaussian_kernel(positions, bandwidths, **options)
        messages.append((kernel, label_mixing(bilateral_weights, compatibility, labels, ops)))

    x = unary
    for _ in range(num_iterations):
        q = ops.softmax(x, axis=-1)
        x = unary
        for kernel, mixing in messages:
            filtered = kernel(q)  # (B, N, L)
            x = x + _mix(filtered, mixing, ops)

    if unaries.shape[-1] == 1:
        x = x[..., 1:] - x[..., :1]  # (B, N, 1)
    dtype = unaries.dtype if "float" in str(unaries.dtype) else "float32"
    return ops.cast(ops.reshape(x, (batch, *grid, channels)), dtype)


def check_shapes(unaries: tuple[int | None, ...], image: tuple[int | None, ...]) -> None:
    """Raise ValueError unless unaries (B, *S, L) and image (B, *S, K) belong to one image.

    Args:
        unaries, image: their shapes; None is an unknown size.
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


def flat_logits(unaries: Any, ops: Any) -> Any:
    """Unaries (B, *S, L) as finite float32 logits (B, N, L); L = 1 becomes the labels (0, x)."""
    batch, *grid, _ = ops.shape(unaries)
    x = ops.cast(unaries, "float32")
    if ops is arrays:
        checks.no_nan("unaries", x)
    if unaries.shape[-1] == 1:
        x = ops.concatenate([ops.zeros_like(x), x], axis=-1)
    labels = max(unaries.shape[-1], 2)
    return ops.clip(ops.reshape(x, (batch, math.prod(grid), labels)), -LARGEST, LARGEST)


def check_iterations(num_iterations: int) -> None:
    """Raise ValueError unless there are 0 or more iterations."""
    checks.whole("num_iterations", num_iterations, 0)


def check_compatibility(compatibility: Any) -> Any:
    """The (L, L) compatibility, or None for "potts"; raises ValueError for any other string."""
    if not isinstance(compatibility, str):
        return compatibility
    if compatibility == "potts":
        return None
    raise ValueError(
        f'Expected `compatibility` to be "potts" or an (L, L) array. Received {compatibility!r}.'
    )


def logits_from_probabilities(probabilities: Any) -> Any:
    """Logits of probabilities (B, *S, L) that sum to 1 over L, or of one sigmoid channel (L = 1).

    Returns float32 logits of the same shape, finite: probabilities are cut at 1e-7, which is about
    the distance of float32 numbers just below 1.
    """
    ops = namespace(probabilities)
    p = ops.clip(ops.cast(probabilities, "float32"), 1e-7, 1.0 - 1e-7)
    return ops.log(p) - ops.log(1.0 - p) if probabilities.shape[-1] == 1 else ops.log(p)


def _is_tensor(theta: Any) -> bool:
    return namespace(theta) is not arrays


def _is_zero(weight: Any) -> bool:
    """Whether a kernel is left out; known only of plain numbers and arrays, not of tensors."""
    return weight is None or (isinstance(weight, (int, float, np.ndarray)) and not np.any(weight))


def _mix(filtered: Any, mixing: Any, ops: Any) -> Any:
    """The message of a kernel: filtered (B, N, L) times what `label_mixing` returned."""
    if len(mixing.shape) < 2:
        return filtered * mixing
    # One long product: backends take the batch for B products, twice as slow in the gradient.
    rows = ops.reshape(filtered, (-1, mixing.shape[0]))
    return ops.reshape(ops.matmul(rows, mixing), ops.shape(filtered))


def label_mixing(weight: Any, compatibility: Any, labels: int, ops: Any) -> Any:
    """What turns filtered probabilities (B, N, L) into a message: -(C W), made once for all steps.

    Returns a number or (L,), to multiply with, where nothing mixes labels; else (L, L), transposed
    for the product from the right. `compatibility` None is Potts, C = -I.
    """
    weight = ops.cast(weight, "float32")
    if tuple(weight.shape) not in ((), (labels,), (labels, labels)):
        raise ValueError(
            f"Expected kernel weights to be a number, ({labels},) or ({labels}, {labels}) for "
            f"{labels} labels. Received weights of shape {tuple(weight.shape)}."
        )
    if compatibility is None:
        return ops.transpose(weight) if len(weight.shape) == 2 else weight
    compatibility = ops.cast(compatibility, "float32")
    if tuple(compatibility.shape) != (labels, labels):
        raise ValueError(
            f"Expected `compatibility` of shape ({labels}, {labels}) for {labels} labels (a single "
            f"sigmoid channel counts as two). Received shape {tuple(compatibility.shape)}."
        )
    # A number or (L,) is a diagonal W: it scales the columns of C.
    product = ops.matmul if len(weight.shape) == 2 else ops.multiply
    return -ops.transpose(product(compatibility, weight))
