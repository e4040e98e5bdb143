"""The kinds of models of the comparison; an optimizer that gives the CRF a rate of its own."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

import crfrnn
import unet
from crfrnn.layers.monitor import crf_parameters
from crfrnn.meanfield.parameters import NAMES
from experiments.config import Config
from experiments.train import references
from experiments.train.inputs import VOID
from unet.losses import CrossEntropyAndDice, SoftDice

LOSSES = {
    "cross_entropy": functools.partial(CrossEntropyAndDice, dice_weight=0.0),
    "cross_entropy+dice": CrossEntropyAndDice,
    # What a joint training has on unaries and output together: the control for its loss.
    "cross_entropy+2dice": functools.partial(CrossEntropyAndDice, dice_weight=2.0),
    "dice": SoftDice,
}


def front_end(config: Config, num_channels: int, num_labels: int) -> keras.Model:
    """The network: images (B, *S, K) of any size to unaries (B, *S, L)."""
    taken = unet.options(config.network)
    options = {
        # Of networks of other widths the same share, so that none is thinner than the others.
        "width": max(config.width * taken["width"] // 64, 1),
        "depth": config.depth if config.network == "unet" else config.resnet_depth,
        "output_stride": config.output_stride,
        "normalization": config.normalization,
        "dropout": config.dropout,
    }
    if options["depth"] is None:
        del options["depth"]
    options = {name: value for name, value in options.items() if name in taken}
    shape = (*(None,) * (3 if config.volumes else 2), num_channels)
    network = unet.build(config.network, shape, num_labels, **options)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Keras's 0.99 lets the running means lag some hundred updates behind, which is all
            # there are in a short run; 0.9 is PyTorch's default.
            layer.momentum = 0.9
    return network


def freeze(network: keras.Model) -> None:
    """Keep a network as it is while a head behind it trains: its weights, and its predictions."""
    network.trainable = False
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # it has no weights, so `trainable` leaves it on


def with_head(
    network: keras.Model,
    config: Config,
    head: str | None,
    crf: Mapping[str, Any] | None,
    projection: references.Projection | None = None,
) -> keras.Model:
    """A network with what follows it: a CRF, a calibration, an energy, or nothing.

    Args:
        network: images (B, *S, K) to unaries (B, *S, L); shared with the new model, not copied.
        config: of the CRF.
        head: "crf", a CRFRNN layer; "affine", a matrix and a bias on the logits; None.
        crf: start values for the five parameters.
        projection: start values of what makes a reference of features.

    Returns:
        The network itself if nothing follows it. Else a model from ``{"image", "reference"}``, both
        (B, *S, K), to ``{"unaries"}`` and, where asked for, ``"refined"`` (the head's) and
        ``"energy"`` (once more the unaries, for ``config.energy_weight``), all logits (B, *S, L).
        The reference is what a CRF compares, or by ``config.reference`` a part of it, or none.
    """
    if head is None and not config.energy_weight:
        return network
    image = keras.Input(network.input_shape[1:], name="image")
    reference = keras.Input(network.input_shape[1:], name="reference")
    compared, outputs = reference, {}
    if head == "crf" and config.reference == "features":
        outputs["unaries"], seen = references.seeing(network)(image)
        compared = references.embedded(seen, reference, projection, config.learn_reference)
    else:
        outputs["unaries"] = network(image)
    if head == "crf" and config.reference == "image+probabilities":
        compared = ops.concatenate([reference, ops.softmax(outputs["unaries"])], axis=-1)
    if head == "affine":
        labels = network.output_shape[-1]
        layer = keras.layers.Dense(labels, kernel_initializer="identity", name="head")
        outputs["refined"] = layer(outputs["unaries"])
    elif head == "crf":
        layer = _crf(config, crf)
        outputs["refined"] = layer([outputs["unaries"], compared])
        _restrict(layer, config)
    if config.energy_weight:
        outputs["energy"] = keras.layers.Identity(name="energy")(outputs["unaries"])
    return keras.Model({"image": image, "reference": reference}, outputs)


def _crf(config: Config, crf: Mapping[str, Any]) -> crfrnn.CRFRNN:
    without = {"spatial": "bilateral_weight", "bilateral": "spatial_weight"}.get(config.kernels)
    return crfrnn.CRFRNN(
        config.crf_train_iterations,
        config.crf_test_iterations,
        kernel_weights=config.kernel_weights,
        trainable_thetas=config.trainable_thetas,
        method=config.crf_method,
        window=config.crf_window,
        image_gradient=config.learn_reference,
        name="head",
        **{name: 0.0 if name == without else crf[name] for name in NAMES},
    )


def _restrict(layer: crfrnn.CRFRNN, config: Config) -> None:
    """Keep what is not to be learned."""
    if config.kernels == "spatial":
        layer.bilateral_weights.trainable = False
    elif config.kernels == "bilateral":
        layer.spatial_weights.trainable = False
    matrix = layer.compatibility_matrix
    if config.compatibility == "fixed":
        matrix.trainable = False
    elif config.compatibility == "symmetric":
        matrix.constraint = lambda mu: (mu + ops.transpose(mu)) / 2  # applied after each update


def compile(
    model: keras.Model,
    config: Config,
    loss: str,
    steps: int,
    peak_rate: float,
    crf: Mapping[str, Any] | None = None,
    *,
    background: bool = True,
) -> None:
    """Compile for training.

    The head's output gets Dice alone unless the configuration says otherwise: cross-entropy there
    would punish the over-confidence of mean field, which shrinks the CRF's weights until it does
    nothing, and the network would take over its work.

    Args:
        model: of ``front_end`` or ``with_head``.
        config: rates and weights.
        loss: one of LOSSES, of the unaries.
        steps, peak_rate: updates in all, learning rate; a head has ``config.crf_learning_rate``.
        crf: bandwidths of the energy.
        background: whether label 0 is a background, which no Dice counts.
    """
    warmup = min(config.warmup_steps, steps // 2)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=peak_rate, warmup_steps=warmup
    )
    heads = [layer for layer in model.layers if layer.name == "head"]
    factor = {"layer": heads[0], "factor": config.crf_learning_rate / peak_rate} if heads else {}
    adam = AdamWithFactor if heads else keras.optimizers.Adam
    optimizer = adam(rate, global_clipnorm=config.clip_norm, **factor)
    if not isinstance(model.output, dict):
        model.compile(optimizer, loss=make_loss(loss, background))
        return
    names = {"unaries": loss, "refined": config.refined_loss}
    losses = {output: make_loss(name, background) for output, name in names.items()}
    weights = {"unaries": 1.0, "refined": 1.0, "energy": config.energy_weight}
    if "energy" in model.output:
        bandwidths = {name: crf[name] for name in ("theta_alpha", "theta_beta")}
        how = {"method": config.crf_method, "window": config.crf_window}
        losses["energy"] = crfrnn.DenseCRFLoss(**bandwidths, **how)
    model.compile(
        optimizer,
        loss={name: losses[name] for name in model.output},
        loss_weights={name: weights[name] for name in model.output},
    )


def learned(model: keras.Model) -> dict[str, Any]:
    """Parameters of the CRF in a model, with as many digits as anybody looks at; {} without one."""
    # As float64: of a float32, JSON would have the digits of its nearest float64.
    return {
        name: np.round(np.asarray(value, np.float64), 4).tolist()
        for layer in model.layers
        if isinstance(layer, crfrnn.CRFRNN)
        for name, value in crf_parameters(layer).items()
    }


def make_loss(name: str, background: bool = True) -> keras.losses.Loss:
    """A loss by its name in LOSSES; points labelled VOID do not count, in Dice nor a background."""
    return LOSSES[name](background=not background, ignore_class=VOID)


class AdamWithFactor(keras.optimizers.Adam):
    """Adam with the learning rate of one layer multiplied by a factor.

    Adam's step is proportional to the learning rate (not to the gradient, whose scale cancels), so
    the factor is applied to the step, with what all backends have in common: variables.

    Takes the arguments of ``keras.optimizers.Adam``, but for weight decay; the layer, not its
    variables, which would become the optimizer's own; and the factor.
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
