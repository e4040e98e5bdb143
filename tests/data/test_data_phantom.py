"""The phantom: reproducible, and with the properties its description promises."""

import itertools

import numpy as np
import pytest

import data
from data.synthetic import random_field

QUIET = {"noise": 0.0, "texture": 0.0, "bias": 0.0, "weak_edges": 0.0, "contrast_spread": 0.0}


def neighbours_differ_by(label):
    """Label pairs (lower, higher) met across pixel faces."""
    pairs = set()
    for axis in range(label.ndim):
        along = np.moveaxis(label, axis, 0).astype(int)
        met = np.stack([np.minimum(along[1:], along[:-1]), np.maximum(along[1:], along[:-1])])
        pairs |= set(map(tuple, met.reshape(2, -1).T.tolist()))
    return pairs


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
    assert len({c.id for c in cases}) == 4


def test_labels_are_nested():
    # With a sure rim and core, and no pixels mixing classes, neighbours are nested neighbours.
    calm = {"detail": 0.02, "clefts": 0.0, "supersample": 1}
    for case in data.phantom(6, (128, 128), **calm):
        assert neighbours_differ_by(case.label) <= {
            (a, b) for a, b in itertools.combinations_with_replacement(range(4), 2) if b - a < 2
        }


def test_clefts_add_thin_background_inside():
    kwargs = {"shape": (96, 96), "seed": 2}
    for plain, cleft in zip(
        data.phantom(4, **kwargs, clefts=0.0), data.phantom(4, **kwargs), strict=True
    ):
        lost = (plain.label > 0) & (cleft.label == 0)
        gained = (plain.label == 0) & (cleft.label > 0)
        assert lost.sum() > 20 and not gained.any()


def test_noise_is_rician():
    # Air: |n1 + i n2| is Rayleigh, mean sigma sqrt(pi/2), median sigma sqrt(2 ln 2). `normalise`
    # maps it linearly; the ratio of quantile distances is free of that map.
    case = data.phantom(1, (256, 256), **{**QUIET, "noise": 0.05}, supersample=1)[0]
    corner = case.image[:20, :20].ravel().astype("float64")
    corner = np.concatenate([corner, case.image[-20:, -20:].ravel()])
    assert corner.mean() > 0.02  # a noise floor: magnitudes are never negative
    low, middle, high = np.quantile(corner, [0.25, 0.5, 0.75])
    quantile = lambda q: np.sqrt(-2 * np.log(1 - q))  # noqa: E731
    expected = (quantile(0.75) - quantile(0.5)) / (quantile(0.5) - quantile(0.25))
    # 800 samples: the ratio's standard error is about 0.1; a Gaussian has ratio 1, |Gaussian| 1.34.
    assert abs((high - middle) / (middle - low) - expected) < 0.3
    bright = case.image[case.label == 2].std()
    assert 0.6 < corner.std() / bright < 0.72  # Rayleigh 0.655 sigma against sigma


def test_partial_volume_mixes_only_at_boundaries():
    case = data.phantom(1, (96, 96), **QUIET, supersample=3)[0]
    sharp = data.phantom(1, (96, 96), **QUIET, supersample=1)[0]
    assert len(np.unique(sharp.image.round(4))) == 5  # air and four tissues
    inner = np.pad(case.label, 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(inner, (5, 5)).reshape(96, 96, 25)
    for tissue, mean in ((1, 0.55), (2, 0.80), (3, 0.20)):
        pure = (windows == tissue).all(-1)
        values = case.image[pure, 0] * 0.8  # the brightest tissue became 1, air 0
        assert pure.sum() > 0 and np.median(np.abs(values - mean)) < 1e-3
    mixed = np.abs(case.image[..., :1] * 0.8 - [0.0, 0.30, 0.55, 0.80, 0.20]).min(-1) > 0.01
    assert 0.02 < mixed.mean() < 0.4


def test_bias_is_smooth_and_multiplicative():
    plain = data.phantom(1, (96, 96), **QUIET)[0]
    biased = data.phantom(1, (96, 96), **{**QUIET, "bias": 0.3})[0]
    inside = plain.image[..., 0] > 0.2
    ratio = np.where(inside, biased.image[..., 0] / np.maximum(plain.image[..., 0], 0.1), np.nan)
    step = np.nanmax(np.abs(np.diff(np.log(ratio), axis=1)))
    assert np.nanstd(np.log(ratio)) > 0.05 and step < 0.06


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
    t1, t2, _ = (np.median(case.image[case.label == 2], 0) - np.median(case.image[case.label == 1], 0))
    assert t1 > 0.1 and t2 < -0.05


def test_random_field_has_the_promised_correlation():
    # Average over many fields; correlation exp(-d^2 / 2 l^2) at d = l is exp(-1/2) = 0.607.
    rng = np.random.default_rng(0)
    fields = np.stack([random_field(rng, (40, 56), 0.2) for _ in range(300)])
    assert np.abs(fields.mean((1, 2))).max() < 1e-4
    np.testing.assert_allclose(fields.std((1, 2)), 1, atol=1e-4)
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
