"""The offline CRF: the same as mean_field on every path, and clear about bad input."""

import subprocess
import sys

import numpy as np
import pytest

from crfrnn import DenseCRF, mean_field, refine
from crfrnn.filtering import native
from tests.tolerances import EXACT, FLOAT32, assert_close

THETAS = dict(theta_alpha=5.0, theta_beta=0.3, theta_gamma=1.5)
WEIGHTS = dict(bilateral_weight=4.0, spatial_weight=2.0)


def case(grid, labels=3, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 1, (*grid, channels))
    return image, rng.dirichlet(np.ones(labels), grid)


def expected(image, probs, num_iterations=5, normalization="symmetric", method="lattice", **crf):
    crf = {**THETAS, **crf}
    logits = mean_field(
        np.log(probs)[None],
        image[None],
        spatial_weights=crf.pop("spatial_weight", 2.0),
        bilateral_weights=crf.pop("bilateral_weight", 4.0),
        num_iterations=num_iterations,
        normalization=normalization,
        method=method,
        native=False,
        **crf,
    )[0]
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.fixture(params=[True, False], ids=["native", "without"])
def with_native(request, monkeypatch):
    if request.param and not native.available():
        pytest.skip("no native library")
    if not request.param:
        monkeypatch.setattr(native, "available", lambda: False)
    return request.param


@pytest.mark.parametrize("normalization", ["symmetric", "after", "before"])
@pytest.mark.parametrize("grid", [(9, 7), (4, 5, 6), (40,)])
def test_equals_mean_field(with_native, grid, normalization):
    image, probs = case(grid)
    refined = refine(image, probs, **THETAS, **WEIGHTS, normalization=normalization)
    assert refined.dtype == np.float32
    assert_close(refined, expected(image, probs, normalization=normalization), FLOAT32)


@pytest.mark.parametrize(
    "crf",
    [
        dict(spatial_weight=0.0),
        dict(bilateral_weight=0.0),
        dict(bilateral_weight=np.array([1.0, 2.0, 4.0])),
        dict(spatial_weight=np.arange(9.0).reshape(3, 3)),
        dict(compatibility=np.array([[-1, 0.5, 0.2], [0, -2, 0.1], [0.3, 0, -1]])),
        dict(num_iterations=1),
        dict(num_iterations=0),
    ],
)
def test_weights_and_compatibility(with_native, crf):
    image, probs = case((8, 11))
    assert_close(
        refine(image, probs, **{**THETAS, **WEIGHTS, **crf}),
        expected(image, probs, **{**WEIGHTS, **crf}),
        FLOAT32,
    )


@pytest.mark.parametrize("method", ["exact", "local"])
def test_other_methods(method):
    image, probs = case((8, 11))
    refined = refine(image, probs, **THETAS, **WEIGHTS, method=method)
    assert_close(refined, expected(image, probs, method=method), FLOAT32)


def test_spacing_is_the_unit_of_the_bandwidths():
    image, probs = case((5, 6, 7))
    stretched = refine(image, probs, **THETAS, **WEIGHTS, spacing=(2.0, 1.0, 0.5))
    by_hand = dict(theta_alpha=(2.5, 5.0, 10.0), theta_beta=0.3, theta_gamma=(0.75, 1.5, 3.0))
    assert_close(stretched, refine(image, probs, **by_hand, **WEIGHTS), FLOAT32)


def test_grey_image_without_channel_axis_and_any_dtype():
    image, probs = case((6, 9), channels=1)
    grey = np.round(255 * image[..., 0]).astype(np.uint8)
    thetas = {**THETAS, "theta_beta": 80.0}
    assert_close(
        refine(grey, probs.astype(np.float16), **thetas, **WEIGHTS),
        refine(
            grey[..., None].astype(float),
            probs.astype(np.float16).astype(float),
            **thetas,
            **WEIGHTS,
        ),
        FLOAT32,
    )


def test_the_order_in_memory_does_not_matter(with_native):
    image, probs = case((6, 9))
    labels_first = np.ascontiguousarray(np.moveaxis(probs, -1, 0))
    assert_close(
        refine(np.asfortranarray(image), np.moveaxis(labels_first, 0, -1), **THETAS, **WEIGHTS),
        refine(image, probs, **THETAS, **WEIGHTS),
        EXACT,
    )
    crf = DenseCRF(image, 3, **THETAS, **WEIGHTS)
    crf.set_unary(-np.log(np.moveaxis(labels_first, 0, -1)))
    crf.step(5)
    assert_close(crf.probs(), refine(image, probs, **THETAS, **WEIGHTS), FLOAT32)


def test_input_is_left_alone():
    image, probs = case((6, 9))
    before = image.copy(), probs.copy()
    refine(image, probs, **THETAS, **WEIGHTS)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(probs, before[1])


def test_certain_probabilities_stay_finite():
    image, _ = case((6, 9))
    certain = np.eye(3)[np.random.default_rng(0).integers(0, 3, (6, 9))]
    refined = refine(image, certain, **THETAS, **WEIGHTS)
    assert np.isfinite(refined).all()
    assert_close(refined.sum(-1), np.ones((6, 9)), FLOAT32)


def bad(change):
    image, probs = case((6, 9))
    return change(image, probs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, p: (i[:5], p), r"image of shape \(5, 9, 2\), probs of shape \(6, 9, 3\)"),
        (lambda i, p: (i, p[..., :1]), "L >= 2"),
        (lambda i, p: (i, p[..., 0]), "L >= 2"),
        (lambda i, p: (i, np.log(p)), "Apply a softmax"),
        (lambda i, p: (i, 2 * p), "sum to 1"),
        (lambda i, p: (i, p * np.nan), "sum to 1"),
        (lambda i, p: (i * np.inf, p), "finite image"),
        (lambda i, p: (np.where(i > 0.5, np.nan, i), p), "finite image"),
    ],
)
def test_bad_arrays_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        refine(*bad(change), **THETAS, **WEIGHTS)


@pytest.mark.parametrize(
    ("crf", "message"),
    [
        (dict(normalization="mean"), "normalization"),
        (dict(method="fast"), "method"),
        (dict(compatibility="linear"), "potts"),
        (dict(compatibility=np.eye(2)), r"\(3, 3\)"),
        (dict(spatial_weight=np.ones(2)), "kernel weights"),
        (dict(spacing=(1.0, 2.0, 3.0)), "spacing"),
        (dict(theta_alpha=(1.0, 2.0, 3.0)), "theta"),
        (dict(theta_beta=0.0), "theta_beta"),
        (dict(num_iterations=-1), "num_iterations"),
    ],
)
def test_bad_parameters_are_named(with_native, crf, message):
    with pytest.raises(ValueError, match=message):
        refine(*case((6, 9)), **{**THETAS, **WEIGHTS, **crf})


def test_needs_no_keras():
    code = (
        "import sys, numpy as np, crfrnn\n"
        "p = np.full((4, 5, 2), 0.5)\n"
        "crfrnn.refine(np.zeros((4, 5)), p, theta_alpha=3, theta_beta=1, theta_gamma=1,\n"
        "              bilateral_weight=1, spatial_weight=1)\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
