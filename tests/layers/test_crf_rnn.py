"""The CRFRNN layer: numbers, weights, shapes, errors."""

import keras
import numpy as np
import pytest
from keras import ops

from crfrnn.filtering import native
from crfrnn.layers.crf_rnn import CRFRNN
from tests import backend
from tests.layers.random_case import (
    ARGUMENTS,
    CHANNELS,
    COMPATIBILITY,
    IMAGE,
    LABELS,
    RNG,
    THETAS,
    UNARIES,
    by_numpy,
    model_of,
)
from tests.tolerances import EXACT, FLOAT16, FLOAT32, assert_close

# ---- Numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel_weights", ["full", "per_label", "shared"])
def test_starts_as_the_mean_field_of_its_arguments(kernel_weights):
    layer = CRFRNN(
        **THETAS, bilateral_weight=2.0, spatial_weight=1.5, kernel_weights=kernel_weights
    )
    expected = by_numpy(bilateral=2.0, spatial=1.5)
    assert_close(backend.array(layer([UNARIES, IMAGE])), expected, FLOAT32)


def test_iterations_in_training_and_otherwise():
    layer = CRFRNN(2, 4, **THETAS)
    for training, iterations in ((True, 2), (False, 4), (None, 4)):
        refined = backend.array(layer([UNARIES, IMAGE], training=training))
        assert_close(refined, by_numpy(iterations=iterations), FLOAT32)


def test_arguments_reach_the_mean_field():
    probabilities = backend.array(ops.softmax(UNARIES, axis=-1))
    changed = {k: v for k, v in ARGUMENTS.items() if not k.startswith(("num", "bil", "spat"))}
    for name in ("kernel_weights", "trainable_thetas", "from_logits"):
        del changed[name]
    expected = by_numpy(
        np.log(probabilities), iterations=4, bilateral=1.25, spatial=0.75, **changed
    )
    refined = backend.array(CRFRNN(**ARGUMENTS)([probabilities, IMAGE]))
    assert_close(refined, expected, FLOAT32)


def test_weights_and_their_order():
    layer = CRFRNN(**ARGUMENTS)
    layer.build([UNARIES.shape, IMAGE.shape])
    names = ["spatial_weights", "bilateral_weights", "compatibility"]
    names += ["log_theta_alpha", "log_theta_beta", "log_theta_gamma"]
    assert [weight.name for weight in layer.weights] == names
    assert len(layer.trainable_weights) == 6
    spatial, bilateral, compatibility, *log_thetas = layer.get_weights()
    assert_close(spatial, 0.75 * np.eye(LABELS), EXACT)
    assert_close(bilateral, 1.25 * np.eye(LABELS), EXACT)
    assert_close(compatibility, COMPATIBILITY, FLOAT32)
    for log_theta, name in zip(
        log_thetas, ("theta_alpha", "theta_beta", "theta_gamma"), strict=True
    ):
        assert_close(np.exp(log_theta), ARGUMENTS[name], FLOAT32)


@pytest.mark.parametrize(
    ("kernel_weights", "shape"),
    [("full", (LABELS, LABELS)), ("per_label", (LABELS,)), ("shared", ())],
)
def test_shapes_of_weights(kernel_weights, shape):
    layer = CRFRNN(**THETAS, kernel_weights=kernel_weights)
    layer.build([UNARIES.shape, IMAGE.shape])
    assert [tuple(w.shape) for w in layer.weights] == [shape, shape, (LABELS, LABELS)]


def test_arrays_of_crfasrnn_keras_load():
    """Their order and shapes: spatial, bilateral (L, L), compatibility (L, L) with Potts = -I."""
    arrays = [RNG.normal(size=(LABELS, LABELS)).astype("float32") for _ in range(3)]
    layer = CRFRNN(**THETAS, kernel_weights="full")
    layer.build([UNARIES.shape, IMAGE.shape])
    layer.set_weights(arrays)
    expected = by_numpy(spatial=arrays[0], bilateral=arrays[1], compatibility=arrays[2])
    assert_close(backend.array(layer([UNARIES, IMAGE])), expected, FLOAT32)


