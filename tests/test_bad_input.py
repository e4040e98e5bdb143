"""Whatever is wrong with an input, the error names it, says what was expected, and what to do."""

import subprocess
import sys

import numpy as np
import pytest

import crfrnn
from crfrnn.pydensecrf import densecrf
from tests.bad_input import CRF, IMAGE, NAN, PROBS, RNG
from tests.native.required import require

LOGITS = np.log(PROBS)
CLOUD = dict(image=IMAGE.reshape(-1, 2), probs=PROBS.reshape(-1, 3))


def refine(**changes):
    return crfrnn.refine(**{**dict(image=IMAGE, probs=PROBS), **CRF, **changes})


BAD_FOR_REFINE = {
    # arrays
    "no image": (dict(image=None), "`image` to be an array of real numbers"),
    "a file name": (dict(image="image.png"), "`image` to be an array of real numbers"),
    "ragged lists": (dict(image=[[1, 2], [3]]), "`image` to be an array of numbers"),
    "objects": (dict(image=IMAGE.astype(object)), "Received dtype object"),
    "complex numbers": (dict(image=IMAGE + 0j), "Received dtype complex128"),
    "no channels": (dict(image=IMAGE[..., :0]), r"K >= 1 channels"),
    "another height": (dict(image=IMAGE[:5]), r"\(5, 9, 2\), probs of shape \(6, 9, 3\)"),
    "height and width exchanged": (dict(image=IMAGE.transpose(1, 0, 2)), "transpose one of them"),
    "a point": (dict(image=np.float32(1), probs=np.float32(1)), r"of the same S"),
    "four axes": (
        dict(image=np.zeros((2, 2, 2, 2, 1)), probs=np.full((2, 2, 2, 2, 2), 0.5)),
        "1 to 3 axes",
    ),
    "NaN in the image": (dict(image=np.where(IMAGE > 0.9, NAN, IMAGE)), "finite image"),
    "infinity in the image": (dict(image=np.where(IMAGE > 0.9, np.inf, IMAGE)), "finite image"),
    "no probabilities": (dict(probs=None), "`probs` to be an array of real numbers"),
    "one label": (dict(probs=PROBS[..., :1]), r"np.stack\(\[1 - p, p\], -1\)"),
    "one probability per point": (dict(probs=PROBS[..., 0]), r"np.stack\(\[1 - probs, probs\]"),
    "channels first": (dict(image=np.moveaxis(IMAGE, -1, 0)), r"np.moveaxis\(image, 0, -1\)"),
    "a map of labels": (dict(probs=PROBS.argmax(-1)), "probs_from_labels"),
    "labels first": (dict(probs=np.moveaxis(PROBS, -1, 0)), r"probs, 0, -1\), before any"),
    "flat probabilities": (dict(probs=PROBS.reshape(-1, 3)), "of the same S"),
    "logits": (dict(probs=LOGITS), "probs_from_logits"),
    "percent": (dict(probs=100 * PROBS), "sum to 1"),
    "0..255": (dict(probs=np.round(255 * PROBS).astype(np.uint8)), "sum to 1"),
    "sigmoids": (dict(probs=np.full((6, 9, 3), 0.5)), "sum to 1"),
    "NaN in the probabilities": (dict(probs=np.where(PROBS > 0.9, NAN, PROBS)), "without NaN"),
    # bandwidths
    "theta_alpha = 0": (dict(theta_alpha=0), "`theta_alpha` to be positive"),
    "theta_alpha < 0": (dict(theta_alpha=-3), "`theta_alpha` to be positive"),
    "theta_alpha None": (dict(theta_alpha=None), "`theta_alpha` to be positive numbers"),
    "theta_alpha in a string": (
        dict(theta_alpha="3"),
        "positive numbers. Received '3'",
    ),
    "theta_alpha NaN": (dict(theta_alpha=NAN), "`theta_alpha` to be finite"),
    "theta_alpha infinite": (dict(theta_alpha=np.inf), "`theta_alpha` to be finite"),
    "theta_alpha per axis, too many": (dict(theta_alpha=(1, 2, 3)), "one number per axis"),
    "theta_alpha tiny": (dict(theta_alpha=1e-9), "larger bandwidths"),
    "theta_beta = 0": (dict(theta_beta=0), "`theta_beta` to be positive"),
    "theta_beta per channel, too many": (dict(theta_beta=(1, 2, 3)), "one number per channel"),
    "theta_beta in a string": (
        dict(theta_beta="high"),
        "positive numbers. Received 'high'",
    ),
    "theta_beta tiny": (dict(theta_beta=1e-12), "larger bandwidths"),
    "theta_gamma per axis, one negative": (dict(theta_gamma=(1, -2)), "`theta_gamma` to be pos"),
    "theta_gamma per axis, too few": (dict(theta_gamma=(1,)), "one number per axis"),
    "spacing = 0": (dict(spacing=0), "`spacing` to be positive"),
    "spacing per axis, too many": (dict(spacing=(1, 1, 1)), "one number per axis"),
    "spacing in a string": (
        dict(spacing="1 mm"),
        "positive numbers. Received '1 mm'",
    ),
    # weights and compatibility
    "weight NaN": (dict(bilateral_weight=NAN), "`bilateral_weight` to be finite"),
    "weight in a string": (dict(spatial_weight="3"), "`spatial_weight` to be an array of real"),
    "weights of another L": (dict(bilateral_weight=(1, 2)), "for 3 labels"),
    "weights with three axes": (dict(spatial_weight=np.ones((3, 3, 3))), "for 3 labels"),
    "complex weight": (dict(bilateral_weight=1j), "Received dtype complex128"),
    "unknown compatibility": (dict(compatibility="Potts"), '"potts" or an'),
    "compatibility of another L": (dict(compatibility=np.eye(2)), r"\(3, 3\) for 3 labels"),
    "compatibility NaN": (dict(compatibility=np.full((3, 3), NAN)), "`compatibility` to be finite"),
    # choices
    "unknown normalization": (dict(normalization="mean"), "'after', 'before', 'symmetric'"),
    "no normalization": (dict(normalization=None), "'after', 'before', 'symmetric', 'none'"),
    "pydensecrf's constant": (dict(normalization=densecrf.NORMALIZE_AFTER), "'after', 'before'"),
    "unknown method": (dict(method="fast"), "'lattice', 'exact', 'local'"),
    "fewer than 0 iterations": (dict(num_iterations=-1), "whole number, 0 or more"),
    "half an iteration": (dict(num_iterations=2.5), "whole number, 0 or more. Received 2.5"),
    "iterations in a string": (dict(num_iterations="5"), "whole number, 0 or more. Received '5'"),
    "iterations None": (dict(num_iterations=None), "whole number, 0 or more. Received None"),
    "an even window": (dict(method="local", window=4), "positive odd number"),
    "no window": (dict(method="local", window=None), "positive odd number"),
    "a window of fractions": (dict(method="local", window=2.5), "positive odd number"),
    # clouds
    "coordinates of a grid": (dict(coordinates=np.zeros((54, 2))), "for an image"),
    "coordinates of another N": ({**CLOUD, "coordinates": np.zeros((5, 2))}, "of 54 points"),
    "coordinates in 4-D": ({**CLOUD, "coordinates": np.zeros((54, 4))}, "1 to 3"),
    "coordinates NaN": ({**CLOUD, "coordinates": np.full((54, 2), NAN)}, "finite coordinates"),
    "coordinates and spacing": (
        {**CLOUD, "coordinates": np.zeros((54, 2)), "spacing": 2},
        "either `coordinates` or `spacing`",
    ),
}


