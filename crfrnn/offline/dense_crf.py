"""The offline CRF: refines the probabilities of any segmentation, on NumPy arrays alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn import arrays, checks
from crfrnn.filtering.normalized import check_names
from crfrnn.meanfield import in_place as inference
from crfrnn.meanfield.mean_field import (
    check_compatibility,
    check_iterations,
    logits_from_probabilities,
)
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions


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
) -> np.ndarray:
    """Refines the probabilities of a segmentation by a dense CRF that follows the image's edges.

    The iteration is that of `mean_field`, started at the logarithm of the probabilities.
    `probs_from_logits` and `probs_from_labels` make probabilities of other outputs, `DenseCRF`
    goes step by step, `first_guess` and `search` find the parameters.

    Args:
        image: (*S,) or (*S, K), any real dtype, S = (H, W), (D, H, W) or (N,). Points without a
            grid, given by `coordinates`, have S = (N,).
        probs: (*S, L), L >= 2 probabilities of each point, in [0, 1], which sum to 1.
        theta_alpha, theta_gamma: spatial bandwidths of the bilateral and of the spatial kernel, in
            points or in the unit of `spacing` or `coordinates`: a number, or one number per axis.
        theta_beta: intensity bandwidth of the bilateral kernel, in the image's units: a number, or
            one number per channel.
        bilateral_weight, spatial_weight: weight of each kernel: a number, (L,) or (L, L). 0 leaves
            it out.
        num_iterations: mean-field iterations, 0 or more.
        compatibility: "potts" or (L, L); see `mean_field`.
        normalization: "symmetric" (pydensecrf's default), "after" (CRF-as-RNN), "before" or "none".
        spacing: distance of neighbouring points, a number or one number per axis; default 1.
        coordinates: (N, 1 to 3), where each of N points is, for clouds of points.
        method: "lattice", "exact" or "local"; see `gaussian_filter`.
        window: width in points of method="local"; see `gaussian_filter`.

    Returns:
        Refined probabilities (*S, L), float32.

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
    check_iterations(num_iterations)
    image = checks.array("image", image)
    probs = checks.array("probs", probs)
    checks.same_grid(image, probs)
    probs = checks.probabilities(probs)
    crf = DenseCRF(
        image if image.ndim == probs.ndim else image[..., None],
        probs.shape[-1],
        theta_alpha=theta_alpha,
        theta_beta=theta_beta,
        theta_gamma=theta_gamma,
        bilateral_weight=bilateral_weight,
        spatial_weight=spatial_weight,
        compatibility=compatibility,
        normalization=normalization,
        spacing=spacing,
        coordinates=coordinates,
        method=method,
        window=window,
    )
    crf._start(logits_from_probabilities(probs))
    crf.step(num_iterations)
    return crf._state()[1].reshape(probs.shape)


class DenseCRF:
    """A dense CRF over one image, step by step: what `refine` does in one call.

    The kernels are built once, here; `set_unary` may be called any number of times. `shape` is
    (*S, L), `kernels` are the pairwise terms in use (`crfrnn.meanfield.in_place`), bilateral first.

    Args:
        image: (*S, K), any real dtype, S = (H, W), (D, H, W) or (N,). A grey image (H, W) needs its
            channel axis: `image[..., None]`.
        num_labels: L >= 2.
        theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight, compatibility,
            normalization, spacing, coordinates, method, window: see `refine`.

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
    ):
        checks.whole("num_labels", num_labels, 2)
        check_names(method, normalization)
        check_compatibility(compatibility)
        image = checks.image(image)
        parameters = dict(
            theta_alpha=theta_alpha,
            theta_beta=theta_beta,
            theta_gamma=theta_gamma,
            bilateral_weight=bilateral_weight,
            spatial_weight=spatial_weight,
            compatibility=compatibility,
            spacing=spacing,
        )
        for name, value in parameters.items():
            if value is not None and (name != "compatibility" or not isinstance(value, str)):
                checks.finite(name, value)
        if coordinates is not None and method == "local":
            raise ValueError(
                'method="local" needs a grid, which points with `coordinates` have not. '
                'Use method="lattice" or "exact".'
            )
        if coordinates is not None:
            coordinates = checks.coordinates(coordinates, image.shape[:-1], spacing)
        self.shape = (*image.shape[:-1], num_labels)
        self._unary: np.ndarray | None = None  # (N, L) logits
        self._q: np.ndarray | None = None  # (N, L) probabilities
        terms = {
            # The bilateral lattice is the larger one and needs the most memory while it is built:
            # first.
            "bilateral": (
                bilateral_weight,
                lambda: bilateral_positions(
                    image[None], theta_alpha, theta_beta, spacing, coordinates=coordinates
                ),
            ),
            "spatial": (
                spatial_weight,
                lambda: spatial_positions(
                    self.shape[:-1], theta_gamma, spacing, arrays, coordinates=coordinates
                ),
            ),
        }
        self.kernels = [
            inference.pairwise_kernel(
                positions()[0],
                weight,
                num_labels,
                compatibility=compatibility,
                normalization=normalization,
                method=method,
                grid=None if coordinates is not None else self.shape[:-1],
                window=window,
            )
            for weight, positions in terms.values()
            if np.any(weight)
        ]
        if np.any(bilateral_weight):
            checks.warn_if_blind(image, theta_beta)

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
            self._start(logits_from_probabilities(checks.probabilities(probs, self.shape)))
            return
        energies = checks.array("energies", energies)
        if energies.shape != self.shape:
            raise ValueError(
                f"Expected energies of shape {self.shape}. Received shape {energies.shape}. "
                f"Flat ones with the labels first, as pydensecrf has them, become these by "
                f"energies.T.reshape{self.shape}."
            )
        checks.no_nan("energies", energies)
        self._start(-inference.bounded(energies))

    def step(self, num_iterations: int = 1) -> None:
        """Does mean-field iterations; raises RuntimeError before the first `set_unary`."""
        check_iterations(num_iterations)
        unary, q = self._state()
        for _ in range(num_iterations if self.kernels else 0):
            inference.step(self.kernels, unary, q)

    def kl(self) -> float:
        """The objective of mean field for the current probabilities, in nats, over all points.

        For normalizations "symmetric" and "none", whose kernels treat both points of a pair alike,
        it is stationary exactly where an iteration changes nothing. It usually falls from step to
        step; updates of all points at once may raise it now and then. It is the divergence
        D(Q || P) from the CRF's distribution, less log Z, but for the pair of each point with
        itself, which the filters contain; see `inference.free_energy`. (pydensecrf's
        `klDivergence` counts each pair twice.)

        Reference:
            Krahenbuhl and Koltun 2011, section 3.
        """
        parts = inference.free_energy(self.kernels, *self._state())
        return parts.entropy + parts.unary + parts.pairwise / 2

    def probs(self) -> np.ndarray:
        """The current probabilities (*S, L), float32; a copy."""
        return self._state()[1].reshape(self.shape).copy()

    def labels(self) -> np.ndarray:
        """The currently most likely label of each point (*S), int64."""
        return self._state()[1].argmax(-1).reshape(self.shape[:-1])

    def _start(self, logits: np.ndarray) -> None:
        # Probabilities whose labels came first, np.moveaxis(probs, 0, -1), are not contiguous.
        self._unary = np.ascontiguousarray(logits.reshape(-1, self.shape[-1]), np.float32)
        self._q = inference.initial(self._unary)

    def _state(self) -> tuple[np.ndarray, np.ndarray]:
        if self._unary is None or self._q is None:
            raise RuntimeError("The CRF has no unaries yet. Call set_unary first.")
        return self._unary, self._q
