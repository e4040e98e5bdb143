"""Turn a classifier of images into a network that scores every position of larger images."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

_CONVOLUTION = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
_POOLING = {
    **{getattr(layers, f"GlobalAveragePooling{n}D"): f"AveragePooling{n}D" for n in (1, 2, 3)},
    **{getattr(layers, f"GlobalMaxPooling{n}D"): f"MaxPooling{n}D" for n in (1, 2, 3)},
}

# What works on each position of a feature map as it does on the flat features of one image.
_POINTWISE = (
    layers.Activation,
    layers.AlphaDropout,
    layers.BatchNormalization,
    layers.Dropout,
    layers.ELU,
    layers.Identity,
    layers.LayerNormalization,
    layers.LeakyReLU,
    layers.ReLU,
    layers.Softmax,
)


# Those of them for which the features of one position are not independent of each other, or have
# weights of their own.
_OVER_FEATURES = (layers.BatchNormalization, layers.LayerNormalization, layers.Softmax)
_SOFTMAX = (keras.activations.softmax, keras.activations.log_softmax)


def convolutionalize(classifier: keras.Model) -> keras.Model:
    """Build the fully convolutional twin of a classifier.

    The first ``Dense`` layer after ``Flatten`` becomes a convolution over the window that the
    classifier saw (7 x 7 positions for VGG16), the others become 1 x 1 convolutions. Global pooling
    becomes pooling over that window with stride 1. Weights are copied.

    On an image of the classifier's own size the twin gives the classifier's scores at a single
    position; on a larger one, a map of scores, one for each place of the window: 6 x 6 for 384
    pixels with a stride of 32. Note that a classifier whose convolutions pad with zeros sees real
    pixels there instead when it is part of a larger image.

    Args:
        classifier: a ``keras.Sequential`` or functional model, built, with one input of known size
            ``(B, *S, K)``, channels last, and one output. Somewhere it has ``Flatten`` or global
            pooling; after that, a chain of ``Dense``, dropout, activations and (not before the
            first ``Dense`` after ``Flatten``) normalisation.

    Returns:
        A ``keras.Model`` from images ``(B, *R, K)``, R >= S, to scores ``(B, *P, L)``: logits or
        probabilities as the classifier gives them.

    Raises:
        ValueError: if the classifier has another form; the message names the layer.

    Reference:
        - [Fully Convolutional Networks for Semantic Segmentation](
          https://arxiv.org/abs/1411.4038), section 3.1

    Example:
        >>> classifier = keras.Sequential([
        ...     keras.Input((8, 8, 3)),
        ...     layers.Conv2D(4, 3, strides=2, padding="same"),
        ...     layers.Flatten(),
        ...     layers.Dense(10),
        ... ])
        >>> twin = convolutionalize(classifier)
        >>> image = keras.ops.ones((1, 12, 16, 3))
        >>> twin(image).shape == (1, 3, 5, 10)
        True
    """
    collapse = _last_collapse(classifier)
    chain = classifier.layers[classifier.layers.index(collapse) + 1 :]
    after = {layer.name for layer in chain}
    _check_chain(collapse, chain)
    _, *window, _ = collapse.input.shape
    rank = len(window)
    dense = [layer for layer in chain if isinstance(layer, layers.Dense)]
    # Pooled features have one position per window already; flat ones must be put back in place.
    windows: dict[str, int | tuple[int, ...]] = {layer.name: 1 for layer in dense}
    if isinstance(collapse, layers.Flatten) and dense:
        windows[dense[0].name] = tuple(window)

    def twin_of(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, layers.Flatten):
            return layers.Identity(name=layer.name)
        if layer is collapse:
            pooling = getattr(layers, _POOLING[type(layer)])
            return pooling(tuple(window), strides=1, padding="valid", name=layer.name)
        if layer.name in windows:
            return _CONVOLUTION[rank](
                layer.units,
                windows[layer.name],
                activation=layer.activation,
                use_bias=layer.use_bias,
                dtype=layer.dtype_policy,
                name=layer.name,
            )
        if isinstance(layer, keras.Model):  # a backbone used as one layer
            return _of_any_size(layer)
        config = layer.get_config()
        if layer.name in after and "axis" in config:
            config["axis"] = -1  # of flat features the only one, which may be called 1, too
        return layer.__class__.from_config(config)

    twin = keras.models.clone_model(
        classifier, input_tensors=_any_size_input(classifier), clone_function=twin_of
    )
    for old in classifier.layers:
        if old.weights:
            new = twin.get_layer(old.name)
            # Flatten runs over rows, columns, channels: the order of a convolution's kernel.
            new.set_weights(
                [
                    value.reshape(variable.shape)
                    for value, variable in zip(old.get_weights(), new.weights, strict=True)
                ]
            )
    return twin


def _any_size_input(model: keras.Model) -> Any:
    _, *sizes, channels = model.inputs[0].shape
    return keras.Input((*[None] * len(sizes), channels), dtype=model.inputs[0].dtype)


def _of_any_size(model: keras.Model) -> keras.Model:
    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.Model):
            return _of_any_size(layer)
        return layer.__class__.from_config(layer.get_config())

    cloned = keras.models.clone_model(
        model, input_tensors=_any_size_input(model), clone_function=clone
    )
    cloned.name = model.name
    return cloned


def _last_collapse(classifier: keras.Model) -> keras.layers.Layer:
    """The layer that ends the feature map."""
    inputs = getattr(classifier, "inputs", None)
    if not inputs or len(inputs) != 1 or len(classifier.outputs) != 1:
        raise ValueError(
            "Expected a built Sequential or functional classifier with one input and one output. "
            f"Received: {classifier!r}"
        )
    found = [
        layer
        for layer in classifier.layers
        if isinstance(layer, layers.Flatten) or type(layer) in _POOLING
    ]
    if not found:
        raise ValueError(
            "Expected a classifier with Flatten or global pooling and Dense layers after it. "
            f"Received layers: {', '.join(layer.name for layer in classifier.layers)}"
        )
    collapse = found[-1]
    # Flatten after pooling changes nothing: the map ended there.
    for layer in reversed(classifier.layers[: classifier.layers.index(collapse)]):
        if type(layer) in _POOLING:
            collapse = layer
        elif not isinstance(layer, (layers.Flatten, *_POINTWISE)):
            break
    if None in collapse.input.shape[1:]:
        raise ValueError(
            "Expected a classifier for images of one size, which gives the window. Received: "
            f"input shape {tuple(classifier.inputs[0].shape)}"
        )
    for layer in classifier.layers:
        if getattr(layer, "data_format", None) == "channels_first":
            raise ValueError(f"Expected channels last. Received: channels first at {layer.name!r}")
    return collapse


def _check_chain(collapse: keras.layers.Layer, chain: list[keras.layers.Layer]) -> None:
    for layer in chain:
        if not isinstance(layer, (layers.Dense, layers.Flatten, *_POINTWISE)):
            raise ValueError(
                "Expected only Dense, dropout, activations and normalisation after "
                f"{collapse.name!r}. Received: {layer.name!r}, a {type(layer).__name__}"
            )
    if not isinstance(collapse, layers.Flatten):
        return
    for layer in chain:
        if isinstance(layer, layers.Dense):
            return
        if isinstance(layer, _OVER_FEATURES) or getattr(layer, "activation", None) in _SOFTMAX:
            raise ValueError(
                f"Expected Dense as the first layer after {collapse.name!r} that does not work on "
                f"each number by itself. Received: {layer.name!r}, a {type(layer).__name__}"
            )
    raise ValueError(f"Expected a Dense layer after {collapse.name!r}. Received: none")