# ---- Shapes and dtypes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "labels", "channels"),
    [((6, 5), 3, 1), ((3, 4, 5), 2, 1), ((9,), 4, 2), ((6, 5), 1, 3)],
)
def test_number_of_axes_labels_and_channels(shape, labels, channels):
    layer = CRFRNN(**THETAS)
    model = model_of(layer, (None,) * len(shape), channels, labels)
    assert model.output.shape == (None,) * (1 + len(shape)) + (labels,)
    image = RNG.uniform(0, 255, (2, *shape, channels)).astype("float32")
    unaries = backend.array(model.get_layer("unaries")(image))
    refined = model.predict(image, verbose=0)
    assert_close(refined, by_numpy(unaries, image), FLOAT32)
    assert [tuple(w.shape)[-1] for w in layer.weights] == [max(labels, 2)] * 3


def test_sizes_may_change_from_call_to_call():
    model = model_of(CRFRNN(**THETAS))
    for batch, height, width in ((1, 4, 7), (3, 5, 2)):
        image = RNG.uniform(0, 255, (batch, height, width, CHANNELS)).astype("float32")
        unaries = backend.array(model.get_layer("unaries")(image))
        assert_close(model.predict(image, verbose=0), by_numpy(unaries, image), FLOAT32)


def test_batch_equals_single_images():
    layer = CRFRNN(**THETAS)
    together = backend.array(layer([UNARIES, IMAGE]))
    for i in range(2):
        single = backend.array(layer([UNARIES[i : i + 1], IMAGE[i : i + 1]]))
        assert_close(together[i : i + 1], single, FLOAT32)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
def test_precision_policies(policy):
    """The CRF computes in float32, and returns the dtype that it was given."""
    layer = CRFRNN(**THETAS, dtype=policy)
    image = IMAGE / np.float32(1e6)  # would be too small for float16 once divided
    layer.theta_beta /= 1e6
    unaries = ops.cast(UNARIES, "float16")
    refined = layer([unaries, image])
    assert keras.backend.standardize_dtype(refined.dtype) == "float16"
    assert all(keras.backend.standardize_dtype(w.dtype) == "float32" for w in layer.weights)
    rounded = backend.array(unaries).astype("float32")
    assert_close(backend.array(refined), by_numpy(rounded), FLOAT16)
    symbolic = layer([keras.Input((6, 5, 3), dtype="float16"), keras.Input((6, 5, 2))])
    assert symbolic.dtype == "float16"


def test_dtype_of_probabilities_is_returned():
    layer = CRFRNN(**THETAS, from_logits=False)
    refined = layer([ops.cast(ops.softmax(UNARIES), "float16"), IMAGE])
    assert keras.backend.standardize_dtype(refined.dtype) == "float16"


@pytest.mark.parametrize("labels", [LABELS, 1])
def test_probabilities(labels):
    logits = UNARIES[..., :labels]
    to_probabilities = ops.sigmoid if labels == 1 else ops.softmax
    layer = CRFRNN(**THETAS, from_logits=False)
    refined = backend.array(layer([to_probabilities(ops.convert_to_tensor(logits)), IMAGE]))
    expected = by_numpy(logits)
    # A softmax loses the constant that logits share.
    shift = expected[..., :1] - refined[..., :1] if labels > 1 else 0
    assert_close(refined + shift, expected, FLOAT32)


def test_uint8_images():
    layer = CRFRNN(**THETAS)
    image = IMAGE.astype("uint8")
    model = keras.Model(
        inputs := [keras.Input((6, 5, LABELS)), keras.Input((6, 5, CHANNELS), dtype="uint8")],
        layer(inputs),
    )
    expected = by_numpy(image=image.astype("float32"))
    assert_close(model.predict([UNARIES, image], verbose=0), expected, FLOAT32)


