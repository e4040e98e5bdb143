"""What stands behind the softmax that attach leaves out."""

import keras
import pytest
from keras import layers, ops

from crfrnn.layers.attach import attach
from crfrnn.meanfield.logits import logits_from_probabilities
from tests import backend
from tests.layers.attached import CRF, IMAGE, convolution, functional, logits_by_hand, refined
from tests.tolerances import FLOAT32, assert_close

# Each keeps the probabilities; after the first ones, softmax(f(x)) = f(softmax(x)).
MOVES = {
    "nearest": lambda: layers.UpSampling2D(1),
    "reshape": lambda: layers.Reshape((6, 4, -1)),
    "crop": lambda: layers.Cropping2D(0),
    "dropout": lambda: layers.Dropout(0.5),
    "identity": lambda: layers.Identity(),
    "lambda": lambda: layers.Lambda(lambda x: x + 0.0),
    "nested": lambda: keras.Sequential([keras.Input((6, 4, None)), layers.Identity()]),
    "two": lambda: keras.Sequential([layers.Identity(), layers.Dropout(0.1)]),
    "cast": lambda: layers.Activation("linear", dtype="float32"),
}
MIXES = {
    "resizing": lambda: shrunk(layers.Resizing(6, 4)),
    "bilinear": lambda: shrunk(layers.UpSampling2D(2, interpolation="bilinear")),
    "operation": lambda: shrunk(lambda p: ops.image.resize(p, (6, 4))),
    "smoothed": lambda: layers.Lambda(lambda p: 0.9 * p + 0.1 / p.shape[-1]),
}


def shrunk(enlarge):
    return lambda p: enlarge(layers.AveragePooling2D(2)(p))


@pytest.mark.parametrize(
    ("activation", "behind"),
    [
        *((activation, behind) for activation in ("softmax", "sigmoid") for behind in MOVES),
        *(("softmax", behind) for behind in MIXES),
        *(("sigmoid", behind) for behind in MIXES if behind != "smoothed"),  # it mixes labels
    ],
)
def test_probabilities_are_not_taken_for_logits(activation, behind):
    """With a CRF that does nothing, the logits are those of the model's own probabilities."""
    labels = 3 if activation == "softmax" else 1
    last = convolution(labels, activation=activation)
    model = functional(last, (MOVES | MIXES)[behind](), size=(6, 4))
    probabilities = backend.array(model(IMAGE))
    logits = attach(model, **CRF | {"num_test_iterations": 0}).predict(IMAGE, verbose=0)
    again = ops.sigmoid(logits) if labels == 1 else ops.softmax(logits)
    assert_close(backend.array(again), probabilities, FLOAT32)
    if behind in MOVES:  # even what float32 probabilities cannot hold
        last.set_weights([100 * weight for weight in last.get_weights()])
        found = backend.array(attach(model, **CRF)(IMAGE))
        assert_close(found, refined(logits_by_hand(last)), FLOAT32)
    else:
        expected = refined(logits_from_probabilities(probabilities))
        assert_close(attach(model, **CRF).predict(IMAGE, verbose=0), expected, FLOAT32)


def test_a_mean_of_two_softmaxes():
    image = keras.Input((6, 4, 3))
    parts = [convolution(activation="softmax")(image) for _ in range(2)]
    model = keras.Model(image, layers.Average()(parts))
    expected = refined(logits_from_probabilities(backend.array(model(IMAGE))))
    assert_close(backend.array(attach(model, **CRF)(IMAGE)), expected, FLOAT32)


class Softmaxed(layers.Layer):
    """A softmax of the user's own."""

    def call(self, x):
        return ops.exp(x) / ops.sum(ops.exp(x), -1, keepdims=True)


@pytest.mark.parametrize("layer", [Softmaxed, lambda: layers.Lambda(lambda x: ops.softmax(x))])
def test_softmaxes_without_a_name(layer):
    model = functional(convolution(), layer())
    expected = refined(logits_from_probabilities(backend.array(model(IMAGE))))
    assert_close(backend.array(attach(model, **CRF)(IMAGE)), expected, FLOAT32)