@pytest.mark.parametrize("name", BAD_FOR_REFINE)
def test_refine(with_native, name):
    changes, message = BAD_FOR_REFINE[name]
    with pytest.raises(ValueError, match=message):
        refine(**changes)


def dense_crf(**changes):
    return crfrnn.DenseCRF(**{**dict(image=IMAGE, num_labels=3), **CRF, **changes})


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda: dense_crf(num_labels=1), ValueError, "`num_labels` to be a whole number, 2 or"),
        (lambda: dense_crf(num_labels=2.5), ValueError, "`num_labels` to be a whole number, 2 or"),
        (lambda: dense_crf(num_labels=None), ValueError, "`num_labels` to be a whole number, 2 or"),
        (lambda: dense_crf(num_labels=PROBS), ValueError, "`num_labels` to be a whole number, 2"),
        (lambda: dense_crf(image=IMAGE[:, 0, 0]), ValueError, r"image\[..., None\]"),
        (lambda: dense_crf(image=IMAGE * NAN), ValueError, "finite image"),
        (lambda: dense_crf().step(), RuntimeError, "Call set_unary first"),
        (lambda: dense_crf().kl(), RuntimeError, "Call set_unary first"),
        (lambda: dense_crf().probs(), RuntimeError, "Call set_unary first"),
        (lambda: dense_crf().labels(), RuntimeError, "Call set_unary first"),
        (lambda: dense_crf().set_unary(), ValueError, "either `energies` or `probs`"),
        (lambda: dense_crf().set_unary(-LOGITS, probs=PROBS), ValueError, "either `energies` or"),
        (lambda: dense_crf().set_unary(-LOGITS[:5]), ValueError, r"energies of shape \(6, 9, 3\)"),
        (
            lambda: dense_crf().set_unary(-LOGITS.reshape(-1, 3).T),
            ValueError,
            r"energies.T.reshape\(6, 9, 3\)",
        ),
        (lambda: dense_crf().set_unary(LOGITS * NAN), ValueError, "`energies` without NaN"),
        (lambda: dense_crf().set_unary("x"), ValueError, "`energies` to be an array of real"),
        (lambda: dense_crf().set_unary(probs=2 * PROBS), ValueError, "sum to 1"),
        (lambda: dense_crf().set_unary(probs=PROBS[:5]), ValueError, r"shape \(6, 9, 3\)"),
        (lambda: dense_crf().step(-1), ValueError, "whole number, 0 or more"),
    ],
)
def test_dense_crf(use, error, message):
    with pytest.raises(error, match=message):
        use()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(unaries=LOGITS, image=IMAGE[None]), r"x\[None\]"),
        (dict(unaries=LOGITS[None].tolist()), "`unaries` to be an array or a tensor. Received li"),
        (dict(unaries=None), "`unaries` to be an array or a tensor. Received NoneType"),
        (dict(unaries=LOGITS[None] + 0j), "`unaries` to hold real numbers"),
        (dict(unaries=LOGITS[None] * NAN), "`unaries` without NaN"),
        (dict(image="x"), "`image` to be an array or a tensor"),
        (dict(image=IMAGE[None] * NAN), "Look for NaN in the image"),
        (dict(image=IMAGE[None, :5]), "one spatial size"),
        (dict(image=np.repeat(IMAGE[None], 2, 0)), "one batch size"),
        (dict(theta_alpha="a"), "`theta_alpha` to be positive numbers. Received 'a'"),
        (dict(theta_beta=None), "`theta_beta` to be positive numbers"),
        (dict(theta_gamma=0), "`theta_gamma` to be positive"),
        (dict(spatial_weight="a"), "`spatial_weight` to be an array of real numbers"),
        (dict(spatial_weight=NAN), "`spatial_weight` to be finite"),
        (dict(bilateral_weight=(1.0, 2.0)), "for 3 labels"),
        (dict(compatibility="linear"), '"potts" or an'),
        (dict(num_iterations=1.5), "whole number, 0 or more"),
        (dict(normalization="x"), "'after', 'before'"),
        (dict(method="x"), "'lattice', 'exact', 'local'"),
    ],
)
def test_mean_field(changes, message):
    crf = dict(theta_alpha=5.0, theta_beta=0.3, theta_gamma=1.5, num_iterations=2)
    crf |= dict(bilateral_weight=4.0, spatial_weight=2.0)
    with pytest.raises(ValueError, match=message):
        crfrnn.mean_field(**{**dict(unaries=LOGITS[None], image=IMAGE[None]), **crf, **changes})


