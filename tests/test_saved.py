"""Saved models load in a process that has seen nothing but the import of the layer."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import crfrnn
from tests.tolerances import FLOAT32, assert_close

LOAD = """
import sys
import numpy as np
from crfrnn import CRFRNN
if sys.argv[1].endswith(".keras"):
    import keras
    out = keras.models.load_model(sys.argv[1]).predict(np.load(sys.argv[2]), verbose=0)
else:
    import tensorflow as tf
    model = tf.saved_model.load(sys.argv[1])
    out = model.serve(np.load(sys.argv[2])).numpy()
np.save(sys.argv[3], out)
"""


@pytest.mark.parametrize("how", ["keras", "export"])
def test_attached_model_loads_in_a_fresh_process(tmp_path, how):
    if how == "export" and keras.backend.backend() != "tensorflow":
        pytest.skip("SavedModel is TensorFlow's")
    convolution = keras.layers.Conv2D(3, 3, padding="same", activation="softmax")
    network = keras.Sequential([keras.Input((None, None, 1)), convolution])
    model = crfrnn.attach(network, theta_alpha=8.0, theta_beta=0.5, theta_gamma=2.0)
    image = np.random.default_rng(0).normal(size=(2, 9, 7, 1)).astype("float32")
    expected = model.predict(image, verbose=0)
    path = tmp_path / ("model.keras" if how == "keras" else "model")
    if how == "keras":
        model.save(path)
    else:
        model.export(path, verbose=False)
    np.save(tmp_path / "image.npy", image)
    files = [str(path), str(tmp_path / "image.npy"), str(tmp_path / "out.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *files], check=True, env=os.environ)
    assert_close(np.load(files[2]), expected, FLOAT32)
