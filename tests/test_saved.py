"""Saved models load in a process that has seen nothing but the import of the package."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import crfrnn
from tests.tolerances import FLOAT32, assert_close

LOAD = """
import sys
import numpy as np
import crfrnn
if sys.argv[1].endswith(".keras"):
    import keras
    out = keras.models.load_model(sys.argv[1]).predict(np.load(sys.argv[2]), verbose=0)
else:
    import crfrnn.layers.crf_rnn
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


EARLIER = Path(__file__).parent / "layers" / "earlier"


def test_models_of_earlier_versions_load_and_predict_the_same():
    """Saved when the classes were in other modules (commit e56f042), with a loss of crfrnn."""
    model = keras.models.load_model(EARLIER / "attached.keras")
    seen = np.load(EARLIER / "attached.npz")
    assert_close(model.predict(seen["image"], verbose=0), seen["refined"], FLOAT32)
    assert isinstance(model.loss, crfrnn.DenseCRFLoss)


ORDERS = {
    "before": "import crfrnn, keras",
    "after": "import keras, crfrnn",
    "asked for": "import crfrnn, importlib.util; importlib.util.find_spec('keras'); import keras",
    "a part": "import crfrnn.filtering; from keras import ops; import keras",
    "again": "import crfrnn, importlib; importlib.reload(crfrnn); import keras",
}


@pytest.mark.once  # what is registered is the same on every backend
@pytest.mark.parametrize("order", ORDERS)
def test_keras_knows_the_layers_in_any_order_of_imports(order):
    code = f"""{ORDERS[order]}
for name in ("CRFRNN", "MatchSize", "WithoutActivation", "ModelOfLogits", "DenseCRFLoss"):
    assert keras.saving.get_registered_object("crfrnn>" + name), name
assert not [f for f in __import__("sys").meta_path if "crfrnn" in type(f).__module__]
import inspect; inspect.getsource(keras)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_the_package_alone_imports_no_keras():
    code = "import crfrnn, sys; assert not {'keras', 'crfrnn.layers.attach'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
