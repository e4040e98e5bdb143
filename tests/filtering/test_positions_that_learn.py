"""Gradients of the positions: the rule itself, and what it gives with a lattice on photographs."""

import keras
import numpy as np
import pytest
from keras import ops

from crfrnn.filtering import ExactFilter, NormalizedFilter, make_filter
from crfrnn.filtering.positions_that_learn import PositionsThatLearn, scaled_by
from crfrnn.meanfield.mean_field import mean_field
from tests import backend
from tests.filtering.methods import LATTICES, METHODS, random_positions, random_values
from tests.filtering.test_bandwidths import (
    BANDWIDTHS,
    COORDINATES,
    UPSTREAM,
    VALUES,
    by_loops,
    crop,
)
from tests.offline import dense_crf_reference as reference
from tests.tolerances import EXACT, GRADIENT, POSITION_GRADIENT, assert_close

# ---- The rule takes the filter's kernel for a Gaussian; here it is one ---------------------------


def through_the_rule(values, positions, normalization, first=0):
    """sum(UPSTREAM * filtered values), with gradients by the rule alone."""
    fixed = ExactFilter(ops.stop_gradient(positions))
    learning = NormalizedFilter(PositionsThatLearn(fixed, positions, first), normalization)
    return ops.sum(backend.tensor(UPSTREAM) * learning(values))


@pytest.mark.parametrize("batch", [2, 1], ids=["own", "shared"])
@pytest.mark.parametrize("normalization", ["after", "before", "symmetric", "none"])
def test_the_rule_is_exact_for_an_exact_kernel(normalization, batch):
    positions = COORDINATES[:batch] / BANDWIDTHS
    d_values, found = backend.gradients(
        lambda v, p: through_the_rule(v, p, normalization), VALUES, positions
    )
    expected = reference.finite_differences(
        lambda p: by_loops(np.ones(3), normalization, p), positions.astype("float64")
    )
    assert_close(found, expected, GRADIENT)
    kernel = make_filter(positions, method="exact", normalization=normalization)
    assert_close(d_values, kernel.transpose(UPSTREAM), GRADIENT)


def test_features_that_do_not_learn_receive_nothing():
    positions = COORDINATES / BANDWIDTHS
    all_learn, last_learns = (
        backend.gradients(lambda p, f=f: through_the_rule(VALUES, p, "symmetric", f), positions)[0]
        for f in (0, 2)
    )
    assert np.all(last_learns[..., :2] == 0)
    assert_close(last_learns[..., 2], all_learn[..., 2], GRADIENT)


def test_bandwidths_learn_through_positions_that_do():
    def objective(bandwidths):
        constant = backend.tensor(COORDINATES / BANDWIDTHS)
        return through_the_rule(backend.tensor(VALUES), scaled_by(constant, bandwidths), "after")

    expected = reference.finite_differences(
        lambda theta: by_loops(theta, "after"), BANDWIDTHS.astype("float64")
    )
    assert_close(backend.gradients(objective, BANDWIDTHS)[0], expected, GRADIENT)


@pytest.mark.parametrize("name", LATTICES)
def test_the_rule_with_the_matrix_of_a_lattice(name):
    positions = random_positions(2, 20, 3)
    values, upstream = (random_values(2, 20, 4, seed) for seed in (1, 4))

    def objective(positions):
        options = METHODS[name].arguments
        kernel = make_filter(positions, normalization="none", position_gradient=True, **options)
        return ops.sum(backend.tensor(upstream) * kernel(backend.tensor(values)))

    expected = np.zeros(positions.shape)
    for image, p in enumerate(positions.astype("float64")):
        matrix, v, g = METHODS[name].matrix(positions[image]), values[image], upstream[image]
        for i, j in np.ndindex(20, 20):
            both = matrix[i, j] * (g[i] @ v[j]) + matrix[j, i] * (v[i] @ g[j])
            expected[image, i] += both * (p[j] - p[i])
    assert_close(backend.gradients(objective, positions)[0], expected, GRADIENT)


# ---- A lattice on photographs --------------------------------------------------------------------

