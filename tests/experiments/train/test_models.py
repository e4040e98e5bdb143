"""The optimizer's factor for one layer, against Adam's formula; what models are made of."""

import typing

import keras
import numpy as np

from experiments import config
from experiments.config import Config
from experiments.train import models
from tests.tolerances import FLOAT32, assert_close


def test_only_the_layers_learning_rate_is_multiplied():
    # Adam's first step is the learning rate times the gradient's sign, whatever its size.
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(1, name="crf")(keras.layers.Dense(2)(x)))
    model.compile(
        models.AdamWithFactor(0.01, layer=model.get_layer("crf"), factor=7.0, epsilon=1e-12),
        loss="mse",
    )
    before = [w.copy() for w in model.get_weights()]
    model.train_on_batch(np.ones((4, 3), "float32"), np.full((4, 1), 9, "float32"))
    steps = [np.abs(new - old) for new, old in zip(model.get_weights(), before, strict=True)]
    for step, expected in zip(steps, (0.01, 0.01, 0.07, 0.07), strict=True):
        # Measured 2e-5: the step is the difference of weights a hundred times larger.
        assert_close(step, np.full_like(step, expected), 10 * FLOAT32)


def test_networks_take_of_the_settings_what_they_have():
    def width(network, layer):
        config = Config(network=network, width=16, resnet_depth=34)
        return models.front_end(config, 1, 2).get_layer(layer).output.shape[-1]

    # A quarter of the papers' widths.
    assert width("unet", "down0_conv1") == 64 // 4
    assert width("patch_cnn", "conv1") == 48 // 4
    assert width("liteseg", "pyramid0") == 96 // 4
    assert "enlarge" in {
        layer.name for layer in models.front_end(Config(output_stride=4), 1, 2).layers
    }
    assert width("pspnet", "conv3_block4_out") == 128 // 4  # four blocks, 128 channels: ResNet-34


def test_an_energy_has_the_method_of_the_crf():
    config = Config(energy_weight=1.0, crf_method="local", crf_window=5, width=2, depth=1)
    model = models.with_head(models.front_end(config, 1, 2), config, None, None)
    models.compile(model, config, "cross_entropy", 4, 1e-3, {"theta_alpha": 2.0, "theta_beta": 0.1})
    energy = model.loss["energy"]
    assert (energy.method, energy.window) == ("local", 5)


def test_the_optimizer_keeps_no_variables_of_the_layer():
    # They would be saved twice, and JAX refuses to donate one buffer twice.
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(1, name="crf")(x))
    optimizer = models.AdamWithFactor(0.01, layer=model.get_layer("crf"), factor=7.0)
    optimizer.build(model.trainable_variables)
    own = {id(variable) for variable in model.variables}
    assert not own & {id(variable) for variable in optimizer.variables}


def test_the_losses_a_configuration_may_name_are_those_there_are():
    for key in ("pretrain_loss", "loss", "refined_loss"):
        assert set(typing.get_args(config.HINTS[key])) == models.LOSSES.keys()


def test_without_background_label_0_has_its_part_in_every_dice():
    labels = np.array([[[0, 0, 1, 255]]])
    logits = np.array([[[[2.0, 0.0], [1.0, 0.5], [0.0, 1.0], [9.0, 0.0]]]], "float32")
    q = np.exp(logits[0, 0, :3]) / np.exp(logits[0, 0, :3]).sum(-1, keepdims=True)
    # Of label 0 two points, of label 1 one, and the probabilities of the three points.
    dice = [
        1 - 2 * q[:2, 0].sum() / (2 + q[:, 0].sum()),
        1 - 2 * q[2, 1] / (1 + q[:, 1].sum()),
    ]
    cross_entropy = -np.log([q[0, 0], q[1, 0], q[2, 1]]).mean()
    for name, weight, rest in (
        ("dice", 1, 0),
        ("cross_entropy", 0, cross_entropy),
        ("cross_entropy+dice", 1, cross_entropy),
        ("cross_entropy+2dice", 2, cross_entropy),
    ):
        for background, part in ((True, dice[1]), (False, np.mean(dice))):
            value = models.make_loss(name, background)(labels, logits)
            expected = np.float64(rest + weight * part)
            assert_close(keras.ops.convert_to_numpy(value), expected, 10 * FLOAT32)


def test_a_frozen_network_drops_nothing_out_while_its_head_trains():
    settings = Config(width=4, depth=1, dropout=0.9)
    image = np.random.default_rng(0).random((1, 8, 12, 1)).astype("float32")
    given = {"image": image, "reference": image}
    for frozen in (True, False):
        network = models.front_end(settings, 1, 2)
        if frozen:
            models.freeze(network)
        model = models.with_head(network, settings, "affine", None)
        training, testing = (
            keras.ops.convert_to_numpy(model(given, training=mode)["unaries"])
            for mode in (True, False)
        )
        assert np.array_equal(training, testing) == frozen
