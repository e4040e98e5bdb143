"""Mean field on NumPy arrays, in place: any number of ready kernels over one set of points.

What every offline CRF stands on: `offline` brings an image, `pydensecrf` the features its users
made, `parameters.cases` filters it has kept. The mathematics are those of `mean_field.py`; here
some steps are one native call where the native library is available; there is no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crfrnn import arrays
from crfrnn.filtering import native
from crfrnn.filtering.normalized import NormalizedFilter
from crfrnn.meanfield.mixing import mix, mixing
from crfrnn.native import library

# Ctrl-C is heard between native calls: in one no more than a second's work of a core (81 labels),
# but two iterations of anything, since one alone writes all that it has found and reads it again.
_VALUES_AT_ONCE = 2**28
_LEAST_AT_ONCE = 2


class PairwiseKernel(NamedTuple):
    """One pairwise term of the energy: a filter over the points and what mixes the labels.

    filter: the normalised Gaussian filter K.
    mixing: C W; see `crfrnn.meanfield.mixing`. (L, L), or (L,) when it is diagonal.
    """

    filter: NormalizedFilter
    mixing: np.ndarray


class FreeEnergy(NamedTuple):
    """The three parts of mean field's objective, in nats; see `MeanField.free_energy`."""

    entropy: float
    unary: float
    pairwise: float


def pairwise_kernel(
    filter: NormalizedFilter, weight: Any, compatibility: Any, labels: int
) -> PairwiseKernel:
    """A pairwise term of a ready filter.

    Args:
        filter: K, over N points; of `crfrnn.filtering.make_filter`.
        weight, compatibility, labels: see `mixing`.
    """
    mixed = mixing(weight, compatibility, labels)
    if mixed.ndim < 2:
        mixed = np.broadcast_to(mixed, (labels,))
    return PairwiseKernel(filter, library.contiguous(mixed))


class MeanField:
    """The state of the iteration: what is believed of each point now.

    Args:
        kernels: of N points and L labels; none: q stays the softmax of the unaries.
        unary: (N, L) float32 logits, C-contiguous, within +-1e38 (`bounded` brings them there).
        q: (N, L) float32 probabilities, C-contiguous, to start at; overwritten. None: the softmax
            of the unaries, which nobody computes before it is asked for.

    Example:

    >>> from crfrnn.filtering import make_filter
    >>> positions = np.zeros((1, 2, 1), np.float32)  # two points in one place
    >>> kernel = pairwise_kernel(make_filter(positions), 9.0, "potts", labels=2)
    >>> crf = MeanField([kernel], np.array([[2.0, 0.0], [0.0, 1.0]], np.float32))
    >>> crf.step()
    >>> crf.q.argmax(-1)  # the point that was more certain has convinced the other
    array([0, 0])
    """

    def __init__(
        self, kernels: Sequence[PairwiseKernel], unary: np.ndarray, q: np.ndarray | None = None
    ) -> None:
        self.kernels = kernels
        self.unary = unary
        self._q = q

    @property
    def q(self) -> np.ndarray:
        """The probabilities now, (N, L)."""
        if self._q is None:
            self._q = _softmax(self.unary)
        return self._q

    def step(self, num_iterations: int = 1, damping: float = 0.0) -> None:
        """Iterations q <- softmax(unary - sum of C W K q), in place.

        damping: see `crfrnn.mean_field`; x starts at the logarithm of q.
        """
        if not self.kernels:
            return
        if damping:
            self._damped(num_iterations, damping)
            return
        if all(isinstance(k.filter.operator, native.NativeLatticeFilter) for k in self.kernels):
            self._native(num_iterations)
            return
        for _ in range(num_iterations):
            x = self.unary.copy()
            for kernel in self.kernels:
                x -= energies(kernel, self.q)
            self.q[...] = arrays.softmax(x)

    def _damped(self, num_iterations: int, damping: float) -> None:
        # What has underflowed to 0 may come back.
        x = np.log(np.maximum(self.q, np.finfo(np.float32).tiny))
        for _ in range(num_iterations):
            update = self.unary - sum(energies(kernel, self.q) for kernel in self.kernels)
            x = np.float32(damping) * x + np.float32(1 - damping) * update
            self.q[...] = arrays.softmax(x)

    def _native(self, num_iterations: int) -> None:
        terms = [
            library.PairwiseTerm(
                k.filter.operator.lattice, k.filter.scale_in, k.filter.scale_out, k.mixing
            )
            for k in self.kernels
        ]
        at_once = max(_LEAST_AT_ONCE, _VALUES_AT_ONCE // max(self.unary.size, 1))
        for done in range(0, num_iterations, at_once):
            some = min(at_once, num_iterations - done)
            self._q = library.mean_field(terms, self.unary, self._q, some)

    def free_energy(self) -> FreeEnergy:
        """The parts of the function that mean field's updates make stationary.

        Returns:
            entropy: sum of q log q; unary: -sum of q times logits; pairwise: sum of q C W K q over
            all ordered pairs of points, each point with itself included. The function is entropy +
            unary + pairwise / 2, since a pair counts once in an energy. Without a point's pair with
            itself it would be the Kullback-Leibler divergence from the CRF's distribution, less log
            Z; the filters have it, as in the authors' code.

        Reference:
            Krahenbuhl and Koltun 2011, section 3.
        """
        exact = self.q.astype(np.float64)
        entropy = np.sum(exact * np.log(np.maximum(exact, 1e-20)))
        pairwise = sum(float(np.sum(exact * energies(k, self.q))) for k in self.kernels)
        return FreeEnergy(float(entropy), -float(np.sum(exact * self.unary)), pairwise)


def energies(kernel: PairwiseKernel, q: np.ndarray) -> np.ndarray:
    """C W K q, (N, L): what a kernel adds to the energies of the next iteration."""
    return mix(kernel.filter(q[None])[0], kernel.mixing)


def _softmax(unary: np.ndarray) -> np.ndarray:
    if native.available():
        return library.softmax(unary)
    return arrays.softmax(library.contiguous(unary))
