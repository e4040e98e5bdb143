"""Gradients of the mean field against finite differences."""

import numpy as np
import pytest

from crfrnn.filtering import bandwidths
from crfrnn.meanfield.mean_field import mean_field
from tests import backend
from tests.meanfield.random_case import (
    BILATERAL,
    COMPATIBILITY,
    IMAGE,
    LABELS,
    RNG,
    SPACING,
    SPATIAL,
    THETAS,
    UNARIES,
)
from tests.offline import dense_crf_reference as reference
from tests.tolerances import GRADIENT, assert_close

# ---- Gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_gradients_equal_finite_differences(method):
    """Of the unaries, both weights and the compatibility; float64 differences of the loops."""
    unaries, image = UNARIES[:1], IMAGE[:1]
    coefficients = RNG.normal(size=unaries.shape).astype("float32")
    crf = {**THETAS, "spacing": SPACING, "num_iterations": 2, "method": method}

    # The kernels as matrices; those of the lattice are its responses to unit vectors.
    if method == "exact":
        kernels = reference.kernel_matrices(image[0], **THETAS, spacing=SPACING)
        kernels = [reference.normalized(kernel, "after") for kernel in kernels]
    else:
        from crfrnn.meanfield.positions import bilateral_positions, spatial_positions

        identity = np.eye(unaries[0, ..., 0].size, dtype="float32")[None]
        kernels = [
            bandwidths.gaussian_kernel(positions, normalization="after")(identity)[0]
            for positions in (
                spatial_positions((3, 4), THETAS["theta_gamma"], SPACING),
                bilateral_positions(image, THETAS["theta_alpha"], THETAS["theta_beta"], SPACING),
            )
        ]
        kernels = [kernel.astype("float64") for kernel in kernels]

    def by_loops(u, spatial, bilateral, compatibility):
        x = reference.iterate(
            u.reshape(-1, LABELS), kernels, [spatial, bilateral], compatibility, 2
        )
        return np.sum(x.reshape(u.shape) * coefficients)

    def by_tensors(u, spatial, bilateral, compatibility):
        from keras import ops

        x = mean_field(
            u,
            backend.tensor(image),
            spatial_weight=spatial,
            bilateral_weight=bilateral,
            compatibility=compatibility,
            **crf,
        )
        return ops.sum(x * backend.tensor(coefficients))

    arrays = [unaries, SPATIAL, BILATERAL, COMPATIBILITY]
    found = backend.gradients(by_tensors, *arrays)
    doubles = [array.astype("float64") for array in arrays]
    for i, gradient in enumerate(found):

        def along(array, i=i):
            return by_loops(*doubles[:i], array, *doubles[i + 1 :])

        assert_close(gradient, reference.finite_differences(along, doubles[i]), GRADIENT)
