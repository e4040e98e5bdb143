"""Training with the layer."""

import keras
import numpy as np
import pytest
from keras import ops

from crfrnn.filtering import native
from crfrnn.layers.crf_rnn import CRFRNN
from crfrnn.meanfield.mean_field import mean_field
from tests import backend
from tests.layers.random_case import IMAGE, RNG, THETAS, UNARIES, model_of
from tests.tolerances import EXACT, FLOAT32, assert_close

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
