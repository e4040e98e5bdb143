"""From a trained model to the logits of every case."""

from __future__ import annotations

import dataclasses
import itertools
import weakref
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from experiments.train import tiles
from experiments.train.inputs import Slices, log

# Of each model, the shapes of the images that it last predicted.
_last_shapes: weakref.WeakKeyDictionary[keras.Model, Any] = weakref.WeakKeyDictionary()


def model_input(model: keras.Model, slices: Slices, chosen: Any = slice(None)) -> Any:
    """What a model takes of the chosen slices: the image, or image and reference for a CRF."""
    inputs = {"image": slices.images[chosen], "reference": slices.references[chosen]}
    return inputs if isinstance(model.input, dict) else inputs["image"]


def predict(model: keras.Model, slices: Slices, batch_size: int) -> dict[str, list[np.ndarray]]:
    """Logits of every case: "unaries", and with a head "refined", (slices, *s, L) per case."""
    named = _outputs(model, slices, batch_size)
    # "energy" is the unaries once more.
    kept = (name for name in ("unaries", "refined") if name in named)
    return {name: slices.per_case(named[name]) for name in kept}


def predict_mirrored(model: keras.Model, slices: Slices, batch_size: int) -> list[np.ndarray]:
    """Logits (slices, *s, L) per case of the mean probability over all mirrorings of a slice.

    Of a model with a head, those of its refined output.
    """
    total, axes = None, range(1, slices.labels.ndim)
    mirrorings = [m for number in (0, *axes) for m in itertools.combinations(axes, number)]
    for mirrored in mirrorings:
        named = _outputs(model, slices, batch_size, mirrored)
        probabilities = softmax(named.get("refined", named["unaries"]), axis=-1)
        total = probabilities if total is None else total + probabilities
    return slices.per_case(log(total / len(mirrorings)))


def _outputs(
    model: keras.Model, slices: Slices, batch_size: int, mirrored: tuple[int, ...] = ()
) -> dict[str, np.ndarray]:
    """What a model says of the slices (B, *S, ...), or of their mirror images, mirrored back."""
    whole: dict[str, np.ndarray] = {}
    for size, chosen in slices.alike():
        fits = not slices.tile or max(size) <= slices.tile
        here = (chosen, *map(slice, size))
        of_one_size = _of_one_size if fits else _in_tiles
        images, references = (
            np.flip(array[here], mirrored) for array in (slices.images, slices.references)
        )
        part = dataclasses.replace(slices, images=images, references=references)
        for name, value in of_one_size(model, part, batch_size).items():
            shape = (*slices.labels.shape, value.shape[-1])
            filled = whole.setdefault(name, np.zeros(shape, value.dtype))
            filled[here] = np.flip(value, mirrored)
    return whole


def _in_tiles(model: keras.Model, slices: Slices, batch_size: int) -> dict[str, np.ndarray]:
    """The network sees tiles; a head, whose kernels may reach further, sees what they make."""
    network = model
    if isinstance(model.output, dict):  # of `models.with_head`
        network = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    head = next((layer for layer in model.layers if layer.name == "head"), None)

    def probabilities(images: np.ndarray) -> np.ndarray:
        part = dataclasses.replace(slices, images=images)
        return softmax(_of_one_size(network, part, batch_size)["unaries"], axis=-1)

    unaries = log(tiles.blended(probabilities, slices.images, slices.tile))
    if head is None:
        return {"unaries": unaries}
    refined = []
    for start in range(0, len(unaries), batch_size):
        batch = slice(start, start + batch_size)
        both = [unaries[batch], slices.references[batch]]
        given = both if isinstance(head.input, list) else both[0]
        refined.append(keras.ops.convert_to_numpy(head(given, training=False)))
    return {"unaries": unaries, "refined": np.concatenate(refined)}


def _of_one_size(model: keras.Model, slices: Slices, batch_size: int) -> dict[str, np.ndarray]:
    inputs, number = model_input(model, slices), len(slices.images)
    # TensorFlow keeps one function for all shapes that a model has seen, and the more these are the
    # more general it is: last bits change. A resumed run has not seen the shapes of its first part.
    shapes = (slices.images.shape[1:], min(number, batch_size), number % batch_size > 0)
    if _last_shapes.setdefault(model, shapes) != shapes:
        model.predict_function = None  # Keras makes another
        _last_shapes[model] = shapes
    outputs = model.predict(inputs, batch_size=batch_size, verbose=0)
    named = outputs if isinstance(outputs, dict) else {"unaries": outputs}
    return {name: np.asarray(value) for name, value in named.items()}
