"""Put a CRF behind a finished segmentation model."""

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from crfrnn import checks
from crfrnn.checks import Choice, Flag
from crfrnn.layers.crf_rnn import CRFRNN
from crfrnn.layers.ending import ending
from crfrnn.layers.match_size import MatchSize

OUTPUTS = ("logits", "probabilities")


@checks.door(output=Choice(OUTPUTS), from_logits=Flag(optional=True))
def attach(
    model: keras.Model,
    *,
    from_logits: bool | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    output: str = "logits",
    **crf_arguments: Any,
) -> keras.Model:
    """The model with a CRF behind it, sharing the model's weights.

    Two things to know. theta_beta is in the units of the image that the model is given: its
    default, 3, is for images 0..255 and sees no edge in one in 0..1 (`crfrnn.first_guess` proposes
    thetas). And the new model returns logits even where the given one returns probabilities: a loss
    for it has `from_logits=True`, or say `output="probabilities"`.

    The CRF works on logits. A final softmax (or sigmoid, of a single channel) is therefore found
    and left out: in an activation layer or operation, in the `activation` argument of the last
    layer, inside models used as layers, and before what only moves values (Reshape, Cropping,
    Dropout, nearest UpSampling, ...). Behind it, whatever else keeps probabilities (linear
    interpolation, ...) stays, and the CRF takes the logarithm. The given model is not changed,
    nothing is retrained.

    Args:
        model: any Keras model with one input, an image (B, *S, K), and one output (B, *S', L), also
            in a list or dict of one, channels last; S is (H, W), (D, H, W) or (N,). Logits of
            another size than the image are brought to it by linear interpolation along each axis,
            with pixel centres at half integers and edges repeated (that of
            `keras.ops.image.resize` for enlarging).
        from_logits: None looks for a final activation and, if there is none, takes the output for
            logits. True takes the output for logits as it is, False for probabilities. A subclassed
            model hides its activation, and some layers change probabilities: there it must be True
            or False.
        input_shape: (*S, K) without the batch, None for free sizes. Needed for models that do not
            know their input: subclassed, or Sequential without an Input.
        output: "logits", or "probabilities": a softmax (or sigmoid) is put behind the CRF, so that
            losses and code made for the probabilities of the given model go on to fit.
        **crf_arguments: arguments of `CRFRNN`.

    Returns:
        keras.Model image -> refined logits (or probabilities) (B, *S, L), in a dict of one if the
        given model returns a dict, so that losses and labels by name go on to fit.

    Raises:
        ValueError: several inputs or outputs, channels first, several sigmoid labels, an output
            without the image's axes or of which cannot be told what it is, a missing argument.

    Warns:
        UserWarning: `theta_beta` is not given; and later, when the new model is compiled with a
            loss that expects probabilities although it returns logits.

    Example:

    >>> last = keras.layers.Conv2D(2, 3, padding="same", activation="softmax")
    >>> network = keras.Sequential([keras.Input((None, None, 1)), last])
    >>> refined = attach(network, theta_alpha=40.0, theta_beta=13.0)
    >>> refined.output.shape
    (None, None, None, 2)
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"Expected `model` to be a Keras model. Received {type(model).__name__}. Behind a "
            "module of PyTorch call crfrnn.torch.CRFRNN; behind other functions the CRFRNN layer."
        )
    if "theta_beta" not in crf_arguments:
        warnings.warn(
            "attach without theta_beta: the CRF takes 3, which is for images 0..255 and sees no "
            "edge in an image 0..1. Pass theta_beta in the units of the image that the model is "
            "given; `crfrnn.first_guess` proposes one.",
            stacklevel=2,
        )
    image = _image_of(model, input_shape)
    returned = model(image)
    scores = _only_tensor(returned)
    if len(scores.shape) != len(image.shape):
        raise ValueError(
            "Expected a segmentation model, image (B, *S, K) to labels (B, *S', L). Received a "
            f"model from shape {image.shape} to shape {scores.shape}."
        )
    if from_logits is None:
        scores, from_logits = ending(scores)
    if None in scores.shape[1:-1] or scores.shape[1:-1] != image.shape[1:-1]:
        scores = MatchSize(name="match_size")([scores, image])
    refined = CRFRNN(from_logits=from_logits, **crf_arguments)([scores, image])
    if output == "probabilities":
        kind = "sigmoid" if refined.shape[-1] == 1 else "softmax"
        refined = keras.layers.Activation(kind, dtype="float32", name="probabilities")(refined)
    if isinstance(returned, dict):
        refined = dict.fromkeys(returned, refined)
    return (ModelOfLogits if output == "logits" else keras.Model)(image, refined)


@keras.saving.register_keras_serializable(package="crfrnn")
class ModelOfLogits(keras.Model):
    """A model with a CRF behind it; it warns when it is compiled with a loss on probabilities."""

    def compile(self, *args: Any, **kwargs: Any) -> None:
        super().compile(*args, **kwargs)
        for loss in keras.tree.flatten(self.loss):
            if loss is not None and _on_probabilities(loss):
                warnings.warn(
                    f"The loss {loss!r} expects probabilities, but this model returns logits, as a "
                    "CRF does. Give the loss from_logits=True, or make the model with "
                    'crfrnn.attach(..., output="probabilities").',
                    stacklevel=2,
                )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras does this itself only for models whose `compile` is its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)


def _on_probabilities(loss: Any) -> bool:
    """Whether a loss of Keras has `from_logits` and it is False; of others it is not known."""
    loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        return loss.get_config().get("from_logits") is False
    try:
        argument = inspect.signature(loss).parameters.get("from_logits")
    except (TypeError, ValueError):  # not a Python function
        return False
    return argument is not None and argument.default is False


def _only_tensor(output: Any) -> Any:
    """The tensor that a model returns, also in a list or dict of one."""
    tensors = keras.tree.flatten(output)
    if len(tensors) != 1 or not isinstance(tensors[0], keras.KerasTensor):
        raise ValueError(
            f"Expected a model with one output. Received {output}. Select one with "
            "keras.Model(inputs, outputs), or use the CRFRNN layer directly."
        )
    return tensors[0]


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
