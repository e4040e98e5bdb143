"""Put a CRF behind a finished segmentation model."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from crfrnn.layers.crf_rnn import CRFRNN


def attach(
    model: keras.Model,
    *,
    from_logits: bool | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    **crf_arguments: Any,
) -> keras.Model:
    """The model with a CRF behind it, sharing the model's weights.

    The CRF works on logits. A final softmax (or sigmoid, of a single channel) is therefore found
    and left out: in an activation layer or operation, in the `activation` argument of the last
    layer, and inside models used as layers. The given model is not changed, nothing is retrained.

    Args:
        model: any Keras model with one input, an image (B, *S, K), and one output (B, *S', L),
            channels last; S is (H, W), (D, H, W) or (N,). Logits of another size than the image are
            brought to it by linear interpolation along each axis, with pixel centres at half
            integers and edges repeated (that of `keras.ops.image.resize` for enlarging).
        from_logits: None looks for a final activation and, if there is none, takes the output for
            logits. True takes the output for logits as it is, False for probabilities. A subclassed
            model hides its activation: there it must be True or False.
        input_shape: (*S, K) without the batch, None for free sizes. Needed for models that do not
            know their input: subclassed, or Sequential without an Input.
        **crf_arguments: arguments of `CRFRNN`. The CRF sees the image that the model is given:
            theta_beta is in its units.

    Returns:
        keras.Model image -> refined logits (B, *S, L).

    Raises:
        ValueError: several inputs or outputs, channels first, several sigmoid labels, an output
            without the image's axes, or a missing argument.

    Example:

    >>> last = keras.layers.Conv2D(2, 3, padding="same", activation="softmax")
    >>> network = keras.Sequential([keras.Input((None, None, 1)), last])
    >>> refined = attach(network, theta_alpha=40.0, theta_beta=13.0)
    >>> refined.output.shape
    (None, None, None, 2)
    """
    image = _image_of(model, input_shape)
    output = model(image)
    if not isinstance(output, keras.KerasTensor):
        raise ValueError(
            f"Expected a model with one output. Received {output}. Select one with "
            "keras.Model(inputs, outputs), or use the CRFRNN layer directly."
        )
    unaries = _logits_of(output) if from_logits is None else output
    if len(unaries.shape) != len(image.shape):
        raise ValueError(
            "Expected a segmentation model, image (B, *S, K) to labels (B, *S', L). Received a "
            f"model from shape {image.shape} to shape {unaries.shape}."
        )
    if None in unaries.shape[1:-1] or unaries.shape[1:-1] != image.shape[1:-1]:
        unaries = MatchSize(name="match_size")([unaries, image])
    crf = CRFRNN(from_logits=from_logits is not False, **crf_arguments)
    return keras.Model(image, crf([unaries, image]))


def _image_of(model: keras.Model, input_shape: Any) -> Any:
    """A new symbolic input for the model."""
    if any(getattr(layer, "data_format", None) == "channels_first" for layer in _layers(model)):
        raise ValueError(
            "Expected a model with channels last. Received one with channels-first layers. Build "
            'it with data_format="channels_last"; its weights have the same shapes.'
        )
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) > 1:
        raise ValueError(
            f"Expected a model with one input, the image. Received {len(inputs)} inputs. Use the "
            "CRFRNN layer directly: CRFRNN(...)([unaries, image])."
        )
    if input_shape is None and not inputs:
        raise ValueError(
            f"Expected `input_shape`, (*S, K), because this {type(model).__name__} does not know "
            "its input. Received None. Pass for example input_shape=(None, None, 3)."
        )
    dtype = inputs[0].dtype if inputs else None
    return keras.Input(inputs[0].shape[1:] if input_shape is None else input_shape, dtype=dtype)


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


def _logits_of(output: Any) -> Any:
    """The tensor before the activation that made `output`, or `output` if no activation did."""
    operation, node, _ = output._keras_history
    sources = operation._inbound_nodes[node].input_tensors
    if isinstance(operation, keras.Model):
        if not getattr(operation, "outputs", None):
            raise ValueError(
                f"Expected `from_logits` for {type(operation).__name__}: whether a subclassed "
                "model ends in a softmax cannot be seen. Received None. Pass True if its output "
                "is logits, False if it is probabilities."
            )
        inner = operation.outputs[0]
        logits = _logits_of(inner)
        return output if logits is inner else keras.Model(operation.inputs, logits)(sources[0])

    # Keras has the softmax as layer, as operation (keras.ops.softmax) and as activation function.
    activation = getattr(operation, "activation", operation)
    kind = getattr(activation, "__name__", type(activation).__name__).lower()
    alone = activation is operation or isinstance(operation, keras.layers.Activation)
    if kind == "linear" and alone:
        return _logits_of(sources[0])  # often last, as a cast to float32
    if kind not in ("softmax", "sigmoid"):
        return output
    if (kind == "sigmoid") != (output.shape[-1] == 1):
        raise ValueError(
            "Expected a softmax over several labels, or a sigmoid of one channel: in a CRF the "
            f"labels exclude each other. Received a {kind} of {output.shape[-1]} channels."
        )
    if getattr(activation, "axis", -1) not in (-1, len(output.shape) - 1):
        raise ValueError(
            "Expected a softmax over the last axis (channels last). "
            f"Received a softmax over axis {activation.axis}."
        )
    return sources[0] if alone else WithoutActivation(operation)(sources[0])


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
    def from_config(cls, config: dict[str, Any]) -> "WithoutActivation":
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})


@keras.saving.register_keras_serializable(package="crfrnn")
class MatchSize(keras.layers.Layer):
    """Brings unaries to the size of an image by linear interpolation along each axis.

    Call arguments:
        inputs: list of unaries (B, *S', L) and image (B, *S, K).

    Output shape:
        (B, *S, L), in the dtype of the unaries.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def call(self, inputs: Any) -> Any:
        unaries, image = inputs
        sizes = list(zip(ops.shape(unaries)[1:-1], ops.shape(image)[1:-1], strict=True))
        if all(isinstance(size, int) for pair in sizes for size in pair):
            same = all(old == new for old, new in sizes)
            return unaries if same else _resize(unaries, sizes)
        same = ops.all(ops.stack([ops.equal(old, new) for old, new in sizes]))
        return ops.cond(same, lambda: unaries, lambda: _resize(unaries, sizes))

    def compute_output_shape(self, input_shape: Any) -> Any:
        unaries, image = input_shape
        return (*image[:-1], unaries[-1])

    def compute_output_spec(self, inputs: Any) -> Any:
        shape = self.compute_output_shape([tensor.shape for tensor in inputs])
        return keras.KerasTensor(shape, dtype=inputs[0].dtype)


def _resize(x: Any, sizes: list[tuple[Any, Any]]) -> Any:
    """Linear interpolation of x (B, *S', L) along each axis; sizes: (old, new) of each axis."""
    for axis, (old, new) in enumerate(sizes, start=1):
        scale = ops.cast(old, "float32") / ops.cast(new, "float32")
        # Where the new points lie on the old axis: centres of pixels are at half integers.
        place = (ops.arange(new, dtype="float32") + 0.5) * scale - 0.5  # (new,)
        place = ops.clip(place, 0.0, ops.cast(old - 1, "float32"))
        distance = ops.abs(place[:, None] - ops.arange(old, dtype="float32"))  # (new, old)
        hat = ops.cast(ops.maximum(1.0 - distance, 0.0), x.dtype)
        x = ops.moveaxis(ops.tensordot(x, hat, axes=[[axis], [1]]), -1, axis)
    return x