VALUES, POSITIONS = RNG.normal(size=(10, 2)), RNG.normal(size=(10, 3))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (dict(values=VALUES.tolist()), ValueError, "`values` to be an array or a tensor"),
        (dict(values=None), ValueError, "`values` to be an array or a tensor"),
        (dict(values=VALUES + 0j), ValueError, "`values` to hold real numbers"),
        (dict(values=VALUES.astype(object)), ValueError, "`values` to hold real numbers"),
        (dict(values=VALUES[:, 0]), ValueError, r"\(10,\)"),
        (dict(positions="x"), ValueError, "`positions` to be an array or a tensor"),
        (dict(positions=POSITIONS[:9]), ValueError, "same N"),
        (dict(positions=POSITIONS[:, :0]), ValueError, "F >= 1"),
        (dict(positions=POSITIONS * NAN), ValueError, "finite positions"),
        (dict(positions=POSITIONS * 1e9), ValueError, "larger bandwidths"),
        (dict(values=VALUES[None], positions=np.stack([POSITIONS] * 3)), ValueError, "leading"),
        (dict(method="x"), ValueError, "'lattice', 'exact', 'local'"),
        (dict(normalization=3), ValueError, "'after', 'before'"),
        (dict(method="local"), ValueError, "grid=None"),
        (dict(method="local", grid=(3, 3)), ValueError, "as many points"),
        (dict(method="local", grid=(2, 5), window="3"), ValueError, "positive odd number"),
        (dict(method="exact", native=True), RuntimeError, "native=None"),
        (dict(positions=np.zeros((10, 40)), native=True), RuntimeError, "at most 32 features"),
    ],
)
def test_gaussian_filter(changes, error, message):
    if changes.get("native"):
        require()
    with pytest.raises(error, match=message):
        crfrnn.gaussian_filter(**{**dict(values=VALUES, positions=POSITIONS), **changes})


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: crfrnn.probs_from_logits(LOGITS * NAN), "`logits` without NaN"),
        (lambda: crfrnn.probs_from_logits(3.0), r"logits\[..., None\]"),
        (lambda: crfrnn.probs_from_logits("x"), "`logits` to be an array of real numbers"),
        (lambda: crfrnn.probs_from_labels([0, 1, 2], 2), "name the value of unlabelled points"),
        (lambda: crfrnn.probs_from_labels([0, 0.5], 2), "whole numbers"),
        (lambda: crfrnn.probs_from_labels([0, 1], 2.0), "`num_labels` to be a whole number"),
        (lambda: crfrnn.probs_from_labels([0, 1], 2, confidence=0.5), "above 1 / 2"),
        (lambda: crfrnn.probs_from_labels([0, 1], 2, confidence=80), "up to 1"),
    ],
)
def test_unaries(use, message):
    with pytest.raises(ValueError, match=message):
        use()


def test_errors_do_not_load_a_backend():
    code = (
        "import sys, numpy as np, crfrnn\n"
        "p = np.full((4, 5, 2), 0.5)\n"
        "try: crfrnn.refine(np.zeros((4, 5)), p, theta_alpha='3', theta_beta=1, theta_gamma=1,\n"
        "                   bilateral_weight=1, spatial_weight=1)\n"
        "except ValueError: pass\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
