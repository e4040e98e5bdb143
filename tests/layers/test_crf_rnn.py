"""The CRFRNN layer: configuration, weights, shapes, saving, training."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from crfrnn.filtering import native
from crfrnn.layers.crf_rnn import CRFRNN
from crfrnn.meanfield.mean_field import mean_field
from tests import backend
from tests.tolerances import EXACT, FLOAT16, FLOAT32, assert_close

RNG = np.random.default_rng(3)
LABELS, CHANNELS = 3, 2
UNARIES = RNG.normal(0, 2, (2, 6, 5, LABELS)).astype("float32")
IMAGE = RNG.uniform(0, 255, (2, 6, 5, CHANNELS)).astype("float32")
THETAS = dict(theta_alpha=4.0, theta_beta=60.0, theta_gamma=1.5)
COMPATIBILITY = [[-1.0, 0.2, 0.3], [0.1, -0.9, 0.4], [0.0, 0.5, -1.1]]
# Every argument away from its default, JSON-like values as get_config returns them.
ARGUMENTS = dict(
    num_iterations=2,
    num_test_iterations=4,
    theta_alpha=[4.0, 3.0],
    theta_beta=[60.0, 40.0],
    theta_gamma=[1.5, 2.5],
    bilateral_weight=1.25,
    spatial_weight=0.75,
    kernel_weights="full",
    compatibility=COMPATIBILITY,
    trainable_thetas=True,
    normalization="symmetric",
    method="local",
    native=False,
    window=5,
    from_logits=False,
    spacing=[1.0, 0.5],
    image_gradient=True,
    damping=0.25,
)


def by_numpy(unaries=UNARIES, image=IMAGE, iterations=10, bilateral=5.0, spatial=3.0, **changed):
    crf = {**THETAS, "num_iterations": iterations, **changed}
    return mean_field(unaries, image, spatial_weight=spatial, bilateral_weight=bilateral, **crf)


def model_of(layer, spatial=(None, None), channels=CHANNELS, labels=LABELS):
    """Image -> 1 x 1 convolution -> CRF."""
    image = keras.Input((*spatial, channels))
    unaries = keras.layers.Dense(labels, name="unaries")(image)
    return keras.Model(image, layer([unaries, image]))


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


# ---- Configuration and saving --------------------------------------------------------------------


def test_config_holds_every_argument():
    layer = CRFRNN(**ARGUMENTS, name="crf", dtype="mixed_bfloat16", trainable=False)
    config = layer.get_config()
    for name, value in ARGUMENTS.items():
        assert config[name] == value, name
    again = CRFRNN.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    assert (again.name, again.trainable) == ("crf", False)


@pytest.mark.parametrize("arguments", [ARGUMENTS, THETAS], ids=["all", "defaults"])
def test_saved_model_file_loads(tmp_path, arguments):
    model = model_of(CRFRNN(**arguments))
    for layer in model.layers[1:]:
        layer.set_weights([w + RNG.normal(0, 0.1, w.shape) for w in layer.get_weights()])
    image = np.abs(IMAGE) / 255
    expected = model.predict(image, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded.predict(image, verbose=0), expected, FLOAT32)
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = model_of(CRFRNN(**arguments))
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert_close(fresh.predict(image, verbose=0), expected, FLOAT32)


@pytest.mark.skipif(backend.NAME != "tensorflow", reason="SavedModel is TensorFlow's format")
@pytest.mark.parametrize("with_native", [False, True])
def test_exported_saved_model(tmp_path, with_native):
    import tensorflow as tf

    if with_native and not native.available():
        pytest.skip("the native library was not built")
    model = model_of(CRFRNN(num_test_iterations=1, **THETAS, native=with_native))
    expected = backend.array(model(IMAGE))
    model.export(tmp_path / "exported", format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "exported")
    assert_close(loaded.serve(IMAGE), expected, FLOAT32)


# ---- Training ------------------------------------------------------------------------------------


def training_case():
    """Noisy images of two half planes, and their labels."""
    rng = np.random.default_rng(8)
    labels = np.zeros((4, 8, 7), "int32")
    labels[:, :, 3:] = 1
    labels[1::2] = 1 - labels[1::2]
    image = labels[..., None] * 100.0 + rng.normal(0, 30, (*labels.shape, 1))
    return image.astype("float32"), labels


@pytest.mark.parametrize("method", ["lattice", "exact"])
def test_joint_training_lowers_the_loss_and_moves_every_weight(method):
    keras.utils.set_random_seed(2)
    image, labels = training_case()
    layer = CRFRNN(
        2, method=method, theta_alpha=3.0, theta_beta=40.0, theta_gamma=1.0, trainable_thetas=True,
        kernel_weights="full", bilateral_weight=1.0, spatial_weight=1.0,
    )  # fmt: skip
    inputs = keras.Input((None, None, 1))
    unaries = keras.layers.Dense(2)(keras.layers.Rescaling(1 / 100, -0.5)(inputs))
    model = keras.Model(inputs, layer([unaries, inputs]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    before = [backend.array(weight) for weight in model.trainable_weights]
    losses = model.fit(image, labels, batch_size=2, epochs=6, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]
    for weight, old in zip(model.trainable_weights, before, strict=True):
        new = backend.array(weight)
        assert np.isfinite(new).all(), weight.path
        assert (new != old).all(), weight.path


def test_what_makes_the_image_learns_through_the_lattice():
    """The CRF compares points by a mixture of a channel of noise and one that shows the labels."""
    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(5)
    labels = training_case()[1]
    unaries = 2 * np.eye(2)[labels] + rng.normal(0, 2, (*labels.shape, 2))
    image = np.stack([rng.normal(size=labels.shape), labels], axis=-1)
    inputs = [keras.Input((None, None, 2)), keras.Input((None, None, 2))]
    mixture = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    layer = CRFRNN(
        2, theta_alpha=4.0, theta_beta=1.0, theta_gamma=1.0, trainable=False, image_gradient=True
    )
    model = keras.Model(inputs, layer([inputs[0], mixture(inputs[1])]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss)
    data = [unaries.astype("float32"), image.astype("float32")]
    losses = model.fit(data, labels, batch_size=2, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    noise, shows = np.abs(mixture.get_weights()[0].ravel())
    assert noise < 0.7 and shows > 1.3


@pytest.mark.parametrize("method", ["lattice", "exact", "local"])
def test_training_with_an_incomplete_last_batch(method):
    """4 images in batches of 3: the compiled step knows no batch size."""
    image, labels = training_case()
    layer = CRFRNN(1, method=method, window=3, trainable_thetas=True, **THETAS)
    model = model_of(layer, channels=1, labels=2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert np.isfinite(model.fit(image, labels, batch_size=3, verbose=0).history["loss"]).all()


def test_a_frozen_layer_does_not_move():
    image, labels = training_case()
    layer = CRFRNN(1, **THETAS, trainable_thetas=True, trainable=False)
    model = model_of(layer, channels=1, labels=2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = layer.get_weights()
    model.fit(image, labels, verbose=0)
    for new, old in zip(layer.get_weights(), before, strict=True):
        assert_close(new, old, EXACT)


def test_gradients_are_those_of_the_function():
    """Of the unaries, through the layer, compiled where the backend compiles."""
    layer = CRFRNN(3, **THETAS, kernel_weights="full")
    layer.build([UNARIES.shape, IMAGE.shape])
    coefficients = backend.tensor(RNG.normal(size=UNARIES.shape).astype("float32"))

    def through_layer(u):
        return ops.sum(coefficients * layer([u, backend.tensor(IMAGE)], training=True))

    def through_function(u):
        refined = mean_field(
            u, IMAGE, spatial_weight=3.0, bilateral_weight=5.0, num_iterations=3, **THETAS
        )
        return ops.sum(coefficients * refined)

    expected = backend.gradients(through_function, UNARIES)[0]
    if backend.NAME == "jax":
        import jax

        through_layer = jax.jit(through_layer)
    if backend.NAME == "tensorflow":
        import tensorflow as tf

        through_layer = tf.function(through_layer)
    assert_close(backend.gradients(through_layer, UNARIES)[0], expected, FLOAT32)


@pytest.mark.skipif(backend.NAME != "tensorflow", reason="other backends can always compile")
def test_xla_is_used_where_there_is_no_custom_op():
    assert CRFRNN(native=False).supports_jit
    assert CRFRNN(method="exact").supports_jit
    assert CRFRNN().supports_jit is not native.available()


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


# ---- Masks ---------------------------------------------------------------------------------------

AROUND = ((0, 0), (0, 2), (0, 1), (0, 0))
INSIDE = np.pad(np.ones(IMAGE.shape[:-1], bool), AROUND[:-1])


def padded(array, value):
    return np.pad(array, AROUND, constant_values=value)


@pytest.mark.parametrize("native", [None, False])
@pytest.mark.parametrize("normalization", ["after", "symmetric"])
def test_a_masked_border_changes_neither_results_nor_gradients(native, normalization):
    layer = CRFRNN(2, **THETAS, trainable_thetas=True, normalization=normalization, native=native)
    layer([UNARIES, IMAGE])  # builds
    upstream = RNG.normal(size=UNARIES.shape).astype("float32")

    def value(u, *weights, image, mask, upstream):
        refined = layer.stateless_call(weights, [], [u, image], training=True, mask=mask)[0]
        return ops.sum(refined * backend.tensor(upstream))

    weights = [backend.array(weight) for weight in layer.trainable_variables]
    alone = backend.gradients(
        lambda *given: value(*given, image=IMAGE, mask=None, upstream=upstream), UNARIES, *weights
    )
    found = backend.gradients(
        lambda *given: value(
            *given, image=padded(IMAGE, np.nan), mask=INSIDE, upstream=padded(upstream, 0)
        ),
        padded(UNARIES, np.nan),
        *weights,
    )
    assert_close(found[0][:, :6, :5], alone[0], 10 * FLOAT32)
    assert not found[0][:, 6:].any() and not found[0][:, :, 5:].any()
    for one, other in zip(found[1:], alone[1:], strict=True):
        assert_close(one, other, 100 * FLOAT32)  # sums over all points, in another order


def test_a_mask_may_be_an_input_of_a_saved_model(tmp_path):
    unaries, image = keras.Input((None, None, LABELS)), keras.Input((None, None, CHANNELS))
    mask = keras.Input((None, None), dtype="bool")
    refined = CRFRNN(2, 3, **THETAS)([unaries, image], mask=mask)
    model = keras.Model([unaries, image, mask], refined)
    expected = by_numpy(iterations=3)
    model.save(tmp_path / "masked.keras")
    again = keras.models.load_model(tmp_path / "masked.keras")
    given = [padded(UNARIES, 1), padded(IMAGE, 9), INSIDE]
    for one in (model, again):
        found = one.predict(given, verbose=0)
        assert_close(found[:, :6, :5], expected, FLOAT32)
        assert (found[:, 6:] == 1).all()


def test_masks_of_earlier_layers_are_heeded_and_handed_on():
    image = keras.Input((None, None, CHANNELS))
    unaries = keras.Input((None, None, LABELS))
    seen = keras.layers.Masking(-1.0)(image)
    refined = CRFRNN(2, 3, **THETAS)([unaries, seen])
    model = keras.Model([unaries, image], refined)
    found = backend.array(model([padded(UNARIES, 1), padded(IMAGE, -1)]))
    assert_close(found[:, :6, :5], by_numpy(iterations=3), FLOAT32)
    layer = CRFRNN(**THETAS)
    one = np.arange(30).reshape(1, 6, 5) % 2 == 0
    both = layer.compute_mask(None, [backend.tensor(one), backend.tensor(INSIDE[:1, :6, :5])])
    np.testing.assert_array_equal(backend.array(both), one)
    assert layer.compute_mask(None, [None, None]) is None
