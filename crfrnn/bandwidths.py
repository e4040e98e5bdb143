"""Gaussian filters that can learn their bandwidths.

The exact kernels are differentiable functions of the positions, and so of the bandwidths. The
permutohedral lattice is not a usable one: a small change of a bandwidth slides every point across
the lattice's cells, and the derivative of the barycentric weights measures that motion instead of
the change of the Gaussian, often with the wrong sign. A lattice's bandwidths therefore learn
through a central difference of whole lattices, wide enough for the cells to average out.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from crfrnn import numpy_ops
from crfrnn.filtering import make_filter

# Half of the difference, in log theta: 10 % of a bandwidth. Smaller steps measure the lattice's
# cells, larger ones the curvature of the loss.
LOG_STEP = 0.1


def gaussian_kernel(
    positions_of: Callable[..., Any], thetas: Sequence[Any], method: str, **options: Any
) -> Callable[[Any], Any]:
    """The Gaussian filter between the points `positions_of(*thetas)`.

    Args:
        positions_of: function of the bandwidths that returns positions (B, N, F).
        thetas: the bandwidths, each a number or a vector. Bandwidths that are tensors of the Keras
            backend receive gradients: from `exact` and `local` by differentiation through the
            positions, from `lattice` by the central difference, which builds two more lattices per
            number in `thetas`.
        method: "lattice", "exact" or "local".
        options: the other arguments of `crfrnn.filtering.make_filter`.

    Returns:
        A function values (B, N, C) -> filtered values (B, N, C), differentiable in the values.
    """
    make = partial(make_filter, method=method, **options)
    if method == "lattice" and _may_need_gradient(thetas):
        return _lattice_with_bandwidth_gradient(positions_of, thetas, make)
    return make(positions_of(*thetas))


def _may_need_gradient(thetas: Sequence[Any]) -> bool:
    if numpy_ops.namespace(*thetas) is numpy_ops:
        return False
    # PyTorch knows before the backward pass; TensorFlow and JAX do not, and their tensors lack it.
    return any(getattr(theta, "requires_grad", True) for theta in thetas)


def _lattice_with_bandwidth_gradient(
    positions_of: Callable[..., Any], thetas: Sequence[Any], make: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    from keras import ops

    lattice = make(ops.stop_gradient(positions_of(*thetas)))
    # Built here and not in `grad`, so that all iterations share them: under JAX no tensor may leave
    # a gradient rule. A function compiled without gradient drops them as unused.
    neighbours = [
        [
            _wider_and_narrower(positions_of, thetas, t, i, make)
            for i in range(math.prod(theta.shape))
        ]
        for t, theta in enumerate(thetas)
    ]

    @ops.custom_gradient
    def apply(values: Any, *thetas: Any) -> Any:
        def grad(*args: Any, upstream: Any = None) -> Any:
            if upstream is None:  # TensorFlow and JAX pass it by position, PyTorch by name
                (upstream,) = args

            def slope(wider: Any, narrower: Any) -> Any:
                return ops.sum(upstream * (wider(values) - narrower(values))) / (2 * LOG_STEP)

            slopes = [ops.stack([slope(*pair) for pair in pairs]) for pairs in neighbours]
            # d/d theta = (d/d log theta) / theta
            by_theta = [
                ops.reshape(s, theta.shape) / theta for s, theta in zip(slopes, thetas, strict=True)
            ]
            return (lattice.transpose(upstream), *by_theta)

        return lattice(values), grad

    return lambda values: apply(values, *thetas)


def _wider_and_narrower(
    positions_of: Callable[..., Any],
    thetas: Sequence[Any],
    t: int,
    i: int,
    make: Callable[[Any], Any],
) -> list[Any]:
    """The filters with number i of bandwidth t one log step larger and one smaller."""
    from keras import ops

    pair = []
    for step in (LOG_STEP, -LOG_STEP):
        factor = np.ones(tuple(thetas[t].shape), "float32")
        factor.flat[i] = np.exp(step)
        changed = [
            theta * ops.convert_to_tensor(factor) if k == t else theta
            for k, theta in enumerate(thetas)
        ]
        positions = ops.stop_gradient(positions_of(*changed))
        # A bandwidth scales the positions about the origin. About their mean, the points slide
        # across fewer cells of the lattice, and its error cancels better in the difference.
        pair.append(make(positions - ops.mean(positions, axis=1, keepdims=True)))
    return pair
