"""The configuration of the layer, and models that are saved with it."""

import json

import keras
import numpy as np
import pytest

from crfrnn.layers.crf_rnn import CRFRNN
from tests import backend
from tests.layers.random_case import ARGUMENTS, IMAGE, RNG, THETAS, model_of
from tests.native.required import require
from tests.tolerances import FLOAT32, assert_close


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

    if with_native:
        require()
    model = model_of(CRFRNN(num_test_iterations=1, **THETAS, native=with_native))
    expected = backend.array(model(IMAGE))
    model.export(tmp_path / "exported", format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "exported")
    assert_close(loaded.serve(IMAGE), expected, FLOAT32)
