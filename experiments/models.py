"""The kinds of models of the comparison; an optimizer that gives the CRF a rate of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

import crfrnn
import unet
from experiments.config import Config
from experiments.inputs import VOID
from unet.losses import CrossEntropyAndDice, SoftDice

CRF_ARGUMENTS = (
    "theta_alpha",
    "theta_beta",
    "theta_gamma",
    "bilateral_weight",
    "spatial_weight",
)


def front_end(config: Config, num_channels: int, num_labels: int) -> keras.Model:
    """The network: images (B, H, W, K) of any size to unaries (B, H, W, L)."""
    taken = unet.options(config.network)
    options = {
        # Of networks of other widths the same share, so that none is thinner than the others.
        "width": max(config.width * taken["width"] // 64, 1),
        "normalization": config.normalization,
        "dropout": config.dropout,
    }
    if config.network == "unet":
        options["depth"] = config.depth
    elif config.resnet_depth:
        options["depth"] = config.resnet_depth
    network = unet.build(
        config.network,
        (None, None, num_channels),
        num_labels,
        **{name: value for name, value in options.items() if name in taken},
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Keras's 0.99 lets the running means lag some hundred updates behind, which is all
            # there are in a short run; 0.9 is PyTorch's default.
            layer.momentum = 0.9
    return network


def with_crf(network: keras.Model, config: Config, crf: Mapping[str, float]) -> keras.Model:
    """A network with a CRFRNN layer behind it.

    Args:
        network: images (B, H, W, K) to unaries (B, H, W, L); shared with the new model, not copied.
        config: iterations and kind of weights.
        crf: start values for CRF_ARGUMENTS.

    Returns:
        A model from ``{"image", "reference"}``, both (B, H, W, K), to ``{"unaries", "refined"}``,
        both logits (B, H, W, L). The reference is what the CRF compares.
    """
    image = keras.Input(network.input_shape[1:], name="image")
    reference = keras.Input(network.input_shape[1:], name="reference")
    unaries = network(image)
    refined = crfrnn.CRFRNN(
        config.crf_train_iterations,
        config.crf_test_iterations,
        kernel_weights=config.kernel_weights,
        name="crf",
        **{name: crf[name] for name in CRF_ARGUMENTS},
    )([unaries, reference])
    return keras.Model(
        {"image": image, "reference": reference}, {"unaries": unaries, "refined": refined}
    )


def compile_front_end(model: keras.Model, config: Config, steps: int, peak_rate: float) -> None:
    """Compile for training the network alone: cross-entropy + Dice."""
    model.compile(
        keras.optimizers.Adam(
            _schedule(config, steps, peak_rate), global_clipnorm=config.clip_norm
        ),
        loss=CrossEntropyAndDice(ignore_class=VOID),
    )


def compile_with_crf(model: keras.Model, config: Config, steps: int, peak_rate: float) -> None:
    """Compile for joint training: cross-entropy + Dice on the unaries, Dice alone on the output.

    Cross-entropy on the refined output would punish the over-confidence of mean field, which
    shrinks the CRF's weights until it does nothing, and the network would take over its work.
    """
    model.compile(
        AdamWithFactor(
            _schedule(config, steps, peak_rate),
            global_clipnorm=config.clip_norm,
            layer=model.get_layer("crf"),
            factor=config.crf_learning_rate / peak_rate,
        ),
        loss={
            "unaries": CrossEntropyAndDice(ignore_class=VOID),
            "refined": SoftDice(ignore_class=VOID),
        },
    )


class AdamWithFactor(keras.optimizers.Adam):
    """Adam with the learning rate of one layer multiplied by a factor.

    Adam's step is proportional to the learning rate (not to the gradient, whose scale cancels), so
    the factor is applied to the step, with what all backends have in common: variables.

    Args:
        learning_rate: of all other layers.
        layer: the one layer. (Its variables, kept here, would become the optimizer's own.)
        factor: for its learning rate.
        **arguments: of ``keras.optimizers.Adam``; no weight decay.
    """

    def __init__(
        self, learning_rate: Any, *, layer: keras.layers.Layer, factor: float, **arguments: Any
    ):
        super().__init__(learning_rate, **arguments)
        self._layer = layer
        self._factor = factor

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        variables = self._layer.trainable_variables
        before = [ops.copy(variable) for variable in variables]
        super().apply(grads, trainable_variables)
        for variable, old in zip(variables, before, strict=True):
            variable.assign(old + self._factor * (variable - old))


def _schedule(config: Config, steps: int, peak_rate: float) -> Any:
    warmup = min(config.warmup_steps, steps // 2)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=steps - warmup,
        warmup_target=peak_rate,
        warmup_steps=warmup,
    )
