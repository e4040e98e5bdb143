"""GCN's blocks against sums over pixels, from the paper's figure 2."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests import backend
from tests.tolerances import FLOAT32, assert_close
from tests.unet.reference import convolve, relu
from unet import gcn

RNG = np.random.default_rng(0)


def model_of(block, channels):
    """The block as a model, with random biases too, and its layers' weights by name."""
    x = keras.Input((None, None, channels))
    model = keras.Model(x, block(x))
    model.set_weights([RNG.normal(size=w.shape).astype("float32") for w in model.weights])
    return model, {layer.name: layer.get_weights() for layer in model.layers}


def test_global_convolution():
    model, weights = model_of(lambda x: gcn.global_convolution(x, 2, 5, "gcn"), channels=3)
    shapes = {name: arrays[0].shape for name, arrays in weights.items() if arrays}
    assert shapes == {
        "gcn_left1": (5, 1, 3, 2),
        "gcn_left2": (1, 5, 2, 2),
        "gcn_right1": (1, 5, 3, 2),
        "gcn_right2": (5, 1, 2, 2),
    }
    x = RNG.normal(size=(2, 7, 4, 3)).astype("float32")
    left = convolve(convolve(x, *weights["gcn_left1"]), *weights["gcn_left2"])
    right = convolve(convolve(x, *weights["gcn_right1"]), *weights["gcn_right2"])
    assert_close(backend.array(model(x)), left + right, FLOAT32)


def test_boundary_refinement():
    model, weights = model_of(lambda x: gcn.refine_boundary(x, "refine"), channels=2)
    x = RNG.normal(size=(2, 5, 6, 2)).astype("float32")
    inner = relu(convolve(x, *weights["refine_conv1"]))
    expected = x + convolve(inner, *weights["refine_conv2"])
    assert_close(backend.array(model(x)), expected, FLOAT32)


def test_nine_boundary_refinements_at_the_strides_of_the_figure():
    model = gcn.gcn((64, 96, 3), 4, depth=18, width=2, kernel_size=3)
    names = [layer.name for layer in model.layers if layer.name.endswith("_conv2")]
    refined = [name for name in names if "refine" in name or name.startswith("logits")]
    strides = sorted(64 // model.get_layer(name).output.shape[1] for name in refined)
    assert strides == [1, 2, 4, 4, 8, 8, 16, 16, 32]


def test_a_kernel_without_centre_is_refused():
    with pytest.raises(ValueError, match="kernel_size=4"):
        gcn.gcn((8, 8, 3), 2, kernel_size=4)
