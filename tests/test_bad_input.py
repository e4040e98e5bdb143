"""Whatever is wrong with an input, the error names it, says what was expected, and what to do."""

import subprocess
import sys

import numpy as np
import pytest

import crfrnn
from crfrnn.filtering import native
from crfrnn.pydensecrf import densecrf, eigen, utils

RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(0, 1, (6, 9, 2))
PROBS = RNG.dirichlet(np.ones(3), (6, 9))
LOGITS = np.log(PROBS)
CRF = dict(
    theta_alpha=5.0, theta_beta=0.3, theta_gamma=1.5, bilateral_weight=4.0, spatial_weight=2.0
)
CLOUD = dict(image=IMAGE.reshape(-1, 2), probs=PROBS.reshape(-1, 3))
NAN = float("nan")


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
    if changes.get("native") and not native.available():
        pytest.skip("no native library")
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


TRUTH = (RNG.uniform(size=(3, 8, 9)) > 0.5).astype(int)
P = np.clip(0.3 + 0.4 * TRUTH + RNG.normal(0, 0.1, TRUTH.shape), 0.01, 0.99)
CASES = dict(images=TRUTH + RNG.normal(0, 0.1, TRUTH.shape), labels=TRUTH)
CASES["probs"] = np.stack([1 - P, P], -1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(images=None), "`images` to be a list of arrays"),
        (dict(labels=TRUTH[:2]), "3 images, 3 probs, 2 labels"),
        (dict(labels=TRUTH[:, :5]), r"Case 0: Expected labels of shape \(8, 9\)"),
        (dict(labels=TRUTH + 5), r"whole numbers 0..1"),
        (dict(labels=TRUTH + 0.5), r"whole numbers 0..1"),
        (dict(labels=0 * TRUTH), "some foreground"),
        (dict(probs=np.log(CASES["probs"])), "probs_from_logits"),
        (dict(probs=P), r"Case 0: .*one probability per point: np.stack\(\[1 - p, p\], -1\)"),
        (dict(metric="f1"), "'dice', 'iou', 'boundary'"),
        (dict(trials=1), "`trials` to be a whole number, 2 or more"),
        (dict(trials=2.5), "`trials` to be a whole number, 2 or more"),
        (dict(ranges=dict(theta=(1, 2))), "Expected `ranges` of theta_alpha"),
        (dict(ranges=dict(theta_alpha=(3, 2))), "0 < lowest < highest"),
        (dict(groups=["a"]), "Expected 3 `groups`"),
        (dict(slice_axis=2), "one of the 2 axes"),
        (dict(workers=0), "`workers` to be a whole number, 1 or more"),
        (dict(num_iterations=-1), "`num_iterations` to be a whole number"),
        (dict(metric="boundary", width=-1), "`width` to be a positive number"),
        (dict(spacing=(1, 0)), "`spacing` to be positive"),
        (dict(spacing=(1, 2, 3)), "one number per axis"),
    ],
)
def test_search(changes, message):
    pytest.importorskip("optuna")
    with pytest.raises(ValueError, match=message):
        crfrnn.search(**{**CASES, "trials": 2, "progress": False, **changes})


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: crfrnn.first_guess([]), "at least one image"),
        (lambda: crfrnn.first_guess("image.png"), "array of real numbers"),
        (lambda: crfrnn.first_guess(IMAGE.tolist()), r"lists of numbers\. Use np\.asarray of each"),
        (lambda: crfrnn.first_guess([IMAGE[0, 0].tolist()]), "lists of numbers"),
        (lambda: crfrnn.first_guess([IMAGE], 3), "`probs` to be a list of arrays. Received 3"),
        (lambda: crfrnn.first_guess([IMAGE], mask=True), "`mask` to be a list of arrays"),
        (lambda: crfrnn.first_guess(IMAGE, spacing={}), "`spacing` to be an array of real"),
        (lambda: crfrnn.first_guess([IMAGE], spacing=[]), "`spacing` to be one number or one"),
        (lambda: crfrnn.first_guess(IMAGE * NAN), "finite image"),
        (lambda: crfrnn.first_guess([IMAGE, IMAGE[..., :1]]), "equal numbers of channels"),
        (lambda: crfrnn.first_guess([IMAGE], [PROBS, PROBS]), "1 images, 2 probs"),
        (lambda: crfrnn.first_guess(IMAGE, PROBS, spacing=(1, 0)), "`spacing` to be positive"),
        (lambda: crfrnn.first_guess(IMAGE, PROBS, spacing=(1, 2, 3)), "one number per axis"),
        (lambda: crfrnn.first_guess(IMAGE, PROBS[..., 0]), "becomes two: np.stack"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS[..., 0], **CRF), "becomes two: np.stack"),
        (lambda: crfrnn.diagnose(IMAGE[:5], PROBS, **CRF), "of the same S"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS * NAN, **CRF), "without NaN"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS, TRUTH[0], **CRF), r"labels of shape \(6, 9\)"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS, num_iterations=-1, **CRF), "whole number, 0 or"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS, **{**CRF, "theta_beta": 0}), "to be positive"),
    ],
)
def test_guess_and_diagnose(use, message):
    with pytest.raises(ValueError, match=message):
        use()


FLAT = np.zeros((2, 6), np.float32)
RGB = np.zeros((2, 3, 3), np.uint8)


