"""Whatever of ours a saved model is made of, `import crfrnn` and `load_model` are enough."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import crfrnn
import unet
from crfrnn import registration
from tests import backend
from tests.tolerances import FLOAT32, assert_close
from unet import (
    alexnet,
    context,
    crop,
    losses,
    padding,
    patch_cnn,
    pointrend,
    pyramid,
    resize,
    shufflenet,
    unpooling,
    upsampling,
)

ROOT = Path(__file__).parents[1]
SIZE = (12, 10)


def registered() -> list[str]:
    """Of every class with the decorator of Keras, in any file of the two packages."""
    found = []
    for path in (*ROOT.glob("crfrnn/**/*.py"), *ROOT.glob("unet/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            marks = [ast.unparse(mark) for mark in getattr(node, "decorator_list", ())]
            if any("register_keras_serializable" in mark for mark in marks):
                found.append(f"{path.relative_to(ROOT).parts[0]}>{node.name}")
    return sorted(found)


def of_unet(part=lambda x: x) -> keras.Model:
    """An embedding, by which a CRF compares pixels and which it trains, behind a part of unet."""
    image = keras.Input((*SIZE, 1))
    x = keras.layers.Conv2D(4, 3, padding="same")(image)
    x = keras.layers.Resizing(*SIZE)(part(x))
    network = keras.Model(image, keras.layers.Conv2D(3, 1, padding="same")(x))
    both = unet.with_embedding(network, channels=2, width=2)
    thetas = dict(theta_alpha=8.0, theta_beta=0.5, theta_gamma=2.0)
    layer = crfrnn.CRFRNN(2, 2, image_gradient=True, **thetas)
    return keras.Model(both.input, layer([both.output["logits"], both.output["embedding"]]))


def trained_with(loss: keras.losses.Loss) -> keras.Model:
    model = of_unet()
    model.compile(keras.optimizers.SGD(), loss)
    return model


def attached() -> keras.Model:
    """Behind a network whose softmax is taken off, and whose output is smaller than its image."""
    softmax = keras.layers.Conv2D(3, 3, strides=2, padding="same", activation="softmax")
    network = keras.Sequential([keras.Input((*SIZE, 1)), softmax])
    return crfrnn.attach(network, theta_alpha=8.0, theta_beta=0.5, theta_gamma=2.0)


def pooled(x):
    maxima, indices = unpooling.MaxPoolingWithIndices()(x)
    return unpooling.MaxUnpooling()([maxima, indices, x])


def rendered(x):
    coarse, fine = (keras.layers.Conv2D(3, 1, strides=stride)(x) for stride in (4, 2))
    return pointrend.PointRend(4, 2, head_width=4, num_test_points=8, seed=0)([x, coarse, fine])


def kernel(initializer):
    return lambda x: keras.layers.Conv2DTranspose(4, 3, kernel_initializer=initializer)(x)


PARTS = {
    "AdaptiveAveragePooling": pyramid.AdaptiveAveragePooling(2),
    "Bilinear": kernel(upsampling.Bilinear()),
    "CropTo": lambda x: crop.CropTo()([x, x[:, 1:, 1:]]),
    "DilatedMaxPooling": patch_cnn.DilatedMaxPooling(2),
    "GroupConvolution": shufflenet.GroupConvolution(4, groups=2, shuffle=True),
    "GroupIdentity": kernel(context.GroupIdentity(2)),
    "LocalResponseNormalization": alexnet.LocalResponseNormalization(size=3, alpha=3.0, beta=1.0),
    "MaxPoolingWithIndices": pooled,
    "MaxUnpooling": pooled,
    "MirrorPad": padding.MirrorPad(3),
    "PadToAtLeast": padding.PadToAtLeast(13),
    "PointRend": rendered,
    "ResizeTo": lambda x: resize.ResizeTo()([x[:, ::2, ::2], x]),
}
LOSSES = {
    "CrossEntropyAndDice": losses.CrossEntropyAndDice(ignore_class=255),
    "Focal": losses.Focal(),
    "SoftDice": losses.SoftDice(),
    "Tversky": losses.Tversky(alpha=0.3, beta=0.7),
}
ENERGY = crfrnn.DenseCRFLoss(theta_alpha=8.0, theta_beta=0.5)
MAKE = {
    **{f"unet>{name}": lambda part=part: of_unet(part) for name, part in PARTS.items()},
    **{f"unet>{name}": lambda loss=loss: trained_with(loss) for name, loss in LOSSES.items()},
    "crfrnn>CRFRNN": of_unet,
    "crfrnn>DenseCRFLoss": lambda: trained_with(ENERGY),
    **{f"crfrnn>{n}": attached for n in ("MatchSize", "ModelOfLogits", "WithoutActivation")},
}

LOAD = """
import crfrnn
import keras, numpy, pathlib, sys
image = numpy.load("image.npy")
for path in sorted(pathlib.Path(".").glob("*.keras")):
    try:
        model = keras.models.load_model(path)
        out = keras.ops.convert_to_numpy(keras.ops.stop_gradient(model(image, training=False)))
        numpy.save(path.with_suffix(".npy"), out)
    except Exception as error:
        path.with_suffix(".txt").write_text(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A folder with a model of each class, and what it predicts, or why it does not load."""
    folder, seen = tmp_path_factory.mktemp("registered"), {}
    image = np.random.default_rng(0).normal(size=(2, *SIZE, 1)).astype("float32")
    np.save(folder / "image.npy", image)
    for name, make in MAKE.items():
        model = make()
        model.save(folder / f"{name.replace('>', '-')}.keras")
        seen[name] = backend.array(model(image, training=False))
    command = [sys.executable, "-c", LOAD]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, cwd=folder, env=environment)
    return folder, seen


def test_every_class_is_in_a_model():
    assert sorted(MAKE) == registered()


def test_all_of_unet_are_known_without_it():
    ours = [name for name in registered() if name.startswith("unet>")]
    assert sorted(f"unet>{name}" for name in registration.OF_UNET) == ours


@pytest.mark.parametrize("name", MAKE)
def test_a_model_with_it_loads_in_a_fresh_process(name, loaded):
    folder, seen = loaded
    path = folder / f"{name.replace('>', '-')}.keras"
    with zipfile.ZipFile(path) as file:
        assert f'"registered_name": "{name}"' in json.dumps(json.loads(file.read("config.json")))
    reason = path.with_suffix(".txt")
    assert not reason.exists(), reason.read_text()
    assert_close(np.load(path.with_suffix(".npy")), seen[name], FLOAT32)


@pytest.mark.once  # what is found is the same on every backend
def test_a_file_that_hides_the_networks_is_named(tmp_path):
    of_unet(padding.MirrorPad(3)).save(tmp_path / "model.keras")
    (tmp_path / "unet.py").write_text("raise SystemExit('of the user, and not to be run')")
    code = "import crfrnn, keras; keras.models.load_model('model.keras')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        **dict(cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}),
        **dict(capture_output=True, text=True, check=False),
    )
    assert done.returncode == 1
    assert f"Python finds {tmp_path / 'unet.py'} instead" in done.stderr


@pytest.mark.skipif(backend.NAME != "tensorflow", reason="SavedModel is TensorFlow's")
def test_an_embedding_is_exported(tmp_path):
    model = of_unet()
    image = np.random.default_rng(0).normal(size=(2, *SIZE, 1)).astype("float32")
    np.save(tmp_path / "image.npy", image)
    model.export(tmp_path / "model", verbose=False)
    code = """
import crfrnn.layers.crf_rnn
import numpy, tensorflow
served = tensorflow.saved_model.load("model")
numpy.save("out.npy", served.serve(numpy.load("image.npy")).numpy())
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)
    assert_close(np.load(tmp_path / "out.npy"), model.predict(image, verbose=0), FLOAT32)
