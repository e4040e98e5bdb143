"""The embedding beside the logits: what it sees, its scale, and that it leaves the logits alone."""

import keras
import numpy as np
import pytest

import unet
from tests import backend
from tests.tolerances import EXACT, FLOAT32, assert_close

RNG = np.random.default_rng(4)
NETWORKS = [  # name, image without batch, options, the layer that the head sees
    ("unet", (13, 10, 2), dict(width=4, depth=1), "up0_conv2_relu"),
    ("unet", (6, 5, 4, 1), dict(width=2, depth=1), "up0_conv2_relu"),
    ("fcn8s", (13, 10, 3), dict(width=1), "embedding0"),  # ends in a crop: image and logits
]


@pytest.mark.parametrize(("name", "shape", "options", "seen"), NETWORKS)
def test_shapes_scale_and_the_same_logits(name, shape, options, seen):
    network = unet.build(name, shape, 3, **options)
    model = unet.with_embedding(network, channels=5, width=6)
    image = RNG.uniform(0, 255, (2, *shape)).astype("float32")
    image[1] /= 100  # another scale: each image is standardised by itself
    out = {key: backend.array(value) for key, value in model(image).items()}
    assert_close(out["logits"], backend.array(network(image)), EXACT)
    assert out["embedding"].shape == (2, *shape[:-1], 5)
    over_the_image = tuple(range(1, len(shape)))
    assert np.abs(out["embedding"].mean(over_the_image)).max() < 1e-4
    deviation = out["embedding"].std(over_the_image)
    # A channel may be the same everywhere: dead ReLUs of tiny networks.
    assert_close(deviation[deviation > 0.5], np.ones(np.sum(deviation > 0.5)), 100 * FLOAT32)
    assert np.sum(deviation > 0.5) >= 5
    assert model.get_layer("embedding1").input is model.get_layer(seen).output


def test_it_is_saved_with_the_network(tmp_path):
    model = unet.with_embedding(unet.build("unet", (None, None, 1), 2, width=2, depth=1))
    image = RNG.normal(size=(1, 8, 6, 1)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for key, value in model(image).items():
        assert_close(backend.array(loaded(image)[key]), backend.array(value), FLOAT32)


def test_models_of_another_form_are_refused():
    image = keras.Input((8, 8, 1))
    classifier = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    with pytest.raises(ValueError, match=r"Expected a network from one image.*\(None, 2\)"):
        unet.with_embedding(classifier)
    with pytest.raises(ValueError, match=r"channels.*Expected an integer >= 1"):
        unet.with_embedding(unet.build("unet", (8, 8, 1), 2, width=2, depth=1), channels=0)
