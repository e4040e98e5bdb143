"""The energy of the dense CRF as a loss: value, gradient, points that do not count."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from crfrnn import DenseCRFLoss
from tests import backend
from tests.layers.loss_case import scribbled
from tests.offline.dense_crf_reference import finite_differences, kernel_matrices, normalized
from tests.tolerances import EXACT, FLOAT16, FLOAT32, GRADIENT, LOSS_LATTICE, assert_close, error

RNG = np.random.default_rng(6)
LABELS, CHANNELS = 3, 2
LOGITS = RNG.normal(0, 2, (2, 3, 4, LABELS)).astype("float32")
IMAGE = RNG.uniform(0, 255, (2, 3, 4, CHANNELS)).astype("float32")
# Every argument away from its default, JSON-like values as get_config returns them.
ARGUMENTS = dict(
    theta_alpha=[2.0, 1.5],
    theta_beta=[90.0, 140.0],
    theta_gamma=[0.8, 1.1],
    bilateral_weight=0.7,
    spatial_weight=0.4,
    method="exact",
    native=False,
    window=5,
    spacing=[1.0, 0.6],
    from_logits=False,
)
BOTH = {**ARGUMENTS, "from_logits": True}
BILATERAL = dict(theta_alpha=2.0, theta_beta=100.0)


def probabilities(logits):
    """Softmax of (..., L) in float64."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def by_loops(q, image, arguments):
    """Mean energy of probabilities (B, *S, L) for images (B, *S, K), over all pairs of points."""
    total = 0.0
    bandwidths = [arguments[f"theta_{name}"] for name in ("alpha", "beta", "gamma")]
    for labelling, picture in zip(q, image, strict=True):
        spatial, bilateral = kernel_matrices(picture, *bandwidths, arguments["spacing"])
        labelling = labelling.reshape(-1, labelling.shape[-1])
        for weight, kernel in (
            (arguments["bilateral_weight"], normalized(bilateral, "after")),
            (arguments["spatial_weight"], normalized(spatial, "after")),
        ):
            for i, own in enumerate(labelling):
                for j, other in enumerate(labelling):
                    # The share of i's label that j does not have; rows of the kernel sum to 1.
                    differ = sum(own[c] * (1 - other[c]) for c in range(len(own)))
                    total += weight * kernel[i, j] * differ / len(labelling)
    return total / len(q)


def smooth_case():
    """Two pictures (2, 24, 19, 1) of a ramp and a disc, and logits of two labels that fit badly."""
    y, x = np.mgrid[:24, :19]
    ramp = 90 + 3.0 * x + 40.0 * (y > 12)
    disc = 200.0 * ((y - 10) ** 2 + (x - 8) ** 2 < 40) + 2.0 * y
    noise = np.random.default_rng(0).normal(0, 5, (2, 24, 19, 1))
    image = np.stack([ramp, disc])[..., None] + noise
    logits = np.stack([np.sin(x / 3.0) * 2 + y / 9.0, 2 * np.cos((x + y) / 4.0)])
    return image.astype("float32"), np.stack([logits, -logits], -1).astype("float32")


# ---- Numbers -------------------------------------------------------------------------------------


def test_value_is_that_of_the_equation():
    expected = by_loops(probabilities(LOGITS.astype("float64")), IMAGE, BOTH)
    value = backend.array(DenseCRFLoss(**BOTH)(IMAGE, LOGITS))
    assert value.shape == ()
    assert_close(value, expected, FLOAT32)


def test_volumes():
    image = RNG.uniform(0, 9, (2, 2, 3, 2, 1)).astype("float32")
    q = probabilities(RNG.normal(size=(2, 2, 3, 2, 4)))
    arguments = ARGUMENTS | dict(
        theta_alpha=[2.0, 1.5, 1.1], theta_beta=[3.0], theta_gamma=[1.0, 2.0, 0.5],
        spacing=[3.0, 1.0, 1.2],
    )  # fmt: skip
    value = backend.array(DenseCRFLoss(**arguments)(image, q.astype("float32")))
    assert_close(value, by_loops(q, image, arguments), FLOAT32)


@pytest.mark.parametrize("from_logits", [True, False])
def test_one_sigmoid_channel_is_two_labels(from_logits):
    logit = LOGITS[..., :1].astype("float64")
    p = 1 / (1 + np.exp(-logit))
    expected = by_loops(np.concatenate([1 - p, p], -1), IMAGE, BOTH)
    loss = DenseCRFLoss(**{**ARGUMENTS, "from_logits": from_logits})
    prediction = (logit if from_logits else p).astype("float32")
    assert_close(backend.array(loss(IMAGE, prediction)), expected, FLOAT32)


def test_gradient_is_that_of_the_equation():
    """The energy is quadratic in the probabilities: a gradient through one factor is half of it."""

    def energy(logits):
        return by_loops(probabilities(logits), IMAGE, BOTH)

    expected = finite_differences(energy, LOGITS.astype("float64"))
    loss = DenseCRFLoss(**BOTH)
    (gradient,) = backend.gradients(lambda x: loss(IMAGE, x), LOGITS)
    assert_close(gradient, expected, GRADIENT)


