"""What a finished model ends in: logits, probabilities, or something that nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

# Sizes that a model leaves open, when an operation is tried on numbers.
_TRIED_SIZE = 32
# Rounding of float16, in which a model may compute.
_ROUNDING = 1e-2
# Layers with weights that only shift, scale or bend channels: what they make of logits is logits,
# what they make of probabilities is neither.
_BEND = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.PReLU,
)


class Ending(NamedTuple):
    """What a CRF is given of a model: `tensor`, which is logits or else probabilities."""

    tensor: Any
    from_logits: bool


def ending(output: Any) -> Ending:
    """The last logits on the way to a model's output, or its probabilities.

    It goes back from the output to the last softmax (or sigmoid of one channel). What stands behind
    one is tried on made-up numbers. Where it only moves values (Reshape, Cropping, Dropout, nearest
    UpSampling, ...) it is applied to the logits instead; where it keeps probabilities in another
    way (linear interpolation, a mean, ...) the output is taken as probabilities. A layer with
    weights and without one of these activations gives logits.

    Args:
        output: symbolic tensor (B, *S, L) of a model.

    Raises:
        ValueError: it cannot be told; or the activation belongs to no distribution over labels.
    """
    found = _look(output, last=True)
    if found.unknown:
        raise ValueError(
            f"Expected `from_logits`: {found.unknown}, so that it cannot be seen whether the model "
            "returns logits or probabilities. Received None. Pass from_logits=True if its output "
            "is logits, False if it is probabilities."
        )
    if not found.probabilities:
        return Ending(output, True)
    return Ending(output, False) if found.logits is None else Ending(found.logits, True)


class _Found(NamedTuple):
    """What a tensor is: logits, unless it is `probabilities` or for the reason `unknown`."""

    probabilities: bool = False
    logits: Any = None  # of which these are the probabilities, if they can be had
    unknown: str = ""


def _look(output: Any, last: bool = False) -> _Found:
    operation, index, position = output._keras_history
    node = operation._inbound_nodes[index]
    sources = node.input_tensors
    if isinstance(operation, keras.Model):
        found = _inside(operation, position, sources, last)
        return found if found.probabilities or found.unknown else _tried(output, node)

    # Keras has the softmax as layer, as operation (keras.ops.softmax) and as activation function.
    activation = getattr(operation, "activation", operation)
    kind = getattr(activation, "__name__", type(activation).__name__).lower()
    alone = activation is operation or isinstance(operation, keras.layers.Activation)
    if kind == "linear" and alone:
        return _look(sources[0], last)  # often last, as a cast to float32
    if kind not in ("softmax", "sigmoid"):
        return _tried(output, node)
    wrong = _not_over_labels(kind, activation, output)
    if wrong and last:
        raise ValueError(wrong)
    if wrong:
        return _Found(unknown=f"it has a {kind} that is not over the labels before its last layer")
    return _Found(True, sources[0] if alone else WithoutActivation(operation)(sources[0]))


def _not_over_labels(kind: str, activation: Any, output: Any) -> str:
    """Why an activation gives no distribution over labels; empty if it does."""
    if (kind == "sigmoid") != (output.shape[-1] == 1):
        return (
            "Expected a softmax over several labels, or a sigmoid of one channel: in a CRF the "
            f"labels exclude each other. Received a {kind} of {output.shape[-1]} channels."
        )
    if getattr(activation, "axis", -1) not in (-1, len(output.shape) - 1):
        return (
            "Expected a softmax over the last axis (channels last). "
            f"Received a softmax over axis {activation.axis}."
        )
    return ""


def _inside(model: keras.Model, position: int, sources: Any, last: bool) -> _Found:
    """What an output of a model that is used as a layer is, by what is in that model."""
    if not getattr(model, "outputs", None):
        return _Found(unknown=f"{type(model).__name__} is a subclassed model")
    found = _look(model.outputs[position], last)
    if found.logits is None:
        return found
    inner = keras.Model(model.inputs, found.logits)
    return found._replace(logits=inner(sources[0] if len(sources) == 1 else list(sources)))


def _tried(output: Any, node: Any) -> _Found:
    """What an operation without a known activation gives, by what it does to made-up numbers."""
    operation, sources = node.operation, node.input_tensors
    of_keras = type(operation).__module__.partition(".")[0] == "keras"
    name = getattr(operation, "name", type(operation).__name__)
    if not sources:
        return _Found()
    changed = f"{name!r} changes the probabilities that come before it"
    if isinstance(operation, _BEND):
        before = _look(sources[0])
        return _Found(unknown=changed if before.probabilities else before.unknown)
    if of_keras and getattr(operation, "weights", None):
        return _activated(getattr(operation, "activation", None), output, name)
    try:
        run = _runner(output, sources)
        if _gives_probabilities(run, sources):
            return _Found(True)
        found = [_look(source) for source in sources]
        unknown = next((f.unknown for f in found if f.unknown), "")
        if unknown or not any(f.probabilities for f in found):
            return _Found(unknown=unknown)
        if not _keeps_probabilities(run, sources, found):
            return _Found(unknown=changed)
        alone = len(node.arguments.args) == 1 and not any(
            value is not None and key != "training" for key, value in node.arguments.kwargs.items()
        )
        if found[0].logits is None or not alone or not _moves(run, sources):
            return _Found(True)
        return _Found(True, operation(found[0].logits))
    except _Undecided as reason:
        return _Found(unknown=f"{name!r} {reason}")


def _activated(activation: Any, output: Any, name: str) -> _Found:
    """What comes out of a layer with weights, by what its activation does to made-up numbers."""
    if activation in (None, keras.activations.linear):
        return _Found()

    def run(array: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(ops.convert_to_numpy(activation(ops.convert_to_tensor(array))))
        except Exception as error:  # the code of strangers
            raise _Undecided(f"could not be tried ({type(error).__name__})") from error

    try:
        return _Found(_gives_probabilities(run, [output]))
    except _Undecided as reason:
        return _Found(unknown=f"the activation of {name!r} {reason}")


class _Undecided(Exception):
    """What an operation is cannot be told from its numbers."""


def _runner(output: Any, sources: Any) -> Callable[..., np.ndarray]:
    """The operation that makes `output` of `sources`, as a function of arrays."""
    unique = list({id(source): source for source in sources}.values())
    function = keras.Function(unique, output)

    def run(*arrays: np.ndarray) -> np.ndarray:
        given = dict(zip(map(id, sources), arrays, strict=True))
        try:
            result = function([ops.cast(given[id(s)], s.dtype) for s in unique])
            return np.asarray(ops.convert_to_numpy(ops.cast(result, "float32")))
        except Exception as error:  # the code of strangers, on a size that it may not take
            raise _Undecided(f"could not be tried ({type(error).__name__})") from error

    return run


def _numbers(source: Any) -> np.ndarray:
    """Any real numbers, in the shape of a symbolic tensor."""
    _, *shape = source.shape
    sizes = (1, *(size or _TRIED_SIZE for size in shape))
    return np.random.default_rng(len(sizes)).normal(0, 4, sizes).astype("float32")


def _gives_probabilities(run: Callable, sources: Any) -> bool:
    """Whether it makes probabilities of any numbers, as a softmax of the user's own does."""
    given = [_numbers(source) for source in sources]
    result = run(*given)
    if not result.size:
        raise _Undecided("returns nothing from an image of 32 pixels")
    opposite = run(*(-array for array in given)) if result.shape[-1] == 1 else None
    if opposite is not None and _sum_to_one(np.exp(result), np.exp(opposite)):
        raise _Undecided("returns logarithms of the probability of one label")
    if result.min() < 0 or result.max() > 1 + _ROUNDING:
        return False
    if not _sum_to_one(result, opposite):
        raise _Undecided("returns numbers between 0 and 1 that do not sum to 1 over the labels")
    return True


