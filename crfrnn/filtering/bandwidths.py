"""Gaussian filters that learn their bandwidths.

The exact kernels are differentiable in the positions, and so in the bandwidths. The permutohedral
lattice is so only on paper: a small change of a bandwidth slides every point across the lattice's
cells, and the derivative of the barycentric weights measures that motion, not the change of the
Gaussian. Differences of lattices at two bandwidths suffer from it as well.

But the derivative of a Gaussian is the Gaussian times a squared distance,

    d/d log(theta_f)  exp(-|p_i - p_j|^2 / 2)  =  exp(-|p_i - p_j|^2 / 2) (p_if - p_jf)^2

for feature f of the positions p = features / theta. With the square multiplied out, it is the same
filter, applied to moments of the values:

    sum_j K_ij (p_i - p_j)^2 v_j  =  p_i^2 (K v)_i - 2 p_i (K p v)_i + (K p^2 v)_i

So bandwidths learn through the lattice that is there anyway, once more taken for the Gaussian that
it stands for. Were K exact, so would be the gradient.
"""

from typing import Any

from crfrnn.arrays import namespace, with_gradient
from crfrnn.filtering.make_filter import build_filter
from crfrnn.filtering.normalized import NormalizedFilter
from crfrnn.filtering.positions_that_learn import moments, scaled_by

# The normalisation by n = K 1 divides by n^r where values are received, n^s where they are sent.
_RECEIVED_SENT = {"after": (1, 0), "before": (0, 1), "symmetric": (0.5, 0.5), "none": (0, 0)}


def gaussian_kernel(
    positions: Any,
    bandwidths: Any = None,
    *,
    normalization: str,
    present: Any = None,
    learned_from: int | None = None,
    **options: Any,
) -> Any:
    """A Gaussian filter that passes gradients to its values, its bandwidths and its positions.

    Args:
        positions: (B, N, F), already divided by the bandwidths.
        bandwidths: (F,) tensor of the Keras backend, the bandwidth of each feature, where they are
            learned; else None. Its gradient comes from the rule above for `method="lattice"`; for
            the other methods through the positions, which must be a function of it; and with
            `learned_from` and the lattice also through the positions, which must then be none.
        normalization: "after", "symmetric", "before" or "none".
        present: (B, N, 1) float32, 1 for points and 0 for places without one; None: all are points.
        learned_from: the first feature of the positions that receives a gradient from the lattice;
            see `crfrnn.filtering.positions_that_learn`. None: none does.
        options: the other arguments of `crfrnn.filtering.make_filter`.

    Returns:
        A function of values (B, N, C) to filtered values (B, N, C), float32.
    """
    # Whether a gradient will be needed, PyTorch's tensors know; those of the others lack the name.
    learning = bandwidths is not None and getattr(bandwidths, "requires_grad", True)
    learning = learning and options.get("method", "lattice") == "lattice"
    if learning and learned_from is not None:
        positions, learned_from, learning = scaled_by(positions, bandwidths), 0, False
    kernel = build_filter(
        positions,
        normalization=normalization,
        present=present,
        learned_from=learned_from,
        **options,
    )
    if not learning:
        return kernel
    return _learning(kernel, bandwidths, *_RECEIVED_SENT[normalization], present)


def _learning(
    kernel: NormalizedFilter, bandwidths: Any, received: float, sent: float, present: Any = None
) -> Any:
    ops = namespace(kernel.operator.positions, bandwidths)
    # The distances do not depend on the origin. Near the mean, the least digits cancel.
    p = ops.stop_gradient(kernel.operator.positions)
    p = p - ops.mean(p, axis=1, keepdims=True)  # (B, N, F)

    # d log(n) / d log(theta): the mean squared distance from each point to all. Made once for
    # all iterations; where no gradient is wanted, a compiled function drops it as unused.
    average = NormalizedFilter(kernel.operator, "after", present)
    d_norm = p * p - 2 * p * average(p) + average(p * p)  # (B, N, F)

    def backward(upstream: Any, filtered: Any, values: Any, bandwidths: Any) -> tuple[Any, Any]:
        d_values = kernel.transpose(upstream)
        at_i = ops.sum(upstream * filtered, axis=-1, keepdims=True)  # (B, N, 1)
        at_j = ops.sum(values * d_values, axis=-1, keepdims=True)
        mixed = moments(kernel, values, p, upstream)  # (B, N, F)
        slopes = (at_i + at_j) * p * p - 2 * p * mixed
        slopes = slopes - (received * at_i + sent * at_j) * d_norm
        return d_values, ops.sum(slopes, axis=(0, 1)) / bandwidths

    apply = with_gradient(lambda values, bandwidths: kernel(values), backward)
    return lambda values: apply(values, bandwidths)