# 40 x 36 crops, 0..255, noisy unaries of 3 labels, 3 iterations, cross entropy. The error of the
# image's gradient is the relative L2 error against the exact filter's; measured ones stand beside.
CASES = [  # photograph, every n-th pixel, (theta_alpha, theta_beta, theta_gamma), tolerance
    ("astronaut", 1, ((20, 30), (10, 8, 12), 3), POSITION_GRADIENT),  # 0.17
    ("camera", 1, (80, 13, (5, 3)), POSITION_GRADIENT),  # 0.07
    # Colours so unlike each other that a point has few neighbours; as for the bandwidths.
    ("astronaut", 4, (8, 6, 3), 3.5 * POSITION_GRADIENT),  # 0.59
]


def gradients(image, thetas, log_thetas=True, shown=None, **options):
    """Of the cross entropy, with respect to a batch of images and log theta_alpha, _beta, _gamma.

    The second image of the batch is the first one turned round. The CRF sees `shown`, if given.
    """
    images, grey = (np.stack([i, i[::-1, ::-1]]) for i in (image, image.mean(-1)))
    if shown is not None:
        images = np.stack([shown, shown[::-1, ::-1]])
    labels = np.digitize(grey, np.quantile(grey, [1 / 3, 2 / 3]))
    noise = np.random.default_rng(0).normal(size=(*labels.shape, 3))
    unaries = backend.tensor((2 * np.eye(3)[labels] + 1.5 * noise).astype("float32"))

    def objective(images, *logs):
        bandwidths = [ops.exp(log) for log in logs] or thetas
        names = ("theta_alpha", "theta_beta", "theta_gamma")
        logits = mean_field(
            unaries,
            images,
            **dict(zip(names, bandwidths, strict=True)),
            spatial_weight=1.0,
            bilateral_weight=2.0,
            **{"num_iterations": 3, **options},
        )
        return ops.mean(
            keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        )

    logs = [np.log(np.float32(theta)) for theta in thetas] if log_thetas else []
    return backend.gradients(objective, images.astype("float32"), *logs, jit=True)


@pytest.mark.parametrize(("photograph", "every", "thetas", "tolerance"), CASES)
def test_lattice_gradients_follow_the_exact_ones(photograph, every, thetas, tolerance):
    image = crop(photograph, every)[:, 4:]
    (exact,) = gradients(image, thetas, log_thetas=False, method="exact")
    (found,) = gradients(image, thetas, log_thetas=False, image_gradient=True)
    relative = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert relative < tolerance, relative
    assert 0.9 < np.linalg.norm(found) / np.linalg.norm(exact) < 1.1
    # Below a tenth of the largest, one may be on its way through zero.
    matters = np.abs(exact) > 0.1 * np.abs(exact).max()
    assert matters.sum() >= 300
    assert np.mean(np.sign(found[matters]) == np.sign(exact[matters])) > 0.9


# ---- Who asks for it -----------------------------------------------------------------------------


def test_an_image_receives_a_gradient_where_it_is_asked_for():
    image = crop("camera", 1)[:8, :7]
    off, *alone = gradients(image, (4, 20, 2), num_iterations=2)
    on, *together = gradients(image, (4, 20, 2), num_iterations=2, image_gradient=True)
    assert np.all(off == 0)
    assert np.any(on != 0)
    # Bandwidths that learn together with the image have the gradient that they have alone.
    assert_close(together, alone, GRADIENT)


def test_masked_points_receive_nothing_and_do_not_matter():
    image = crop("astronaut", 1)[:8, :7]
    mask = np.ones((2, 8, 7), bool)
    mask[:, 2:4, 1:5] = False
    mask[1] = mask[1, ::-1, ::-1]

    def masked(fill):
        filled = np.where(mask[0][..., None], image, np.float32(fill))
        options = dict(mask=mask, image_gradient=True, log_thetas=False, num_iterations=1)
        return gradients(image, (4, 20, 2), shown=filled, **options)[0]

    found = masked(np.nan)
    assert np.all(found[~mask] == 0)
    assert np.any(found[mask] != 0)
    assert_close(found, masked(200), EXACT)