def _keeps_probabilities(run: Callable, sources: Any, found: list[_Found]) -> bool:
    """Whether it makes probabilities of probabilities."""

    def made_up(source: Any, is_probabilities: bool, sign: int) -> np.ndarray:
        numbers = _numbers(source)
        if not is_probabilities:
            return numbers
        if numbers.shape[-1] == 1:  # p, and then 1 - p
            return 1 / (1 + np.exp(-sign * numbers))
        shares = np.exp(numbers)
        return shares / shares.sum(-1, keepdims=True)

    pairs = list(zip(sources, (f.probabilities for f in found), strict=True))
    result = run(*(made_up(*pair, 1) for pair in pairs))
    opposite = run(*(made_up(*pair, -1) for pair in pairs)) if result.shape[-1] == 1 else None
    return result.min() > -_ROUNDING and _sum_to_one(result, opposite)


def _sum_to_one(result: np.ndarray, opposite: np.ndarray | None) -> bool:
    """Over the last axis; one channel, with what it is for the opposite label."""
    sums = result.sum(-1) if opposite is None else result + opposite
    return bool(np.abs(sums - 1).max() < _ROUNDING)


def _moves(run: Callable, sources: Any) -> bool:
    """Whether it moves, copies or leaves out values, and so does the same to any function of them.

    Then softmax(f(x)) = f(softmax(x)).
    """
    if len(sources) != 1:
        return False
    numbers = _numbers(sources[0]) / 4
    return bool(np.allclose(run(np.exp(numbers)), np.exp(run(numbers)), _ROUNDING))


@keras.saving.register_keras_serializable(package="crfrnn")
class WithoutActivation(keras.layers.Layer):
    """A layer without the function in its `activation` argument; it shares the layer's weights.

    Args:
        layer: the layer, e.g. a Conv2D with `activation="softmax"`.

    Input shape, output shape: those of the layer.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**{"name": f"{layer.name}_logits", "dtype": layer.dtype_policy, **kwargs})
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def call(self, inputs: Any) -> Any:
        # The layer itself runs, not a copy: a copy's weights would drift apart in training.
        activation = self.layer.activation
        self.layer.activation = keras.activations.linear
        try:
            return self.layer(inputs)
        finally:
            self.layer.activation = activation

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WithoutActivation:
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})
