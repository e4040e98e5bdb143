"""What refine refuses, and what it warns of."""

import numpy as np
import pytest

from crfrnn import DenseCRF, refine
from tests.offline.random_case import THETAS, WEIGHTS, case


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
        (lambda i, p: (i, p * np.nan), "without NaN"),
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


@pytest.mark.parametrize(("theta_beta", "word"), [(30.0, "large"), (1e-3, "small")])
def test_a_theta_beta_out_of_proportion_warns(theta_beta, word):
    image, probs = case((8, 11))
    with pytest.warns(UserWarning, match=f"theta_beta = .* is {word}"):
        refine(image, probs, **{**THETAS, "theta_beta": theta_beta}, **WEIGHTS)


def test_a_constant_image_does_not_warn():
    _, probs = case((8, 11))
    refine(np.full((8, 11), 7), probs, **THETAS, **WEIGHTS)


def test_probabilities_outside_a_mask_may_be_nan():
    image, probs = case((6, 7))
    mask = np.random.default_rng(1).random((6, 7)) < 0.6
    nan = np.where(mask[..., None], probs, np.nan)
    crf = {**THETAS, **WEIGHTS}
    refined = refine(image, probs, mask=mask, **crf)
    refined[~mask] = np.nan
    np.testing.assert_array_equal(refine(image, nan, mask=mask, **crf), refined)
    step_by_step = DenseCRF(image, 3, mask=mask, **crf)
    step_by_step.set_unary(probs=nan)
    step_by_step.step(5)
    np.testing.assert_array_equal(step_by_step.probs(), refined)
    with pytest.raises(ValueError, match=r"NaN at \d+ of 42 points.*mask=np\.isfinite\(probs\)"):
        refine(image, nan, **crf)
    mask[tuple(np.argwhere(~mask)[0])] = True
    with pytest.raises(ValueError, match=r"NaN at 1 of"):
        refine(image, nan, mask=mask, **crf)


def test_a_warning_names_the_line_of_the_user():
    image, probs = case((6, 7))
    with pytest.warns(UserWarning, match="theta_beta") as caught:
        refine(image, probs, **{**THETAS, **WEIGHTS, "theta_beta": 1e6})
    assert caught[0].filename == __file__


def test_energies_outside_a_mask_may_be_nan():
    rng = np.random.default_rng(0)
    image, energies = rng.normal(size=(7, 9, 1)), rng.normal(size=(7, 9, 3))
    mask = rng.uniform(size=(7, 9)) < 0.6
    crf = dict(theta_alpha=4, theta_beta=1, theta_gamma=1, bilateral_weight=2, spatial_weight=1)
    labels = []
    for given in (energies, np.where(mask[..., None], energies, np.nan)):
        model = DenseCRF(image, 3, **crf, mask=mask)
        model.set_unary(given)
        model.step()
        labels.append(model.labels()[mask])
    np.testing.assert_array_equal(*labels)
    energies[mask] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.set_unary(energies)
