"""What every network promises, whatever it is: one test for all of them."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

import crfrnn
import unet
from tests import backend
from tests.tolerances import FLOAT32, assert_close
from tests.unet.table import TABLE, Count

NAMES = unet.names()
SIZE = (37, 53)  # odd, and smaller than most networks' strides suppose


@functools.cache
def network(name: str, num_channels: int = 1) -> keras.Model:
    """A reduced network for images of any size; read only, so that one serves many tests."""
    keras.utils.set_random_seed(0)
    return unet.build(name, (None, None, num_channels), 3, **TABLE[name].reduced)


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_no_name_lacks_a_row():
    assert sorted(TABLE) == NAMES


@pytest.mark.once  # no backend has a say in the shapes of weights
@pytest.mark.parametrize(
    ("name", "count"), [(name, count) for name in NAMES for count in TABLE[name].counts], ids=str
)
def test_parameters_of_the_paper(name: str, count: Count):
    # Without values: some networks would take a gigabyte.
    with keras.StatelessScope(initialize_variables=False):
        model = unet.build(
            name, (None, None, count.num_channels), count.num_labels, **count.options
        )
    running = sum(
        np.prod(w.shape)
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for w in layer.non_trainable_weights
    )
    trainable = sum(np.prod(w.shape) for w in model.trainable_weights)
    keras.utils.clear_session()  # forgets the weights that have no values
    assert (trainable, model.count_params() - trainable - running) == (count.trainable, count.fixed)


@pytest.mark.parametrize("name", NAMES)
def test_logits_at_the_resolution_of_the_image(name: str, tmp_path):
    model = network(name)
    assert model.output_shape == (None, None, None, 3)
    x = image(3, *SIZE, 1)
    y = model.predict_on_batch(x)
    assert y.shape == (3, *SIZE, 3)
    assert y.dtype == np.float32
    assert np.isfinite(y).all()
    assert y.std() > 0
    # An image gives the same among others. (The same size again: backends compile for each.)
    assert_close(model.predict_on_batch(x[[1, 1, 1]]), y[[1, 1, 1]], FLOAT32)

    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored.predict_on_batch(x), y)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_vary_from_call_to_call(name: str):
    # The second size makes TensorFlow trace sizes that are unknown, down to a single pixel. JAX
    # compiles each size by itself.
    for size in ((1, 3),) if backend.NAME == "jax" else ((12, 9), (1, 3)):
        assert network(name).predict_on_batch(image(1, *size, 1)).shape == (1, *size, 3)


@pytest.mark.parametrize("name", NAMES)
def test_four_channels_of_a_known_size(name: str):
    model = unet.build(name, (*SIZE, 4), 2, **TABLE[name].reduced)
    assert model.input_shape == (None, *SIZE, 4)
    assert model.output_shape == (None, *SIZE, 2)
    if backend.NAME != "jax":  # which has traced all of it at this size to tell the shape above
        assert tuple(model(image(1, *SIZE, 4)).shape) == (1, *SIZE, 2)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_inside_full_precision_logits(name: str):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = unet.build(name, (*SIZE, 1), 2, **TABLE[name].reduced)
    finally:
        keras.config.set_dtype_policy(before)
    assert "float16" in {layer.compute_dtype for layer in model.layers}
    assert model.outputs[0].dtype == "float32"


@pytest.mark.parametrize("name", NAMES)
def test_trains_with_a_crf_behind_it(name: str):
    keras.utils.set_random_seed(1)
    model = unet.build(name, (*SIZE, 1), 2, **TABLE[name].reduced)
    joint = crfrnn.attach(model, num_iterations=2, theta_alpha=8.0, theta_beta=0.5, theta_gamma=2.0)
    x = image(2, *SIZE, 1)
    # Left and right half, told apart by brightness: what any network can begin to learn.
    labels = np.broadcast_to(np.arange(SIZE[1]) > 25, (2, *SIZE)).astype("int32")
    x += 2.0 * labels[..., None]
    joint.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # a fifth of the time; test_overfit.py has compiled steps
    )
    before = [keras.ops.convert_to_numpy(w) for w in model.trainable_weights]
    losses = [float(joint.train_on_batch(x, labels)) for _ in range(6)]
    assert np.isfinite(losses).all(), losses
    assert min(losses[-2:]) < losses[0], losses
    still = [
        w.path
        for w, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(keras.ops.convert_to_numpy(w), old)
    ]
    assert not still, f"no gradient reaches {still}"