def test_lattice_is_close_to_exact():
    image, logits = smooth_case()
    arguments = dict(theta_alpha=5.0, theta_beta=20.0, theta_gamma=2.0, spatial_weight=0.5)
    exact = DenseCRFLoss(**arguments, method="exact")
    lattice = DenseCRFLoss(**arguments)
    assert_close(
        backend.array(lattice(image, logits)), backend.array(exact(image, logits)), LOSS_LATTICE
    )
    (expected,) = backend.gradients(lambda x: exact(image, x), logits)
    (gradient,) = backend.gradients(lambda x: lattice(image, x), logits)
    difference = np.linalg.norm(gradient - expected) / np.linalg.norm(expected)
    assert difference < LOSS_LATTICE, difference


def test_a_wide_window_is_exact():
    local = DenseCRFLoss(**{**BOTH, "method": "local", "window": 9})
    assert_close(
        backend.array(local(IMAGE, LOGITS)),
        backend.array(DenseCRFLoss(**BOTH)(IMAGE, LOGITS)),
        FLOAT32,
    )


def test_batch_is_the_mean_of_its_images():
    loss = DenseCRFLoss(**BILATERAL)
    singles = [backend.array(loss(IMAGE[i : i + 1], LOGITS[i : i + 1])) for i in range(2)]
    assert error(*singles) > 0.005
    assert_close(backend.array(loss(IMAGE, LOGITS)), np.mean(singles), FLOAT32)
    weighted = backend.array(loss(IMAGE, LOGITS, sample_weight=np.array([2.0, 0.0], "float32")))
    assert_close(weighted, singles[0], FLOAT32)
    each = DenseCRFLoss(**BILATERAL, reduction=None)(IMAGE, LOGITS)
    assert_close(backend.array(each), np.stack(singles), FLOAT32)


def test_one_label_everywhere_costs_nothing_and_a_chessboard_most():
    image = np.zeros((1, 6, 5, 1), "float32")
    same = np.zeros((1, 6, 5, 2), "float32") + np.float32([30, -30])
    chessboard = same * (1 - 2 * (np.indices((6, 5)).sum(0) % 2))[None, ..., None]
    halves = same * np.where(np.arange(6) < 3, 1, -1)[None, :, None, None]
    loss = DenseCRFLoss(theta_alpha=2.0, theta_beta=1.0)
    costs = [float(backend.array(loss(image, x.astype("float32")))) for x in
             (same, halves, 0 * same, chessboard)]  # fmt: skip
    assert abs(costs[0]) < FLOAT32
    assert costs[0] < costs[1] < costs[2]
    assert_close(costs[2], 0.5, FLOAT32)  # unsure everywhere: two draws differ half of the time
    assert 0.4 < costs[3] <= 1


def test_a_border_between_labels_costs_less_where_the_image_has_one():
    half = (np.arange(8) < 4)[None, :, None, None] * np.ones((1, 8, 5, 1), "float32")
    logits = np.concatenate([20 * half - 10, 10 - 20 * half], -1).astype("float32")
    loss = DenseCRFLoss(theta_alpha=3.0, theta_beta=20.0)
    along = backend.array(loss(200 * half.astype("float32"), logits))
    turned = (np.arange(5) < 3)[None, None, :, None] * np.ones((1, 8, 5, 1))
    across = backend.array(loss(200 * turned.astype("float32"), logits))
    assert along < 0.01 < 0.1 < across


@pytest.mark.parametrize("size", [300.0, 1e30, np.inf])
def test_extreme_logits_have_finite_values_and_gradients(size):
    logits = np.where(LOGITS > 0, size, -size).astype("float32")
    loss = DenseCRFLoss(**BILATERAL)
    assert np.isfinite(backend.array(loss(IMAGE, logits)))
    (gradient,) = backend.gradients(lambda x: loss(IMAGE, x), logits)
    assert np.isfinite(gradient).all()


# ---- Points that do not count --------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lattice", "exact", "local"])
def test_masked_points_take_no_part(method):
    """A padded image costs what the image costs, whatever stands in the padding, NaN included."""
    loss = DenseCRFLoss(
        **BILATERAL, theta_gamma=1.0, spatial_weight=0.5, method=method, window=9, reduction=None
    )
    expected = [backend.array(loss(IMAGE[i : i + 1], LOGITS[i : i + 1])) for i in range(2)]
    around = ((0, 0), (0, 2), (0, 1), (0, 0))
    image = np.pad(IMAGE, around, constant_values=np.nan)
    logits = np.pad(LOGITS, around, constant_values=np.inf)
    mask = np.pad(np.ones(IMAGE.shape[:-1], "float32"), around[:-1])
    assert_close(backend.array(loss(image, logits, mask)), np.concatenate(expected), FLOAT32)
    assert_close(
        backend.array(loss(image, logits, mask[..., None])), np.concatenate(expected), FLOAT32
    )
    (gradient,) = backend.gradients(lambda x: ops.sum(loss(image, x, mask)), logits)
    assert np.isfinite(gradient).all()
    assert not gradient[:, 3:].any() and gradient[:, :3, :4].any()
    nothing = backend.array(loss(image, logits, 0 * mask))
    assert_close(nothing, np.zeros(2), EXACT)


