"""Mean-field inference on NumPy arrays: any number of Gaussian kernels over one set of points.

What the offline CRF stands on: `dense.py` brings an image, `pydensecrf` the features its users
made. The mathematics are those of `mean_field.py`; here each step is one native call where the
native library is available, and there is no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crfrnn import arrays
from crfrnn.filtering import native
from crfrnn.filtering.normalized import NormalizedFilter, make_filter
from crfrnn.meanfield.mean_field import LARGEST, check_compatibility, label_mixing
from crfrnn.native import library


class PairwiseKernel(NamedTuple):
    """One pairwise term of the energy: a filter over the points and what mixes the labels.

    filter: the normalised Gaussian filter K.
    mixing: C W, compatibility times weights: (L, L), row = label that receives, or (L,) when it is
        diagonal. The term adds mixing K q to the energies: negative numbers attract.
    """

    filter: NormalizedFilter
    mixing: np.ndarray


class FreeEnergy(NamedTuple):
    """The three parts of mean field's objective, in nats; see `free_energy`."""

    entropy: float
    unary: float
    pairwise: float


def pairwise_kernel(
    positions: np.ndarray,
    weight: Any,
    labels: int,
    *,
    compatibility: Any = "potts",
    normalization: str = "symmetric",
    method: str = "lattice",
    grid: Sequence[int] | None = None,
    window: int | Sequence[int] = 11,
) -> PairwiseKernel:
    """One pairwise term between all points.

    Args:
        positions: (N, F), already divided by the bandwidths.
        weight: W: a number, (L,) or (L, L).
        labels: L.
        compatibility: C: "potts" or (L, L); see `mean_field`.
        normalization, method, grid, window: see `make_filter`.

    Returns:
        A `PairwiseKernel`, to be used any number of times.

    Raises:
        ValueError: shapes that do not fit, an unknown name, or positions that are not finite or too
            far from the origin.

    Example:

    >>> positions = np.zeros((2, 1), np.float32)  # two points in one place
    >>> kernel = pairwise_kernel(positions, 3.0, labels=2, normalization="after")
    >>> q = initial(np.array([[2.0, 0.0], [0.0, 1.0]]))
    >>> step([kernel], np.zeros((2, 2), np.float32), q)
    >>> q.argmax(-1)  # the point that was more certain has convinced the other
    array([0, 0])
    """
    mixing = -label_mixing(weight, check_compatibility(compatibility), labels, arrays)
    mixing = mixing.T if mixing.ndim == 2 else np.broadcast_to(mixing, (labels,))
    apply = make_filter(
        positions[None], method=method, normalization=normalization, grid=grid, window=window
    )
    return PairwiseKernel(apply, library.contiguous(mixing))


def initial(unary: np.ndarray) -> np.ndarray:
    """softmax of logits (N, L) over the labels: where mean field starts; a new float32 array."""
    if native.available():
        return library.softmax(unary)
    return arrays.softmax(library.contiguous(unary))


def step(kernels: Sequence[PairwiseKernel], unary: np.ndarray, q: np.ndarray) -> None:
    """One mean-field iteration, q <- softmax(unary - sum of mixing K q), in place.

    Args:
        kernels: of N points and L labels; none makes q the softmax of the unaries.
        unary: (N, L) float32 logits, C-contiguous, within +-1e38 (`bounded` brings them there).
        q: (N, L) float32 probabilities, C-contiguous; overwritten.
    """
    if kernels and all(isinstance(k.filter.operator, native.NativeLatticeFilter) for k in kernels):
        library.mean_field_step(
            [
                library.PairwiseTerm(
                    k.filter.operator.lattice, k.filter.scale_in, k.filter.scale_out, m
                )
                for k, m in zip(kernels, (k.mixing for k in kernels), strict=True)
            ],
            unary,
            q,
        )
        return
    x = unary.copy()
    for kernel in kernels:
        x -= energies(kernel, q)
    q[...] = arrays.softmax(x)


def free_energy(kernels: Sequence[PairwiseKernel], unary: np.ndarray, q: np.ndarray) -> FreeEnergy:
    """The parts of the function that mean field's updates make stationary.

    Args:
        kernels, unary, q: see `step`.

    Returns:
        entropy: sum of q log q; unary: -sum of q times logits; pairwise: sum of q mixing K q over
        all ordered pairs of points, each point with itself included. The function is entropy +
        unary + pairwise / 2, since a pair counts once in an energy. Without a point's pair with
        itself it would be the Kullback-Leibler divergence from the CRF's distribution, less log Z;
        the filters have it, as in the authors' code.

    Reference:
        Krahenbuhl and Koltun 2011, section 3.
    """
    exact = q.astype(np.float64)
    entropy = np.sum(exact * np.log(np.maximum(exact, 1e-20)))
    pairwise = sum(float(np.sum(exact * energies(kernel, q))) for kernel in kernels)
    return FreeEnergy(float(entropy), -float(np.sum(exact * unary)), pairwise)


def bounded(logits: np.ndarray) -> np.ndarray:
    """Logits as C-contiguous float32 within +-1e38: infinite ones forbid or force a label."""
    # Cut before the cast: beyond float32 it would overflow, with a warning.
    wide = logits.astype(np.promote_types(logits.dtype, np.float32), copy=False)
    return library.contiguous(np.clip(wide, -LARGEST, LARGEST))


def energies(kernel: PairwiseKernel, q: np.ndarray) -> np.ndarray:
    """mixing K q, (N, L)."""
    filtered = kernel.filter(q[None])[0]
    if kernel.mixing.ndim == 2:
        return filtered @ kernel.mixing.T
    return filtered * kernel.mixing