ACTIVATIONS = {
    "softmax of the user": (3, lambda x: ops.softmax(x)),
    "by hand": (3, lambda x: ops.exp(x) / ops.sum(ops.exp(x), -1, keepdims=True)),
    "hard sigmoid": (1, "hard_sigmoid"),
    "half of tanh": (1, lambda x: (1 + ops.tanh(x)) / 2),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("size", [(None, None), (6, 4)])
def test_activations_that_give_probabilities_by_any_name(name, size):
    labels, activation = ACTIVATIONS[name]
    model = functional(convolution(labels, activation=activation), size=size)
    expected = refined(logits_from_probabilities(backend.array(model(IMAGE))))
    assert_close(backend.array(attach(model, **CRF)(IMAGE)), expected, FLOAT32)


@pytest.mark.parametrize("activation", ["relu", "tanh", "log_softmax", "leaky_relu", None])
def test_other_activations_give_logits(activation):
    model = functional(convolution(activation=activation))
    expected = refined(backend.array(model(IMAGE)))
    assert_close(backend.array(attach(model, **CRF)(IMAGE)), expected, FLOAT32)


class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x


@pytest.mark.parametrize("size", [(None, None), (6, 4)])
def test_layers_of_the_user_on_logits_give_logits(size):
    last = convolution()
    model = functional(last, Doubled(), size=size)
    found = backend.array(attach(model, **CRF)(IMAGE))
    assert_close(found, refined(2 * logits_by_hand(last)), FLOAT32)


def test_a_softmax_inside_the_network_does_not_matter():
    image = keras.Input((6, 4, 3))
    attention = layers.Softmax()(convolution(3)(image))
    last = convolution()
    model = keras.Model(image, last(layers.Multiply()([image, attention])))
    found = backend.array(attach(model, **CRF)(IMAGE))
    assert_close(found, refined(backend.array(model(IMAGE))), FLOAT32)


def test_normalised_logits_are_logits():
    model = functional(convolution(), layers.BatchNormalization(), size=(6, 4))
    probabilities = keras.Model(model.input, layers.Softmax()(model.output))
    expected = refined(backend.array(model(IMAGE)))
    for each in (model, probabilities):
        assert_close(backend.array(attach(each, **CRF)(IMAGE)), expected, FLOAT32)


UNKNOWN = {
    "doubled": lambda: [layers.Softmax(), Doubled()],
    "scaled": lambda: [layers.Softmax(), layers.Rescaling(255)],
    "padded": lambda: [layers.Cropping2D(1), layers.Softmax(), layers.ZeroPadding2D(1)],
    "logarithm": lambda: [layers.Softmax(), ops.log],
    "normalised": lambda: [layers.Softmax(), layers.BatchNormalization()],
    "bent": lambda: [layers.Softmax(), layers.Reshape((6, 4, 3)), layers.PReLU()],
    "independent": lambda: [layers.Lambda(lambda x: ops.sigmoid(x))],
    "failing": lambda: [layers.Softmax(), Failing()],
    "other axis": lambda: [layers.Softmax(1), layers.Identity()],
}


class Failing(layers.Layer):
    """It cannot be tried: nothing comes out but shapes."""

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape)

    def call(self, x):
        raise RuntimeError


@pytest.mark.parametrize("behind", UNKNOWN)
def test_what_cannot_be_known_is_asked_for(behind):
    model = functional(convolution(), *UNKNOWN[behind](), size=(6, 4))
    with pytest.raises(ValueError, match="Expected `from_logits`"):
        attach(model, **CRF)
    asked(model)


@pytest.mark.parametrize("labels, activation", [(3, "hard_sigmoid"), (1, "log_sigmoid")])
def test_activations_that_may_be_anything_are_asked_for(labels, activation):
    for model in (
        functional(convolution(labels, activation=activation)),
        functional(convolution(labels), layers.Activation(activation)),
    ):
        with pytest.raises(ValueError, match="Expected `from_logits`"):
            attach(model, **CRF)
        asked(model)


def asked(model):
    for from_logits in (True, False):
        assert attach(model, from_logits=from_logits, **CRF).layers[-1].from_logits == from_logits