def test_weights_of_points_are_those_of_the_equation():
    weights = RNG.integers(0, 3, IMAGE.shape[:-1]).astype("float32")
    q = probabilities(LOGITS.astype("float64"))
    expected = 0.0
    for labelling, picture, weight in zip(q, IMAGE, weights, strict=True):
        thetas = (ARGUMENTS["theta_alpha"], ARGUMENTS["theta_beta"], ARGUMENTS["theta_gamma"])
        _, kernel = kernel_matrices(picture, *thetas, [1.0, 1.0])
        here = np.flatnonzero(weight)
        kernel = normalized(kernel[np.ix_(here, here)], "after")
        own = labelling.reshape(-1, LABELS)[here]
        energy = np.sum(own * (1 - kernel @ own), -1)
        expected += np.sum(energy * weight.ravel()[here]) / len(here) / len(q)
    loss = DenseCRFLoss(
        theta_alpha=ARGUMENTS["theta_alpha"], theta_beta=ARGUMENTS["theta_beta"], method="exact"
    )
    assert_close(backend.array(loss(IMAGE, LOGITS, weights)), expected, FLOAT32)


def test_training_with_a_mask():
    model, features, targets, _ = scribbled(1.0)
    mask = np.ones(targets["energy"].shape[:-1], "float32")
    mask[:, 8:] = 0
    targets["energy"][:, 8:] = np.nan
    weights = {"energy": mask, "logits": np.ones_like(mask)}
    losses = model.fit(features, targets, sample_weight=weights, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_weights_that_fit_nothing():
    with pytest.raises(ValueError, match=r"\(2,\), one per image, or \(2, 3, 4\), one per point"):
        DenseCRFLoss(**BILATERAL)(IMAGE, LOGITS, np.ones((2, 4, 3)))


# ---- Dtypes and configuration --------------------------------------------------------------------


def test_uint8_images_and_float16_predictions():
    image = IMAGE.astype("uint8")
    expected = backend.array(DenseCRFLoss(**BILATERAL)(image.astype("float32"), LOGITS))
    value = DenseCRFLoss(**BILATERAL)(image, ops.cast(LOGITS, "float16"))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert_close(backend.array(value), expected, FLOAT16)


def test_config_holds_every_argument():
    loss = DenseCRFLoss(**ARGUMENTS, name="energy", reduction="sum")
    config = loss.get_config()
    for name, value in {**ARGUMENTS, "name": "energy", "reduction": "sum"}.items():
        assert config[name] == value, name
    saved = json.loads(json.dumps(keras.losses.serialize(loss)))
    again = keras.losses.deserialize(saved)
    assert isinstance(again, DenseCRFLoss)
    assert again.get_config() == config
    q = probabilities(LOGITS)
    assert_close(backend.array(again(IMAGE, q)), backend.array(loss(IMAGE, q)), EXACT)


# ---- Errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"theta_alpha": 0.0}, "`theta_alpha` to be positive numbers"),
        ({"theta_beta": [3.0, np.nan]}, "`theta_beta` to be finite.*nan"),
        ({"spacing": -1.0}, "`spacing` to be positive numbers"),
        ({"spatial_weight": 1.0}, "`theta_gamma`.*spatial_weight=1.0"),
        ({"spatial_weight": -1.0}, "`spatial_weight` to be a number, 0 or more.*-1.0"),
        ({"bilateral_weight": np.inf}, "`bilateral_weight` to be finite.*inf"),
        ({"bilateral_weight": 0}, "larger than 0"),
        ({"method": "grid"}, "'lattice', 'exact', 'local'.*'grid'"),
        ({"window": 4}, "`window` to be a positive odd number"),
    ],
)
def test_bad_arguments(changed, message):
    with pytest.raises(ValueError, match=message):
        DenseCRFLoss(**{**BILATERAL, **changed})


@pytest.mark.parametrize(
    ("image", "changed", "message"),
    [
        (IMAGE[..., 0], {}, "Add the missing axis"),
        (IMAGE[:, :2], {}, "one spatial size"),
        (IMAGE, {"theta_beta": [1.0, 2.0, 3.0]}, "one number per channel"),
        (IMAGE, {"theta_alpha": [1.0, 2.0, 3.0]}, "one number per axis"),
    ],
)
def test_bad_images(image, changed, message):
    with pytest.raises(ValueError, match=message):
        DenseCRFLoss(**{**BILATERAL, **changed})(image, LOGITS)
