"""The phantom: reproducible, and with the properties its description promises."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, binary_fill_holes

import data
from data.synthetic import random_field
from tests.tolerances import FLOAT32, assert_close

QUIET = {"noise": 0.0, "texture": 0.0, "bias": 0.0, "weak_edges": 0.0, "contrast_spread": 0.0}


def neighbours(label, tissue):
    """Labels of the pixels next to, but not in, a tissue."""
    near = binary_dilation(label == tissue) & (label != tissue)
    return label[near]


def test_same_seed_same_phantom_whatever_the_count_and_order():
    few, many = data.phantom(3, (40, 52), seed=5), data.phantom(9, (40, 52), seed=5)
    for a, b in zip(few[::-1], many[2::-1], strict=True):
        assert a.id == b.id
        assert np.array_equal(a.image, b.image) and np.array_equal(a.label, b.label)
    other = data.phantom(1, (40, 52), seed=6)[0]
    assert not np.array_equal(other.label, few[0].label) and other.id != few[0].id


@pytest.mark.parametrize("shape", [(48, 64), (20, 26, 32)])
def test_arrays_and_labels(shape):
    cases = data.phantom(4, shape)
    for case in cases:
        assert case.image.shape == (*shape, 1) and case.image.dtype == "float32"
        assert case.label.shape == shape and case.label.dtype == "uint8"
        assert case.image.min() == 0 and case.image.max() == 1
        assert case.spacing == (1.0,) * len(shape) and case.id == case.group
    assert set(np.unique([c.label for c in cases])) == {0, 1, 2, 3}
    assert len({c.id for c in cases}) == len({c.label.tobytes() for c in cases}) == 4


def test_labels_are_nested():
    # Irregular boundaries touch here and there, so that nesting shows as a rule, not everywhere.
    cases = data.phantom(12, (96, 96), clefts=0.0)
    around_core = np.concatenate([neighbours(case.label, 2) for case in cases])
    around_cavity = np.concatenate([neighbours(case.label, 3) for case in cases])
    assert (around_core != 0).mean() > 0.9 and (around_core == 1).mean() > 0.5
    assert (around_cavity != 0).mean() > 0.97 and (around_cavity == 2).mean() > 0.7
    for case in cases:
        filled = binary_fill_holes(case.label > 0)
        assert filled[case.label > 1].all()


def test_cavity_lies_in_the_core():
    for case in data.phantom(4, (64, 80), rim=5.0):  # a rim thicker than the organ leaves no core
        assert set(np.unique(case.label)) == {0, 1}


def test_clefts_add_thin_background_inside():
    kwargs = {"shape": (96, 96), "seed": 2}
    for plain, cleft in zip(
        data.phantom(4, **kwargs, clefts=0.0), data.phantom(4, **kwargs), strict=True
    ):
        lost = (plain.label > 0) & (cleft.label == 0)
        gained = (plain.label == 0) & (cleft.label > 0)
        assert lost.sum() > 20 and not gained.any()


def test_noise_is_rician():
    # In air |n1 + i n2| is Rayleigh distributed, in bright tissue practically normal. `normalise`
    # is linear, so that ratios of quantile distances and of deviations are those of the equation.
    sigma = 0.05
    case = data.phantom(1, (256, 256), **{**QUIET, "noise": sigma}, clefts=0.0)[0]
    silent = data.phantom(1, (256, 256), **QUIET, clefts=0.0)[0]  # noise is drawn last
    air = case.image[silent.image == 0].astype("float64")
    assert air.size > 5000 and air.mean() > 0.02  # a noise floor: magnitudes are never negative
    low, middle, high = np.quantile(air, [0.25, 0.5, 0.75])
    quartiles = np.sqrt(-2 * np.log(1 - np.array([0.25, 0.5, 0.75])))
    expected = (quartiles[2] - quartiles[1]) / (quartiles[1] - quartiles[0])  # 1.18
    # Standard error of the ratio for 5000 samples: about 0.03. A half normal has 1.34.
    assert abs((high - middle) / (middle - low) - expected) < 0.09
    # The rim, because the brightest and darkest tissues lose their tails to `normalise`.
    rim = case.image[binary_erosion(case.label == 1, iterations=3)].std()
    # Rayleigh: sqrt(2 - pi/2) sigma = 0.655 sigma; error about 0.01 for 5000 samples.
    assert abs(air.std() / rim - 0.655) < 0.03


def test_partial_volume_mixes_only_at_boundaries():
    case = data.phantom(1, (96, 96), **QUIET, supersample=3)[0]
    sharp = data.phantom(1, (96, 96), **QUIET, supersample=1)[0]
    means = np.array([0.0, 0.30, 0.55, 0.80, 0.20])  # air and the four tissues
    levels = np.unique(sharp.image)
    assert_close(levels * 0.8, sorted(means), FLOAT32)  # 0.8, the largest, became 1
    away = np.abs(case.image * 0.8 - means).min(-1)  # (H, W)
    for tissue in (1, 2, 3):
        inner = binary_erosion(case.label == tissue, np.ones((3, 3)), 2)
        assert inner.any()
        # A cleft too thin to win a pixel may still tint a few.
        values = case.image[inner, 0] * 0.8
        assert np.quantile(np.abs(values - means[tissue + 1]), 0.8) < 1e-3
    assert 0.05 < (away > 0.01).mean() < 0.4


def test_bias_is_smooth_and_multiplicative():
    # No partial volume and no noise: the ratio to the plain image is the field itself, up to a
    # constant from `normalise`, which also clips the ends; those are left out.
    plain = data.phantom(1, (96, 96), **QUIET)[0].image[..., 0]
    biased = data.phantom(1, (96, 96), **{**QUIET, "bias": 0.2})[0].image[..., 0]
    inside = (plain > 0.1) & (plain < 0.99) & (biased < 0.99)
    field = np.log(biased, where=inside, out=np.full((96, 96), np.nan))
    field -= np.log(plain, where=inside, out=np.full((96, 96), np.nan))
    assert 0.05 < np.nanstd(field) < 0.4
    for axis in (0, 1):
        # Correlation length 24 pixels: a step has deviation 0.2 / 24 = 0.0083; 5 of them at most.
        assert np.nanmax(np.abs(np.diff(field, axis=axis))) < 5 * 0.2 / 24


def test_weak_edges_lower_the_contrast_of_the_outer_edge():
    def outer_contrast(weak_edges):
        contrast = []
        for case in data.phantom(8, **{**QUIET, "weak_edges": weak_edges}, clefts=0.0):
            image = case.image[..., 0]
            left, right = case.label[:, :-1], case.label[:, 1:]
            edge = np.minimum(left, right) + np.maximum(left, right) == 1
            contrast.append(np.abs(np.diff(image, axis=1))[edge])
        return np.concatenate(contrast)

    strong, weak = outer_contrast(0.0), outer_contrast(0.7)
    assert weak.mean() < 0.85 * strong.mean()
    assert np.quantile(weak, 0.2) < np.quantile(strong, 0.2)


def test_channels_follow_the_contrasts():
    contrasts = [(0.3, 0.5, 0.8, 0.2), (0.6, 0.5, 0.4, 0.9), (0.1, 0.2, 0.3, 0.4)]
    case = data.phantom(1, (64, 80), **QUIET, contrasts=contrasts)[0]
    assert case.image.shape == (64, 80, 3)
    core, rim = (np.median(case.image[case.label == tissue], 0) for tissue in (2, 1))  # (K,) each
    t1, t2, _ = core - rim
    assert t1 > 0.1 and t2 < -0.05


def test_random_field_has_the_promised_correlation():
    # Average over many fields; correlation exp(-d^2 / 2 l^2) at d = l is exp(-1/2) = 0.607.
    rng = np.random.default_rng(0)
    fields = np.stack([random_field(rng, (40, 56), 0.2) for _ in range(300)])
    assert np.abs(fields.mean((1, 2))).max() < FLOAT32
    assert_close(fields.std((1, 2)), np.ones(300), FLOAT32)
    length = 4  # grid points: 0.2 of 20
    for axis in (1, 2):
        correlation = (fields * np.roll(fields, length, axis)).mean()
        # Mean zero on a finite grid takes about 2 pi l^2 / N = 0.045 off.
        assert abs(correlation - (np.exp(-0.5) - 0.045) / (1 - 0.045)) < 0.02


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"shape": (96,)}, ValueError, r"received \(96,\)"),
        ({"shape": (0, 9)}, ValueError, r"received \(0, 9\)"),
        ({"count": -1}, ValueError, "received -1"),
        ({"contrasts": [(1, 2, 3)]}, ValueError, r"must be \(K, 4\).*received shape \(1, 3\)"),
        ({"noize": 1}, TypeError, "noize"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        data.phantom(**{"count": 1, **arguments})


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (2, 3, 4)])
def test_any_size(shape):
    assert data.phantom(1, shape)[0].image.shape == (*shape, 1)
