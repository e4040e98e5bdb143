"""Classifiers trained on ImageNet, for the weights of backbones."""

from __future__ import annotations

from typing import Any

import keras


def classifier(name: str, weights: str | None, **options: Any) -> keras.Model:
    """Build a classifier of ``keras.applications`` with its weights, downloaded once by Keras.

    Args:
        name: of the function there, e.g. ``"VGG16"``.
        weights: ``"imagenet"``, or ``None`` for random ones.
        **options: other arguments of that function, e.g. ``include_top=False``.

    Raises:
        RuntimeError: if the weights cannot be downloaded.

    Example:
        >>> classifier("MobileNetV2", None, include_top=False).output_shape
        (None, None, None, 1280)
    """
    try:
        return getattr(keras.applications, name)(weights=weights, **options)
    except Exception as error:
        raise RuntimeError(
            f"Keras could not get the ImageNet weights of {name}, which it downloads on first use. "
            "Connect to the network, or put the file where Keras looks for it "
            f"(~/.keras/models), or use weights=None. Keras said: {error}"
        ) from error