def crf2d():
    return densecrf.DenseCRF2D(3, 2, 2)


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda: densecrf.DenseCRF(0, 2), ValueError, "`nvar` to be 1 or more"),
        (lambda: densecrf.DenseCRF("6", 2), TypeError, "integer is required: `nvar`"),
        (lambda: densecrf.DenseCRF2D(3, -2, 2), ValueError, "`h` to be 1 or more"),
        (lambda: crf2d().setUnaryEnergy(FLAT.astype(float)), ValueError, "astype.np.float32"),
        (lambda: crf2d().setUnaryEnergy(FLAT.reshape(2, 2, 3)), ValueError, "reshape"),
        (lambda: crf2d().setUnaryEnergy(FLAT[:, :5].copy()), ValueError, r"Need \(2, 6\)"),
        (lambda: crf2d().setUnaryEnergy(FLAT.T.copy()), ValueError, "labels come first"),
        (lambda: crf2d().setUnaryEnergy(FLAT.T.copy().T), ValueError, "ascontiguousarray"),
        (lambda: crf2d().setUnaryEnergy(FLAT * NAN), ValueError, "without NaN"),
        (lambda: crf2d().setUnaryEnergy([[0] * 6] * 2), TypeError, "Received list"),
        (lambda: crf2d().setUnaryEnergy(None), TypeError, "Received NoneType"),
        (lambda: crf2d().setUnaryEnergy(FLAT, FLAT), ValueError, r"f of shape \(F, nvar\)"),
        (lambda: crf2d().setUnary(FLAT), TypeError, "Use setUnaryEnergy"),
        (lambda: crf2d().addPairwiseEnergy(FLAT.astype(float), 3), ValueError, "np.float32"),
        (lambda: crf2d().addPairwiseEnergy(FLAT[:, :5].copy(), 3), ValueError, r"Need \(F, 6\)"),
        (lambda: crf2d().addPairwiseEnergy(FLAT[:0], 3), ValueError, r"F >= 1"),
        (lambda: crf2d().addPairwiseEnergy(FLAT + np.inf, 3), ValueError, "finite positions"),
        (lambda: crf2d().addPairwiseEnergy(FLAT, "3"), TypeError, "`compat`"),
        (lambda: crf2d().addPairwiseEnergy(FLAT, np.ones(3, np.float32)), ValueError, "for 2 lab"),
        (lambda: crf2d().addPairwiseEnergy(FLAT, np.ones(2)), ValueError, "`compat` to be float32"),
        (
            lambda: crf2d().addPairwiseEnergy(FLAT, np.float32(3)[None, None, None]),
            ValueError,
            ">2",
        ),
        (lambda: crf2d().addPairwiseEnergy(FLAT, 3, kernel=7), ValueError, "7 is not a valid Kern"),
        (lambda: crf2d().addPairwiseEnergy(FLAT, 3, normalization=9), ValueError, "9 is not a val"),
        (lambda: crf2d().addPairwiseGaussian(0, 3), ValueError, "to be positive"),
        (lambda: crf2d().addPairwiseGaussian((3,), 3), ValueError, "one number or 2 of them"),
        (lambda: crf2d().addPairwiseGaussian("3", 3), ValueError, "one number or 2 of them"),
        (lambda: crf2d().addPairwiseBilateral(3, (1, 2), RGB, 3), ValueError, "`srgb` to be one"),
        (lambda: crf2d().addPairwiseBilateral(3, 3, RGB / 255, 3), ValueError, "np.uint8"),
        (lambda: crf2d().addPairwiseBilateral(3, 3, RGB[..., 0], 3), ValueError, "wrong number of"),
        (
            lambda: crf2d().addPairwiseBilateral(3, 3, RGB.transpose(1, 0, 2).copy(), 3),
            ValueError,
            "width first",
        ),
        (
            lambda: crf2d().addPairwiseBilateral(3, 3, np.zeros((2, 3, 4), np.uint8), 3),
            ValueError,
            "utils.create_pairwise_bilateral",
        ),
        (lambda: crf2d().inference("5"), TypeError, "integer is required: `niter`"),
        (lambda: crf2d().stepInference(None, None, None), TypeError, "startInference"),
        (lambda: crf2d().klDivergence(FLAT.T), TypeError, r"shape \(2, 6\). Received shape \(6"),
        (lambda: utils.unary_from_labels(np.array([0, 4]), 3, 0.5), ValueError, "1..3 and 0 for"),
        (lambda: utils.unary_from_labels(np.array([3]), 3, 0.5, False), ValueError, "0..2, for"),
        (lambda: utils.unary_from_labels(np.array([0.5]), 3, 0.5), ValueError, "integer labels"),
        (lambda: utils.unary_from_labels(np.array([0]), 3, 1.0), ValueError, "`gt_prob` between"),
        (lambda: utils.unary_from_softmax(PROBS, scale=2), ValueError, r"`scale` in \(0, 1\]"),
        (lambda: utils.create_pairwise_gaussian((1, 2, 3), (4, 5)), ValueError, "per axis"),
        (lambda: utils.create_pairwise_gaussian((1, 0), (4, 5)), ValueError, "to be positive"),
        (lambda: utils.create_pairwise_bilateral((1, 2), (3, 4), IMAGE[..., 0]), ValueError, "per"),
        (lambda: eigen.matrixXf(FLAT.astype(float)), ValueError, "mismatch"),
        (lambda: eigen.vectorXf(FLAT), ValueError, "wrong number of dimensions"),
    ],
)
def test_pydensecrf(use, error, message):
    with pytest.raises(error, match=message):
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
