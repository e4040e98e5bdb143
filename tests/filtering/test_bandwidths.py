"""Gradients of the bandwidths: the rule itself, and what it gives with a lattice on photographs."""

import numpy as np
import pytest

from crfrnn.filtering import make_filter
from crfrnn.filtering.bandwidths import _RECEIVED_SENT, _learning, gaussian_kernel
from crfrnn.meanfield.mean_field import mean_field
from tests import backend
from tests.offline import dense_crf_reference as reference
from tests.tolerances import BANDWIDTH_GRADIENT, FLOAT32, GRADIENT, assert_close

RNG = np.random.default_rng(11)
BATCH, POINTS, FEATURES, CHANNELS = 2, 15, 3, 4
COORDINATES = RNG.normal(100, 1, (BATCH, POINTS, FEATURES)).astype("float32")
VALUES = RNG.normal(size=(BATCH, POINTS, CHANNELS)).astype("float32")
UPSTREAM = RNG.normal(size=(BATCH, POINTS, CHANNELS)).astype("float32")
BANDWIDTHS = np.float32([0.7, 1.3, 2.1])


def by_loops(bandwidths, normalization, coordinates=COORDINATES):
    """sum(UPSTREAM * filtered VALUES) with the exact kernel."""
    total = 0.0
    for i in range(BATCH):
        image = coordinates[i % len(coordinates)].astype("float64")
        kernel = np.exp(-0.5 * np.square((image[:, None] - image[None]) / bandwidths).sum(-1))
        total += np.sum(UPSTREAM[i] * (reference.normalized(kernel, normalization) @ VALUES[i]))
    return total


@pytest.mark.parametrize("batch", [BATCH, 1], ids=["own", "shared"])
@pytest.mark.parametrize("normalization", ["after", "before", "symmetric", "none"])
def test_the_rule_is_exact_for_an_exact_kernel(normalization, batch):
    """The rule takes the filter's kernel for a Gaussian; here it is one."""
    from keras import ops

    coordinates = COORDINATES[:batch]

    def objective(values, bandwidths):
        positions = backend.tensor(coordinates) / bandwidths
        kernel = make_filter(
            ops.stop_gradient(positions), method="exact", normalization=normalization
        )
        learning = _learning(kernel, bandwidths, *_RECEIVED_SENT[normalization])
        return ops.sum(backend.tensor(UPSTREAM) * learning(values))

    d_values, d_bandwidths = backend.gradients(objective, VALUES, BANDWIDTHS)
    expected = reference.finite_differences(
        lambda theta: by_loops(theta, normalization, coordinates), BANDWIDTHS.astype("float64")
    )
    assert_close(d_bandwidths, expected, GRADIENT)

    kernel = make_filter(coordinates / BANDWIDTHS, method="exact", normalization=normalization)
    assert_close(d_values, kernel.transpose(UPSTREAM), FLOAT32)


@pytest.mark.parametrize("method", ["exact", "local"])
def test_other_methods_differentiate_through_the_positions(method):
    from keras import ops

    def objective(bandwidths):
        positions = backend.tensor(COORDINATES) / bandwidths
        options = dict(method=method, grid=(POINTS,), window=2 * POINTS + 1)
        kernel = gaussian_kernel(positions, bandwidths, normalization="after", **options)
        return ops.sum(backend.tensor(UPSTREAM) * kernel(backend.tensor(VALUES)))

    expected = reference.finite_differences(
        lambda theta: by_loops(theta, "after"), BANDWIDTHS.astype("float64")
    )
    assert_close(backend.gradients(objective, BANDWIDTHS)[0], expected, GRADIENT)


# ---- A lattice on photographs --------------------------------------------------------------------

# 40 x 40 crops of scikit-image's photographs, 0..255, noisy unaries of 3 labels, 5 iterations,
# cross entropy. Gradient with respect to (log theta_alpha, log theta_beta, log theta_gamma): the
# lattice's against the exact filter's. The error is the largest difference, relative to the largest
# component; measured errors stand beside. Central differences of two lattices (10 % apart in theta)
# had up to 0.6 on such crops, and the wrong sign of theta_alpha in a third of them.
CASES = [  # photograph, every n-th pixel, (theta_alpha, theta_beta, theta_gamma), tolerance
    ("astronaut", 1, (20, 10, 3), BANDWIDTH_GRADIENT),  # 0.07
    ("astronaut", 1, (40, 13, 5), BANDWIDTH_GRADIENT),  # 0.14
    ("astronaut", 1, (160, 3, 3), BANDWIDTH_GRADIENT),  # 0.16
    ("camera", 1, (80, 13, 5), BANDWIDTH_GRADIENT),  # 0.05
    ("camera", 4, (160, 3, 3), BANDWIDTH_GRADIENT),  # 0.09
    # Colours so unlike each other that a point has few neighbours: between them, vertices of the
    # lattice are missing, and the blur does not reach across.
    ("astronaut", 4, (8, 6, 3), 1.5 * BANDWIDTH_GRADIENT),  # 0.26
    ("astronaut", 4, (160, 3, 3), 1.75 * BANDWIDTH_GRADIENT),  # 0.31
]


def crop(photograph, every):
    image = getattr(pytest.importorskip("skimage.data"), photograph)().astype("float32")
    corner = {1: (60, 180), 4: (20, 30)}[every]
    square = tuple(slice(start, start + 40) for start in corner)
    image = image[::every, ::every][square]
    return image if image.ndim == 3 else image[..., None]


def bandwidth_gradients(image, thetas, method):
    """Of the cross entropy, with respect to the logarithms of the three bandwidths."""
    import keras
    from keras import ops

    grey = image.mean(-1)
    labels = np.digitize(grey, np.quantile(grey, [1 / 3, 2 / 3]))
    noise = np.random.default_rng(0).normal(size=(*labels.shape, 3))
    unaries = backend.tensor((2 * np.eye(3)[labels] + 1.5 * noise).astype("float32")[None])

    def objective(log_thetas):
        alpha, beta, gamma = ops.unstack(ops.exp(log_thetas))
        logits = mean_field(
            unaries,
            backend.tensor(image[None]),
            spatial_weight=1.0,
            bilateral_weight=2.0,
            theta_alpha=alpha,
            theta_beta=beta,
            theta_gamma=gamma,
            num_iterations=5,
            method=method,
        )
        return ops.mean(
            keras.losses.sparse_categorical_crossentropy(labels[None], logits, from_logits=True)
        )

    return backend.gradients(objective, np.log(np.float32(thetas)))[0]


@pytest.mark.parametrize(("photograph", "every", "thetas", "tolerance"), CASES)
def test_lattice_gradients_follow_the_exact_ones(photograph, every, thetas, tolerance):
    image = crop(photograph, every)
    exact = bandwidth_gradients(image, thetas, "exact")
    lattice = bandwidth_gradients(image, thetas, "lattice")
    assert_close(lattice, exact, tolerance)
    # Below a tenth of the largest, a component may be on its way through zero.
    matters = np.abs(exact) > 0.1 * np.abs(exact).max()
    assert matters.sum() >= 2
    assert np.array_equal(np.sign(lattice[matters]), np.sign(exact[matters]))
