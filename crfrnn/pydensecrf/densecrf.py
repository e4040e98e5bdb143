"""`pydensecrf.densecrf`: the dense CRF over N points and L labels, step by step.

Energies and features are flat and have the points last, (L, N) and (F, N); energies are negative
log-probabilities. Inside, the points come first and energies are logits, as everywhere in crfrnn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn.filtering import NormalizedFilter, make_filter
from crfrnn.meanfield.in_place import MeanField, PairwiseKernel, pairwise_kernel
from crfrnn.meanfield.logits import bounded
from crfrnn.native import library
from crfrnn.pydensecrf.arguments import bandwidths, compatibility, count, whole
from crfrnn.pydensecrf.eigen import MatrixXf, buffer
from crfrnn.pydensecrf.kinds import NAMES
from crfrnn.pydensecrf.kinds import KernelType as KernelType
from crfrnn.pydensecrf.kinds import NormalizationType as NormalizationType
from crfrnn.pydensecrf.unary import ConstUnary as ConstUnary
from crfrnn.pydensecrf.unary import LogisticUnary as LogisticUnary
from crfrnn.pydensecrf.unary import Unary as Unary
from crfrnn.pydensecrf.utils import create_pairwise_bilateral, create_pairwise_gaussian

CONST_KERNEL = KernelType.CONST_KERNEL
DIAG_KERNEL = KernelType.DIAG_KERNEL
FULL_KERNEL = KernelType.FULL_KERNEL
NO_NORMALIZATION = NormalizationType.NO_NORMALIZATION
NORMALIZE_BEFORE = NormalizationType.NORMALIZE_BEFORE
NORMALIZE_AFTER = NormalizationType.NORMALIZE_AFTER
NORMALIZE_SYMMETRIC = NormalizationType.NORMALIZE_SYMMETRIC


class DenseCRF:
    """A dense CRF over points of any kind.

    Args:
        nvar: number of points N.
        nlabels: number of labels L.

    Raises:
        TypeError: something else than numbers.
        ValueError: fewer than one point or label.

    Example:

    >>> crf = DenseCRF(3, 2)
    >>> crf.setUnaryEnergy(-np.log(np.array([[0.9, 0.4, 0.1], [0.1, 0.6, 0.9]], np.float32)))
    >>> crf.addPairwiseEnergy(np.array([[0.0, 0.1, 9.0]], np.float32), compat=3)
    >>> np.argmax(crf.inference(5), axis=0)  # the second point follows its neighbour
    array([0, 0, 1])
    """

    def __init__(self, nvar: int, nlabels: int):
        self._points, self._labels = count("nvar", nvar), count("nlabels", nlabels)
        # pydensecrf works on four points at a time and fills the last four up with points at the
        # origin. They have no values, but their vertices are in its lattice, and through these the
        # blur finds ways that there were none.
        self._rows = self._points + -self._points % 4
        self._unary: np.ndarray | None = None  # (rows, L) logits
        self._kernels: list[PairwiseKernel] = []

    def setUnary(self, u: Unary) -> None:
        """Takes unary energies, in the place of earlier ones.

        Args:
            u: `ConstUnary` or `LogisticUnary`.
        """
        if not isinstance(u, ConstUnary | LogisticUnary):
            raise TypeError(
                f"Expected `u` to be a ConstUnary or LogisticUnary. Received {type(u).__name__}. "
                "Use setUnaryEnergy(u) for an array."
            )
        wanted = (self._labels, self._points)
        if u.energies.shape != wanted:
            raise ValueError(
                f"Bad shape for unary energy (Need {wanted}, got {u.energies.shape}). The labels "
                f"come first: from (H, W, {self._labels}) make "
                f"u.transpose(2, 0, 1).reshape(({self._labels}, -1)), then C-contiguous."
            )
        if np.isnan(u.energies).any():
            raise ValueError(
                "Expected unary energies without NaN. Received some. Was a logarithm taken of "
                "negative numbers? utils.unary_from_softmax clips at 1e-5."
            )
        self._unary = bounded(self._filled(np.negative(u.energies.T, order="C")))

    def setUnaryEnergy(self, u: Any, f: Any = None) -> None:
        """Takes unary energies, in the place of earlier ones.

        Args:
            u: negative log-probabilities (L, N) float32, C-contiguous; or, with `f`, the L of
                `LogisticUnary`.
            f: the f of `LogisticUnary`.

        Raises:
            TypeError: no arrays.
            ValueError: another shape or dtype, not C-contiguous, or NaN.
        """
        self.setUnary(ConstUnary(u) if f is None else LogisticUnary(u, f))

    def addPairwiseEnergy(
        self,
        features: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Adds a Gaussian kernel exp(-|f_i - f_j|^2 / 2) between all points.

        Args:
            features: (F, N) float32, C-contiguous, divided by the bandwidths.
            compat: label compatibility, added to the energies. A number w: Potts, w per label that
                differs. (L,) float32: a diagonal matrix, negative numbers attract; -w times ones
                is Potts. (L, L) float32: any matrix, made symmetric.
            kernel: CONST_KERNEL, DIAG_KERNEL or FULL_KERNEL; no difference without learning.
            normalization: NO_NORMALIZATION, NORMALIZE_BEFORE, NORMALIZE_AFTER or
                NORMALIZE_SYMMETRIC.

        Raises:
            TypeError: no arrays.
            ValueError: another shape or dtype, not C-contiguous, or not finite.
        """
        features = buffer("features", features, np.float32, 2)
        if features.shape[1] != self._points or not len(features):
            raise ValueError(
                f"Bad shape for pairwise energy (Need (F, {self._points}), F >= 1, got "
                f"{features.shape})."
            )
        self._add(features, compat, kernel, normalization)

    def inference(self, niter: int) -> np.ndarray:
        """Mean field from the unary energies.

        Args:
            niter: number of iterations; 0 or fewer give the softmax of the negative energies.

        Returns:
            Q: probabilities (L, N) float32, column-major.
        """
        crf = MeanField(self._kernels, self._logits())
        crf.step(whole("niter", niter))
        return crf.q[: self._points].T

    def startInference(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `stepInference` starts from: Q (L, N) and two matrices without use.

        Q is the softmax of the negative unary energies; zeros if there are none, as in pydensecrf.
        """
        if self._unary is None:
            q = np.zeros((self._points, self._labels), np.float32)
        else:
            q = MeanField([], self._unary).q[: self._points]
        return q.T, MatrixXf(), MatrixXf()

    def stepInference(self, Q: np.ndarray, tmp1: Any, tmp2: Any) -> None:
        """One mean-field iteration.

        Args:
            Q: probabilities (L, N), overwritten.
            tmp1, tmp2: not used; pydensecrf keeps intermediate results there.
        """
        del tmp1, tmp2
        q = self._checked(Q)
        crf = MeanField(self._kernels, self._logits(), q)
        # Without kernels an iteration is the softmax of the unaries.
        q[...] = MeanField([], crf.unary).q if not self._kernels else q
        crf.step()
        if not np.may_share_memory(q, Q):
            Q[...] = q[: self._points].T

    def klDivergence(self, Q: np.ndarray) -> float:
        """How far Q is from the CRF's distribution, as pydensecrf counts it.

        It counts each pair of points twice: sum of Q log Q, of Q times unary energy, and of Q times
        its pairwise energy, without the factor 1/2; and it leaves out log Z. So it may rise from
        one iteration to the next while the true divergence falls.

        Args:
            Q: probabilities (L, N).
        """
        crf = MeanField(self._kernels, self._logits(), self._checked(Q))
        return float(sum(crf.free_energy()))

    def _add(self, features: np.ndarray, compat: Any, kernel: int, normalization: int) -> None:
        KernelType(kernel)
        weight, matrix = compatibility(compat, self._labels)
        name = NAMES[NormalizationType(normalization)]
        lattice = make_filter(self._filled(features.T)[None], normalization="none").operator
        present = None
        if self._rows > self._points:
            present = self._filled(np.ones((self._points, 1)))[None]
        filter_ = NormalizedFilter(lattice, name, present)
        self._kernels.append(pairwise_kernel(filter_, weight, matrix, self._labels))

    def _logits(self) -> np.ndarray:
        if self._unary is None:
            return np.zeros((self._rows, self._labels), np.float32)
        return self._unary

    def _filled(self, rows: np.ndarray) -> np.ndarray:
        """(N, ...) as float32, C-contiguous, filled up with zeros to a multiple of four."""
        if self._rows == self._points:
            return library.contiguous(rows)
        filled = np.zeros((self._rows, *rows.shape[1:]), np.float32)
        filled[: self._points] = rows
        return filled

    def _checked(self, Q: Any) -> np.ndarray:
        """Q as (rows, L) float32, the same memory where possible."""
        wanted = (self._labels, self._points)
        if not isinstance(Q, np.ndarray) or Q.shape != wanted:
            received = f"shape {Q.shape}" if isinstance(Q, np.ndarray) else type(Q).__name__
            raise TypeError(
                f"Expected Q as `startInference` returns it, shape {wanted}. Received {received}."
            )
        return self._filled(Q.T)


class DenseCRF2D(DenseCRF):
    """A dense CRF over the pixels of an image.

    Args:
        w, h: width and height, in this order.
        nlabels: number of labels L.

    Example:

    >>> image = np.array([[[0, 0, 0], [0, 0, 0], [255, 0, 0]]], np.uint8)  # h = 1, w = 3
    >>> crf = DenseCRF2D(3, 1, 2)
    >>> crf.setUnaryEnergy(-np.log(np.array([[0.9, 0.4, 0.1], [0.1, 0.6, 0.9]], np.float32)))
    >>> crf.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image, compat=10)
    >>> np.argmax(crf.inference(5), axis=0)  # the second pixel follows the one of its colour
    array([0, 0, 1])
    """

    def __init__(self, w: int, h: int, nlabels: int):
        self._grid = count("h", h), count("w", w)
        super().__init__(self._grid[0] * self._grid[1], nlabels)

    def addPairwiseGaussian(
        self,
        sxy: float | Sequence[float],
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Adds a kernel that sees where pixels are.

        Args:
            sxy: bandwidth in pixels: a number, or (x, y).
            compat, kernel, normalization: see `addPairwiseEnergy`.

        Raises:
            ValueError: a bandwidth that is not positive, or a bad compatibility.
        """
        sx, sy = bandwidths("sxy", sxy, 2)
        features = create_pairwise_gaussian((sy, sx), self._grid)
        self._add(features[::-1], compat, kernel, normalization)  # x first

    def addPairwiseBilateral(
        self,
        sxy: float | Sequence[float],
        srgb: float | Sequence[float],
        rgbim: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Adds a kernel that sees where pixels are and their colours.

        Args:
            sxy: bandwidth in pixels: a number, or (x, y).
            srgb: bandwidth of the colours, 0..255: a number, or one per channel.
            rgbim: (h, w, 3) uint8, C-contiguous.
            compat, kernel, normalization: see `addPairwiseEnergy`.

        Raises:
            TypeError: no image.
            ValueError: a bandwidth that is not positive, another shape or dtype of the image, or a
                bad compatibility.
        """
        (sx, sy), srgb = bandwidths("sxy", sxy, 2), bandwidths("srgb", srgb, 3)
        image = buffer("rgbim", rgbim, np.uint8, 3)
        if image.shape[:2] != self._grid:
            raise ValueError(
                f"Bad shape for pairwise bilateral (Need {(*self._grid, 3)}, got {image.shape}). "
                "DenseCRF2D takes the width first, an image has the height first."
            )
        if image.shape[2] != 3:
            raise ValueError(
                "addPairwiseBilateral only works for RGB images, (h, w, 3). Received shape "
                f"{image.shape}. For other channels pass the features of "
                "utils.create_pairwise_bilateral to addPairwiseEnergy."
            )
        features = create_pairwise_bilateral((sy, sx), srgb, image, chdim=2)
        self._add(features[[1, 0, 2, 3, 4]], compat, kernel, normalization)  # x first