# ---- Errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"theta_alpha": 0.0}, "`theta_alpha` to be positive numbers"),
        ({"theta_beta": [3.0, -1.0]}, "`theta_beta` to be positive numbers"),
        ({"theta_gamma": float("nan")}, "`theta_gamma` to be finite"),
        ({"spacing": [1.0, 0.0]}, "`spacing` to be positive numbers"),
        ({"num_iterations": -1}, "`num_iterations` to be a whole number, 0"),
        ({"num_test_iterations": 2.5}, "`num_test_iterations` to be a whole number"),
        ({"kernel_weights": "diagonal"}, "'full', 'per_label', 'shared'.*'diagonal'"),
        ({"normalization": "sym"}, "'after', 'before', 'symmetric', 'none'.*'sym'"),
        ({"method": "grid"}, "'lattice', 'exact', 'local'.*'grid'"),
        ({"compatibility": "pots"}, "\"potts\" or.*'pots'"),
        ({"compatibility": [[1.0, 2.0]]}, r"square \(L, L\) array"),
        ({"window": 4}, "`window`"),
        ({"bilateral_weight": float("nan")}, "`bilateral_weight` to be finite.*nan"),
        ({"spatial_weight": float("inf")}, "`spatial_weight` to be finite.*inf"),
        ({"spatial_weight": 1e39}, "`spatial_weight` to be finite"),  # as float32 it is not
        ({"compatibility": [[-1.0, np.nan], [0.0, -1.0]]}, "`compatibility` to be finite"),
        ({"compatibility": -1e30 * np.eye(3), "bilateral_weight": 1e30}, "times compatibility"),
        ({"native": "yes"}, "`native` to be True, False or None"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CRFRNN(**arguments)


@pytest.mark.parametrize(
    ("arguments", "unaries", "image", "message"),
    [
        ({}, (None, 6, 5, 3), (None, 6, 4, 2), "one spatial size"),
        ({}, (None, 6, 5, 3), (None, 6, 5), "Add the missing axis"),
        ({}, (6, 5), (6, 5), "Add the missing axis"),
        ({}, (None, 6, 5, None), (None, 6, 5, 2), "known number of channels"),
        ({"compatibility": np.eye(2)}, (None, 6, 5, 3), (None, 6, 5, 2), r"shape \(3, 3\)"),
        ({"spacing": [1, 1, 1]}, (None, 6, 5, 3), (None, 6, 5, 2), "`spacing` to be one number or"),
        ({"theta_alpha": [1, 1, 1]}, (None, 6, 5, 3), (None, 6, 5, 2), "`theta_alpha` to be one"),
        ({"theta_beta": [1, 1, 1]}, (None, 6, 5, 3), (None, 6, 5, 2), "one number per channel"),
    ],
)
def test_wrong_shapes(arguments, unaries, image, message):
    with pytest.raises(ValueError, match=message):
        CRFRNN(**arguments).build([unaries, image])


@pytest.mark.parametrize("given", [UNARIES, [UNARIES], [UNARIES, IMAGE, IMAGE], [UNARIES, None]])
def test_other_than_two_tensors(given):
    with pytest.raises(ValueError, match=r"two tensors, \[unaries, image\]\. Received shapes"):
        CRFRNN(1, **THETAS)(given)


@pytest.mark.parametrize(
    ("method", "with_native"),
    [("lattice", True), ("lattice", False), ("exact", False), ("local", False)],
)
def test_a_nan_pixel_never_passes_unnoticed(method, with_native):
    """Eager calls raise; compiled ones cannot, but for the native lattice: NaN there."""
    if with_native and native.refusal():
        pytest.skip(native.refusal())
    image = IMAGE.copy()
    image[1, 2, 3, 0] = np.nan
    layer = CRFRNN(1, method=method, native=with_native, window=5, **THETAS)
    layer([UNARIES, IMAGE])
    with pytest.raises(ValueError, match="Look for NaN in the image"):
        layer([UNARIES, image])
    if backend.NAME == "torch":
        return  # always eager
    compiled = backend.compiled(lambda u, i: layer([u, i]))
    assert np.isfinite(backend.array(compiled(UNARIES, IMAGE))).all()
    if with_native:
        with pytest.raises(Exception, match="positions must be finite"):
            backend.array(compiled(UNARIES, image))
    else:
        spoilt = np.isnan(backend.array(compiled(UNARIES, image)))
        assert spoilt.all() if method == "lattice" else spoilt[1, 2, 3].all()


def test_more_channels_than_the_native_lattice_takes_are_warned_of():
    if native.refusal():
        pytest.skip(native.refusal())
    image = RNG.uniform(0, 1, (1, 2, 3, 31)).astype("float32")
    with pytest.warns(UserWarning, match="33 features.*32.*slower"):
        CRFRNN(1, **THETAS)([UNARIES[:1, :2, :3], image])
    quiet = CRFRNN(1, native=False, **THETAS)  # it was asked for
    quiet([UNARIES[:1, :2, :3], image])
