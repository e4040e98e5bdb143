"""A CRF behind finished models of every kind: the same as the CRF on their logits."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from crfrnn.layers.attach import MatchSize, attach
from tests import backend
from tests.layers.attached import CRF, IMAGE, RNG, convolution, functional, logits_by_hand, refined
from tests.tolerances import EXACT, FLOAT32, assert_close


class Subclassed(keras.Model):
    def __init__(self, last):
        super().__init__()
        self.last = last

    def call(self, image):
        return self.last(image)


ENDINGS = {
    "logits": lambda last: functional(last),
    "argument": lambda last: functional(_with(last, "softmax")),
    "layer": lambda last: functional(last, layers.Softmax()),
    "activation": lambda last: functional(last, layers.Activation("softmax")),
    "operation": lambda last: functional(last, ops.softmax),
    "function": lambda last: functional(last, keras.activations.softmax),
    "cast behind": lambda last: functional(
        _with(last, "softmax"), layers.Activation("linear", dtype="float32")
    ),
    "sequential": lambda last: keras.Sequential([keras.Input((6, 4, 3)), last, layers.Softmax()]),
    "nested": lambda last: functional(
        layers.Activation("linear"), functional(last, layers.Softmax(), size=(6, 4)), size=(6, 4)
    ),
    "nested argument": lambda last: functional(
        keras.Sequential([keras.Input((6, 4, 3)), _with(last, "softmax")]), size=(6, 4)
    ),
}


def _with(layer, activation):
    layer.activation = keras.activations.get(activation)
    return layer


@pytest.mark.parametrize("ending", ENDINGS)
def test_final_softmax_is_left_out(ending):
    last = convolution()
    model = ENDINGS[ending](last)
    before = backend.array(model(IMAGE))
    found = backend.array(attach(model, **CRF)(IMAGE))
    assert_close(found, refined(logits_by_hand(last)), FLOAT32)
    assert_close(backend.array(model(IMAGE)), before, EXACT)  # the given model is as it was


def test_saturated_softmax_loses_nothing():
    """Logits 200 apart: their probabilities are 0 and 1, from which no logarithm could return."""
    last = convolution(activation="softmax")
    model = functional(last)
    last.set_weights([100 * weight for weight in last.get_weights()])
    logits = logits_by_hand(last)
    assert (backend.array(model(IMAGE)).max(-1) == 1).any()
    assert_close(backend.array(attach(model, **CRF)(IMAGE)), refined(logits), FLOAT32)


@pytest.mark.parametrize("how", ["argument", "layer"])
def test_final_sigmoid_of_one_channel(how):
    last = convolution(1, activation="sigmoid" if how == "argument" else None)
    after = [layers.Activation("sigmoid")] if how == "layer" else []
    model = attach(functional(last, *after), **CRF)
    assert model.output.shape == (None, None, None, 1)
    assert_close(backend.array(model(IMAGE)), refined(logits_by_hand(last)), FLOAT32)


@pytest.mark.parametrize("from_logits", [True, False])
def test_subclassed_models(from_logits):
    last = convolution(activation=None if from_logits else "softmax")
    model = attach(Subclassed(last), from_logits=from_logits, input_shape=(None, None, 3), **CRF)
    logits = logits_by_hand(last)
    found, expected = backend.array(model(IMAGE)), refined(logits)
    shift = 0 if from_logits else found[..., :1] - expected[..., :1]  # lost by the softmax
    assert_close(found, expected + shift, FLOAT32)


def test_from_logits_true_takes_the_output_as_it_is():
    model = functional(convolution(), layers.Softmax())
    found = attach(model, from_logits=True, **CRF)(IMAGE)
    assert_close(backend.array(found), refined(backend.array(model(IMAGE))), FLOAT32)


def test_sequential_without_input():
    last = convolution()
    model = attach(keras.Sequential([last, layers.Softmax()]), input_shape=(6, 4, 3), **CRF)
    assert_close(backend.array(model(IMAGE)), refined(logits_by_hand(last)), FLOAT32)


# ---- What it returns -----------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [1, 3])
def test_output_probabilities(labels):
    model = functional(convolution(labels, activation="softmax" if labels > 1 else "sigmoid"))
    logits = backend.array(attach(model, **CRF)(IMAGE)).astype("float64")
    odds = np.exp(logits)
    expected = odds / (1 + odds) if labels == 1 else odds / odds.sum(-1, keepdims=True)
    joint = attach(model, output="probabilities", **CRF)
    assert_close(backend.array(joint(IMAGE)), expected, FLOAT32)
    joint.compile("sgd", "binary_crossentropy" if labels == 1 else "categorical_crossentropy")


CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy
OLD_LOSSES = {
    "name": "sparse_categorical_crossentropy",
    "object": CROSS_ENTROPY(),
    "function": keras.losses.sparse_categorical_crossentropy,
    "dict": {"crf": "sparse_categorical_crossentropy"},
}


@pytest.mark.parametrize("loss", OLD_LOSSES)
def test_a_loss_on_probabilities_is_warned_of(loss, tmp_path):
    joint = attach(functional(convolution(activation="softmax")), **CRF, name="crf")
    with pytest.warns(UserWarning, match='from_logits=True.*output="probabilities"'):
        joint.compile("sgd", OLD_LOSSES[loss])


@pytest.mark.parametrize("loss", [CROSS_ENTROPY(from_logits=True), "mse", None])
def test_other_losses_are_not(loss, tmp_path):
    joint = attach(functional(convolution(activation="softmax")), **CRF)
    joint.compile("sgd", loss)
    if loss:
        joint.train_on_batch(IMAGE, joint.predict(IMAGE, verbose=0).argmax(-1)[..., None])
    joint.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.compiled and type(again.loss) is type(joint.loss)
    assert len(again.optimizer.variables) == len(joint.optimizer.variables)


@pytest.mark.parametrize("structure", [lambda y: [y], lambda y: {"mask": y}])
def test_one_output_in_a_list_or_dict(structure):
    last = convolution(activation="softmax")
    inner = functional(last)
    model = keras.Model(inner.input, structure(inner.output))
    joint = attach(model, **CRF)
    found = joint(IMAGE)
    found = found["mask"] if isinstance(model(IMAGE), dict) else found
    assert_close(backend.array(found), refined(logits_by_hand(last)), FLOAT32)
    if isinstance(model(IMAGE), dict):
        joint.compile("sgd", {"mask": CROSS_ENTROPY(from_logits=True)})
        joint.fit(IMAGE, {"mask": RNG.integers(0, 3, IMAGE.shape[:-1])}, verbose=0)


def test_a_default_theta_beta_is_warned_of():
    with pytest.warns(UserWarning, match="images 0..255"):
        attach(functional(convolution()))


# ---- Sizes ---------------------------------------------------------------------------------------


def interpolated(values, size):
    """Linear interpolation of (n,) values: pixel centres at half integers, edges repeated."""
    places = (np.arange(size) + 0.5) * len(values) / size - 0.5
    return np.interp(places, np.arange(len(values)), values)


@pytest.mark.parametrize("free", [True, False], ids=["free sizes", "fixed sizes"])
def test_smaller_outputs_are_enlarged(free):
    last = convolution(strides=2, activation="softmax")
    model = attach(functional(last, size=(None, None) if free else (6, 4)), **CRF)
    small = logits_by_hand(last)
    assert small.shape == (2, 3, 2, 3)
    large = np.apply_along_axis(interpolated, 1, small, 6)
    large = np.apply_along_axis(interpolated, 2, large, 4).astype("float32")
    assert_close(model.predict(IMAGE, verbose=0), refined(large), FLOAT32)


def test_volumes_are_enlarged_along_each_axis():
    small = RNG.normal(size=(1, 2, 3, 2, 2)).astype("float32")
    image = np.zeros((1, 5, 4, 7, 1), "float32")
    large = small
    for axis, size in ((1, 5), (2, 4), (3, 7)):
        large = np.apply_along_axis(interpolated, axis, large, size)
    assert_close(backend.array(MatchSize()([small, image])), large, FLOAT32)


def test_equal_sizes_are_left_alone():
    values = RNG.normal(size=IMAGE.shape).astype("float32")
    assert_close(backend.array(MatchSize()([values, IMAGE])), values, EXACT)
    fixed = attach(functional(convolution(), size=(6, 4)), **CRF)
    assert not any(isinstance(layer, MatchSize) for layer in fixed.layers)


# ---- Weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["argument", "layer", "nested argument"])
def test_training_trains_the_given_model(ending):
    last = convolution()
    model = ENDINGS[ending](last)
    joint = attach(model, **CRF)
    before = last.get_weights()
    joint.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    joint.fit(IMAGE, RNG.integers(0, 3, IMAGE.shape[:-1]), batch_size=2, verbose=0)
    for new, old in zip(last.get_weights(), before, strict=True):
        assert not np.array_equal(new, old)
    assert_close(backend.array(joint(IMAGE)), by_layer(joint, logits_by_hand(last)), FLOAT32)
    sums = backend.array(model(IMAGE)).sum(-1)
    assert_close(sums, np.ones_like(sums), FLOAT32)  # it still ends in its softmax


def by_layer(joint, logits):
    """The trained CRF of `joint` on logits."""
    return backend.array(joint.layers[-1]([logits, IMAGE]))


@pytest.mark.parametrize("ending", ["argument", "layer", "nested argument", "sequential"])
def test_saved_model_file_loads(ending, tmp_path):
    model = attach(ENDINGS[ending](convolution()), **CRF)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(backend.array(loaded(IMAGE)), backend.array(model(IMAGE)), FLOAT32)


# ---- Errors --------------------------------------------------------------------------------------


def two_inputs():
    inputs = [keras.Input((6, 4, 3)), keras.Input((6, 4, 3))]
    return keras.Model(inputs, layers.Add()(inputs))


def two_outputs():
    image = keras.Input((6, 4, 3))
    return keras.Model(image, [convolution()(image), convolution()(image)])


def channels_first():
    image = keras.Input((3, 6, 4))
    return keras.Model(image, layers.MaxPooling2D(1, data_format="channels_first")(image))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (two_inputs, "one input, the image. Received 2"),
        (two_outputs, "one output"),
        (channels_first, "channels last"),
        (lambda: functional(convolution(), layers.Softmax(axis=1)), "over axis 1"),
        (lambda: functional(convolution(activation="sigmoid")), "a sigmoid of 3 channels"),
        (lambda: functional(convolution(1, activation="softmax")), "a softmax of 1 channels"),
        (lambda: functional(convolution(), layers.GlobalAveragePooling2D()), "segmentation model"),
        (lambda: Subclassed(convolution()), "`input_shape`"),
        (lambda: keras.Sequential([convolution()]), "`input_shape`"),
        (convolution, "to be a Keras model. Received Conv2D"),
        (lambda: abs, r"Received builtin_function.*crfrnn\.torch\.CRFRNN"),
    ],
)
def test_models_that_cannot_be_used(model, message):
    with pytest.raises(ValueError, match=message):
        attach(model(), **CRF)


def test_subclassed_models_need_to_say_what_they_return():
    with pytest.raises(ValueError, match="`from_logits`"):
        attach(Subclassed(convolution()), input_shape=(6, 4, 3), **CRF)
