"""pydensecrf (the fork pydensecrf2 on PyPI, same import name) on a workload."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workloads import Workload
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions


class PyDenseCRF:
    """One workload, ready to be run from scratch many times.

    What pydensecrf leaves to its users' NumPy code - energies from probabilities, features other
    than those of two-dimensional RGB - is prepared here once and not counted, so that its times
    are those of its C++ code.

    Args:
        normalization: "symmetric" (its default) or "after" (that of CRF-as-RNN).
    """

    def __init__(self, workload: Workload, normalization: str = "symmetric"):
        import pydensecrf.densecrf as densecrf

        self._densecrf = densecrf
        self._workload = workload
        self._normalization = getattr(densecrf, f"NORMALIZE_{normalization.upper()}")
        energies = -np.log(np.clip(workload.probabilities, 1e-7, 1.0))
        self._energies = np.ascontiguousarray(energies.reshape(-1, workload.labels).T)  # (L, N)
        grid, thetas = workload.grid, workload.thetas
        self._helper = len(grid) == 2 and workload.image.shape[-1] == 3
        if not self._helper:
            spatial = spatial_positions(grid, np.float32(thetas["theta_gamma"]))
            bilateral = bilateral_positions(
                workload.image[None], thetas["theta_alpha"], thetas["theta_beta"]
            )
            # (1, N, F) -> (F, N)
            self._features = [np.ascontiguousarray(p[0].T) for p in (spatial, bilateral)]

    def crf(self) -> Any:
        """Its CRF with both lattices built."""
        w, normalization = self._workload, self._normalization
        points = w.unaries.size // w.labels
        if self._helper:
            crf = self._densecrf.DenseCRF2D(w.grid[1], w.grid[0], w.labels)
        else:
            crf = self._densecrf.DenseCRF(points, w.labels)
        crf.setUnaryEnergy(self._energies)
        if self._helper:
            options = dict(normalization=normalization)
            crf.addPairwiseGaussian(w.theta_gamma, w.spatial_weight, **options)
            crf.addPairwiseBilateral(
                w.theta_alpha, w.theta_beta, w.image, w.bilateral_weight, **options
            )
        else:
            for features, weight in zip(
                self._features, (w.spatial_weight, w.bilateral_weight), strict=True
            ):
                crf.addPairwiseEnergy(features, weight, normalization=normalization)
        return crf

    def run(self) -> np.ndarray:
        """The whole inference: probabilities (*S, L)."""
        q = np.asarray(self.crf().inference(self._workload.iterations))  # (L, N)
        return q.T.reshape(self._workload.unaries.shape)
