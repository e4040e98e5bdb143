"""One random case, and the mean field in loops."""

import numpy as np

from tests.offline import dense_crf_reference as reference

RNG = np.random.default_rng(5)
LABELS = 3
# Two different images; unequal sizes, bandwidths and spacings; L != K; asymmetric matrices.
UNARIES = RNG.normal(0, 2, (2, 3, 4, LABELS)).astype("float32")
IMAGE = RNG.uniform(0, 255, (2, 3, 4, 2)).astype("float32")
THETAS = dict(theta_alpha=(3.0, 2.0), theta_beta=(80.0, 120.0), theta_gamma=(1.5, 0.8))
SPACING = (1.0, 0.7)
SPATIAL = RNG.normal(1, 0.7, (LABELS, LABELS)).astype("float32")
BILATERAL = RNG.normal(1, 0.7, (LABELS, LABELS)).astype("float32")
COMPATIBILITY = (RNG.normal(0, 0.4, (LABELS, LABELS)) - np.eye(LABELS)).astype("float32")
CRF = dict(
    **THETAS,
    spatial_weight=SPATIAL,
    bilateral_weight=BILATERAL,
    compatibility=COMPATIBILITY,
    spacing=SPACING,
    num_iterations=3,
    method="exact",
)
METHODS = [{"method": "exact"}, {"method": "local", "window": 3}, {"native": False}]


def matrix(weights):
    """Kernel weights as the (L, L) matrix that they stand for."""
    return np.asarray(weights) if np.ndim(weights) == 2 else weights * np.eye(LABELS)


def loops(
    unaries=UNARIES, image=IMAGE, normalization="after", spacing=SPACING, thetas=THETAS, **changed
):
    """The same by the reference, image by image."""
    crf = {**CRF, **changed}
    compatibility = crf["compatibility"]
    refined = []
    for unary, picture in zip(unaries, image, strict=True):
        kernels = reference.kernel_matrices(picture, **thetas, spacing=spacing)
        x = reference.iterate(
            unary.reshape(-1, LABELS),
            [reference.normalized(kernel, normalization) for kernel in kernels],
            [matrix(crf["spatial_weight"]), matrix(crf["bilateral_weight"])],
            -np.eye(LABELS) if isinstance(compatibility, str) else compatibility,
            crf["num_iterations"],
        )
        refined.append(x.reshape(unary.shape))
    return np.stack(refined)


# ---- Points that take no part --------------------------------------------------------------------

MASK = RNG.random((2, 3, 4)) < 0.6
