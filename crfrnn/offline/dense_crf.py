"""The offline CRF step by step; public as `crfrnn.DenseCRF`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.checks import Reals, Whole
from crfrnn.meanfield import absent
from crfrnn.meanfield.in_place import MeanField
from crfrnn.meanfield.logits import bounded, logits_from_probabilities
from crfrnn.meanfield.parameters import ITERATIONS, declared
from crfrnn.offline import inputs
from crfrnn.offline.kernels import image_kernels


def _sizes(given: dict[str, Any]) -> checks.Sizes:
    Whole(2).check("num_labels", given["num_labels"], {})
    shape = np.shape(given["image"])[:-1]
    given["mask"] = inputs.mask_of(given.get("mask"), shape)
    given["image"] = inputs.finite_image(given["image"], given["mask"])
    inputs.check_points(given, shape)
    return inputs.sizes_of(given["image"], given, given["num_labels"])


class DenseCRF:
    """A dense CRF over one image, step by step: what `refine` does in one call.

    The kernels are built once, here; `set_unary` may be called any number of times. `shape` is
    (*S, L), `kernels` are the pairwise terms in use (`crfrnn.meanfield.in_place`), bilateral first.

    Args:
        image: (*S, K), any real dtype, S = (H, W), (D, H, W) or (N,). A grey image (H, W) needs its
            channel axis: `image[..., None]`.
        num_labels: L >= 2.
        theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight, compatibility,
            normalization, spacing, coordinates, mask, method, window: see `refine`.
            Points outside the mask keep the softmax of their unaries.
        ignore_below: see `refine`; which labels it leaves out is found by every `set_unary`.

    Raises:
        ValueError, and warns: see `refine`.

    Reference:
        P. Kraehenbuehl, V. Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
        Potentials", NIPS 2011.

    Example:

    >>> image = np.repeat([0.0, 1.0], 3).reshape(1, 6, 1)
    >>> foreground = np.array([[0.1, 0.6, 0.1, 0.9, 0.9, 0.4]])
    >>> crf = DenseCRF(image, 2, theta_alpha=10, theta_beta=0.1, theta_gamma=1,
    ...                bilateral_weight=5, spatial_weight=0)
    >>> crf.set_unary(probs=np.stack([1 - foreground, foreground], -1))
    >>> before = crf.kl()
    >>> crf.step(5)
    >>> crf.labels(), crf.kl() < before
    (array([[0, 0, 0, 1, 1, 1]]), True)
    """

    @checks.door(_sizes, inputs.NO_PARAMETERS, **declared(*inputs.OPTIONS))
    def __init__(
        self,
        image: np.ndarray,
        num_labels: int,
        *,
        theta_alpha: float | Sequence[float],
        theta_beta: float | Sequence[float],
        theta_gamma: float | Sequence[float],
        bilateral_weight: Any,
        spatial_weight: Any,
        compatibility: Any = "potts",
        normalization: str = "symmetric",
        spacing: float | Sequence[float] | None = None,
        coordinates: np.ndarray | None = None,
        method: str = "lattice",
        window: int | Sequence[int] = 11,
        mask: np.ndarray | None = None,
        ignore_below: float = 0.0,
    ):
        self.shape = (*image.shape[:-1], num_labels)
        self.kernels = image_kernels(
            image,
            num_labels,
            theta_alpha=theta_alpha,
            theta_beta=theta_beta,
            theta_gamma=theta_gamma,
            bilateral_weight=bilateral_weight,
            spatial_weight=spatial_weight,
            compatibility=compatibility,
            normalization=normalization,
            spacing=spacing,
            coordinates=coordinates,
            mask=mask,
            method=method,
            window=window,
        )
        self._mask = mask
        self._bound = absent.bound(list(self.kernels.values()), ignore_below)
        self._crf: MeanField | None = None  # of the points that take part and the labels present
        self._labels = np.arange(num_labels)  # (K,) those
        self._start: np.ndarray | None = None  # (N, L) what all others keep; None: there are none

    def set_unary(
        self, energies: np.ndarray | None = None, *, probs: np.ndarray | None = None
    ) -> None:
        """Sets the unaries and starts again at their softmax.

        Args:
            energies: (*S, L), smaller = more likely, as pydensecrf has them: -log(probs), or
                -logits. Infinite energies forbid a label.
            probs: (*S, L), instead of energies: probabilities that sum to 1.

        Raises:
            ValueError: not exactly one of the two, another shape, NaN, or no probabilities.
        """
        if (energies is None) == (probs is None):
            raise ValueError("Expected either `energies` or `probs`. Received both or none.")
        if probs is not None:
            logits = logits_from_probabilities(inputs.probabilities(probs, self.shape, self._mask))
        else:
            logits = -bounded(self._checked(energies))
        # Probabilities whose labels came first, np.moveaxis(probs, 0, -1), are not contiguous.
        unary = np.ascontiguousarray(logits.reshape(-1, self.shape[-1]), np.float32)
        kernels, self._start = list(self.kernels.values()), None
        if self._mask is not None or self._bound is not None:
            self._start = MeanField([], unary).q
        if self._mask is not None:
            unary = unary[self._mask.ravel()]
        if self._bound is not None and self._start is not None:
            rows = self._start if self._mask is None else self._start[self._mask.ravel()]
            kernels, self._labels = absent.kept(kernels, self._bound, rows.max(0, initial=0))
            unary = np.ascontiguousarray(unary[:, self._labels])
        self._crf = MeanField(kernels, unary)

    def _checked(self, energies: Any) -> np.ndarray:
        energies = checks.array("energies", energies)
        if energies.shape != self.shape:
            raise ValueError(
                f"Expected energies of shape {self.shape}. Received shape {energies.shape}. "
                f"Flat ones with the labels first, as pydensecrf has them, become these by "
                f"energies.T.reshape{self.shape}."
            )
        if self._mask is None:
            checks.no_nan("energies", energies)
            return energies
        checks.no_nan("energies where the mask is True", energies[self._mask])
        return np.where(self._mask[..., None], energies, np.nan_to_num(energies))

    @checks.door(num_iterations=ITERATIONS, damping=Reals(least=0, most=1))
    def step(self, num_iterations: int = 1, damping: float = 0.0) -> None:
        """Does mean-field iterations; raises RuntimeError before the first `set_unary`.

        Args:
            num_iterations: >= 0.
            damping: share of the logarithm of the probabilities that an iteration keeps, in [0, 1];
                see `crfrnn.mean_field`. Where labels repel each other, iterations at 0 may swing to
                and fro, which `kl` shows; damped enough they converge.
        """
        self._state.step(num_iterations, damping)

    def kl(self) -> float:
        """The objective of mean field for the current probabilities, in nats.

        It is a sum over all points that take part.

        For normalizations "symmetric" and "none", whose kernels treat both points of a pair alike,
        it is stationary exactly where an iteration changes nothing. It usually falls from step to
        step; updates of all points at once may raise it now and then. It is the divergence
        D(Q || P) from the CRF's distribution, less log Z, but for the pair of each point with
        itself, which the filters contain; see `MeanField.free_energy`. (pydensecrf's
        `klDivergence` counts each pair twice.) Labels that `ignore_below` leaves out are not in it.

        Reference:
            Krahenbuhl and Koltun 2011, section 3.
        """
        parts = self._state.free_energy()
        return parts.entropy + parts.unary + parts.pairwise / 2

    def probs(self) -> np.ndarray:
        """The current probabilities (*S, L), float32; a copy."""
        return self._rows().reshape(self.shape).copy()

    def labels(self) -> np.ndarray:
        """The currently most likely label of each point (*S), int64."""
        return self._rows().argmax(-1).reshape(self.shape[:-1])

    def _rows(self) -> np.ndarray:
        """The current probabilities of all points, (N, L)."""
        state, start = self._state.q, self._start
        if start is None:
            return state
        taking_part = np.s_[:] if self._mask is None else self._mask.ravel()
        if len(self._labels) < self.shape[-1]:
            state = absent.restored(state, start[taking_part], self._labels)
        result = start.copy()
        result[taking_part] = state
        return result

    @property
    def _state(self) -> MeanField:
        if self._crf is None:
            raise RuntimeError("The CRF has no unaries yet. Call set_unary first.")
        return self._crf
