"""Weights of keras.applications: a clear error without a network, and every VGG16 layer served."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from unet import imagenet, vgg
from unet.deeplabv1 import deeplabv1


def test_the_error_says_what_to_do_when_the_download_fails(monkeypatch):
    def offline(**options):
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.applications, "ResNet50", offline)
    with pytest.raises(RuntimeError, match=r"of ResNet50.*or use weights=None.*URL fetch failure"):
        imagenet.classifier("ResNet50", "imagenet", include_top=False)


def test_networks_on_vgg16_take_its_thirteen_convolutions(monkeypatch):
    source = keras.applications.VGG16(weights=None, include_top=False)
    asked = []

    def classifier(name, weights, **options):
        asked.append((name, weights, options))
        return source

    monkeypatch.setattr(vgg.imagenet, "classifier", classifier)
    model = deeplabv1((None, None, 3), 2, weights="imagenet")
    # fc6 of DeepLab is smaller than the classifier's, so that Keras need not load the latter.
    assert asked == [("VGG16", "imagenet", {"include_top": False})]
    convolutions = [layer for layer in source.layers if layer.weights]
    assert len(convolutions) == 13
    for layer in convolutions:
        for ours, theirs in zip(
            model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
