"""Start one network from the weights of another."""

from __future__ import annotations

import keras


def initialize_from(model: keras.Model, source: keras.Model) -> list[str]:
    """Copy the weights of every layer that both models have, by name and with equal shapes.

    FCN-16s starts from a trained FCN-32s, FCN-8s from FCN-16s; a network for new labels starts
    from one for others, all but its last layer.

    Args:
        model: takes the weights.
        source: gives them; it stays as it is.

    Returns:
        The names of the layers that were copied.

    Raises:
        ValueError: if no layer fits.

    Example:
        >>> import unet
        >>> two, three = (unet.build("unet", (9, 7, 1), n, width=2, depth=1) for n in (2, 3))
        >>> copied = initialize_from(three, two)
        >>> "down0_conv1" in copied, "logits" in copied
        (True, False)
    """
    given = {layer.name: layer for layer in source.layers}
    copied = []
    for layer in model.layers:
        weights = given[layer.name].get_weights() if layer.name in given else []
        if weights and [w.shape for w in weights] == [tuple(w.shape) for w in layer.weights]:
            layer.set_weights(weights)
            copied.append(layer.name)
    if not copied:
        raise ValueError(
            "Nothing to copy. Expected models with at least one layer of the same name and size. "
            f"Received: {model.name!r} and {source.name!r}"
        )
    return copied
