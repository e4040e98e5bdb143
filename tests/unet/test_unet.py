"""U-Net: parameter counts of the paper's network, and every size, rank and dtype it promises."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import unet
from tests.tolerances import FLOAT32, assert_close
from unet.crop import CropTo


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def predict(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return model.predict_on_batch(x)


def test_parameters_of_a_small_network():
    # Channels 3 -> 4 -> 4, pooled 4 -> 8 -> 8, up by 2x2 to 4, joined 8 -> 4 -> 4, by 1x1 to 5.
    down0 = (9 * 3 + 1) * 4 + (9 * 4 + 1) * 4
    down1 = (9 * 4 + 1) * 8 + (9 * 8 + 1) * 8
    up0 = (4 * 8 + 1) * 4 + (9 * 8 + 1) * 4 + (9 * 4 + 1) * 4
    model = unet.build("unet", (16, 16, 3), num_labels=5, width=4, depth=1)
    assert model.count_params() == down0 + down1 + up0 + (4 + 1) * 5


def test_batch_normalization_adds_scale_and_shift_of_every_3x3_convolution():
    plain = unet.build("unet", (32, 32, 1), 2, width=4)
    normal = unet.build("unet", (32, 32, 1), 2, width=4, normalization="batch")
    outputs = 2 * (4 + 8 + 16 + 32 + 64) + 2 * (32 + 16 + 8 + 4)
    trainable = sum(np.prod(w.shape) for w in normal.trainable_weights)
    assert trainable - plain.count_params() == 2 * outputs


@pytest.mark.parametrize(
    "shape",
    [(37, 53, 2), (1, 6, 1), (16, 24, 3), (5, 9, 7, 2)],
    ids=str,
)
@pytest.mark.parametrize("known", [True, False], ids=["static", "None"])
def test_logits_have_the_size_of_the_image(shape, known):
    declared = shape if known else (*(None,) * (len(shape) - 1), shape[-1])
    model = unet.build("unet", declared, num_labels=3, width=2, depth=3)
    assert model.output_shape == (None, *declared[:-1], 3)
    assert predict(model, image(2, *shape)).shape == (2, *shape[:-1], 3)


def test_one_model_of_unknown_size_serves_many_sizes():
    model = unet.build("unet", (None, None, 1), num_labels=2, width=2, depth=2)
    for height, width in [(4, 8), (5, 3), (17, 9)]:
        x = image(2, height, width, 1)
        y = predict(model, x)
        assert y.shape == (2, height, width, 2)
        assert_close(y[1:], predict(model, x[1:]), FLOAT32)


def test_convolutions_see_what_the_paper_s_network_sees():
    """A pixel changes exactly the logits within reach: 3x3 twice, then through one pooling."""
    keras.utils.set_random_seed(0)
    model = unet.build("unet", (24, 24, 1), num_labels=1, width=16, depth=1)
    x = image(1, 24, 24, 1)
    moved = x.copy()
    moved[0, 12, 12] += 5.0
    changed = np.argwhere(predict(model, x)[0, ..., 0] != predict(model, moved)[0, ..., 0])
    # Two 3x3 convolutions reach rows 10..14, that is 5..7 after pooling; two more reach 3..9, which
    # are rows 6..19 at full size, and the last two 3x3 convolutions 4..21.
    np.testing.assert_array_equal([changed.min(axis=0), changed.max(axis=0)], [[4, 4], [21, 21]])


def test_normalized_network_builds_for_widths_that_8_does_not_divide():
    model = unet.build("unet", (9, 7, 1), num_labels=2, width=6, depth=1, normalization="group")
    assert np.isfinite(predict(model, image(2, 9, 7, 1))).all()


def test_dropout_acts_in_training_only_and_only_at_the_end_of_the_contracting_path():
    model = unet.build("unet", (16, 16, 1), num_labels=1, width=4, depth=3)
    dropped = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropped == ["down2_dropout", "down3_dropout"]
    x = image(1, 16, 16, 1)
    np.testing.assert_array_equal(predict(model, x), predict(model, x))
    trained = [keras.ops.convert_to_numpy(model(x, training=True)) for _ in range(2)]
    assert np.abs(trained[0] - trained[1]).max() > 0


@pytest.mark.parametrize("shape", [(13, 10, 2), (5, 6, 7, 1)], ids=["2-D", "3-D"])
def test_survives_the_keras_file_format(tmp_path, shape):
    model = unet.build("unet", shape, 3, width=4, depth=2, normalization="batch")
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    x = image(2, *shape)
    np.testing.assert_array_equal(predict(restored, x), predict(model, x))


@pytest.mark.parametrize("shape", [(19, 11, 1), (5, 6, 7, 1)], ids=["2-D", "3-D"])
def test_a_compiled_step_lowers_the_loss(shape):
    keras.utils.set_random_seed(1)
    model = unet.build("unet", shape, num_labels=2, width=4, depth=2, dropout=0.0)
    x = image(4, *shape)
    labels = (x[..., 0] > 0).astype("int32")
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # XLA is the harder case, and the torch backend has its own compiler that needs no check.
        jit_compile=keras.backend.backend() != "torch",
    )
    history = model.fit(x, labels, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]
    assert all(np.isfinite(history))


def test_half_precision_inside_full_precision_logits():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = unet.build("unet", (13, 10, 1), num_labels=2, width=4, depth=2)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("up0_conv2").compute_dtype == "float16"
    y = model(image(1, 13, 10, 1))
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert np.isfinite(keras.ops.convert_to_numpy(y)).all()


def test_crop_keeps_the_origin():
    x = image(2, 5, 4, 3)
    cropped = CropTo()([x, np.zeros((2, 4, 3, 1), "float32")])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(cropped), x[:, :4, :3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (32, 1)}, "Expected .H, W, K. or .D, H, W, K."),
        ({"input_shape": (32, 32, None)}, "only K must be a number"),
        ({"num_labels": 0}, "num_labels=0"),
        ({"width": 0}, "width=0"),
        ({"depth": -1}, "depth=-1"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"normalization": "layer"}, "normalization='layer'"),
        ({"output_stride": 3}, "one of: 1, 2, 4, 8, 16. Received: output_stride=3"),
        ({"output_stride": 32}, "output_stride=32"),
        ({"output_stride": 4, "padding": "valid"}, "needs padding='same'.* padding='valid'"),
        ({"output_stride": 2, "input_shape": (8, 8, 8, 1)}, "and an image.*8, 8, 8, 1"),
        ({"name": "vnet"}, "one of: .*unet.*name='vnet'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        unet.build(**{"name": "unet", "input_shape": (32, 32, 1), "num_labels": 2} | arguments)


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_coarse_network_ends_its_expanding_path_early(stride):
    options = {"num_labels": 3, "width": 2, "depth": 3, "dropout": 0.0}
    model = unet.build("unet", (None, None, 1), **options, output_stride=stride)
    coarse = keras.Model(model.input, model.get_layer("logits").output)
    x = image(2, 29, 37, 1)
    y, logits = predict(model, x), predict(coarse, x)
    assert logits.shape == (2, -(-29 // stride), -(-37 // stride), 3)
    assert y.shape == (2, 29, 37, 3)
    # By the equation, one axis after the other.
    for axis, size in ((1, 29), (2, 37)):
        at = (np.arange(size) + 0.5) / stride - 0.5
        at = np.clip(at, 0, logits.shape[axis] - 1)
        low = np.minimum(at.astype(int), logits.shape[axis] - 2)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        left, right = (np.take(logits, low + i, axis) for i in (0, 1))
        logits = (1 - share) * left + share * right
    assert_close(y, logits, 4 * FLOAT32)
    names = {layer.name for layer in model.layers}
    assert {"up2_up", "up1_up", "up0_up"} & names == {
        f"up{level}_up" for level in (2, 1, 0) if 2**level >= stride
    }


def test_without_padding_the_output_of_the_paper():
    """Figure 1: 572 pixels in, 388 out."""
    model = unet.build("unet", (572, 572, 1), num_labels=2, width=2, padding="valid")
    assert model.output_shape == (None, 388, 388, 2)
    # What the paper writes beside the boxes on the way down and up.
    sizes = {layer.name: layer.output.shape[1] for layer in model.layers}
    assert [sizes[f"down{i}_conv2"] for i in range(5)] == [568, 280, 136, 64, 28]
    assert [sizes[f"up{i}_conv2"] for i in (3, 2, 1, 0)] == [52, 100, 196, 388]


@pytest.mark.parametrize("shape", [(60, 44, 1), (44, 60, 52, 1)], ids=["2-D", "3-D"])
def test_mirroring_gives_the_border_what_the_inside_has(shape):
    """Cut from a larger image, the unpadded network's output is that of its surroundings."""
    keras.utils.set_random_seed(0)
    options = {"width": 2, "depth": 2, "dropout": 0.0}
    unpadded = unet.build("unet", (*(None,) * (len(shape) - 1), 1), 2, padding="valid", **options)
    mirror = unet.build("unet", (*(None,) * (len(shape) - 1), 1), 2, padding="mirror", **options)
    mirror.set_weights(unpadded.get_weights())
    x = image(2, *shape)
    axes = [(0, 0), *[(20, 20)] * (len(shape) - 1), (0, 0)]
    expected = predict(unpadded, np.pad(x, axes, mode="reflect"))
    assert expected.shape[1:-1] == shape[:-1]
    assert_close(predict(mirror, x), expected, FLOAT32)


def test_skips_are_cropped_in_the_middle():
    """With symmetric kernels, the mirrored image gives mirrored logits."""
    keras.utils.set_random_seed(0)
    model = unet.build("unet", (None, None, 1), 2, width=4, depth=2, padding="valid", dropout=0.0)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            kernel = kernel + kernel[::-1] + kernel[:, ::-1] + kernel[::-1, ::-1]
            layer.set_weights([kernel / 2, bias])
    x = image(1, 60, 52, 1)  # 12 + 4 n: halved twice without a rest, so that both ends are alike
    y = predict(model, x)
    for mirror in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
        assert np.abs(y - y[mirror]).max() > 0.1 * np.abs(y).max()
        assert_close(predict(model, x[mirror]), y[mirror], FLOAT32)


def test_unpadded_network_is_aligned_for_sizes_that_halving_does_not_divide():
    keras.utils.set_random_seed(0)
    model = unet.build("unet", (None, None, 1), 2, width=2, depth=2, padding="valid", dropout=0.0)
    x = image(1, 71, 63, 1)
    # 12 + 4 n is halved twice without a rest; what exceeds it adds nothing and shifts nothing.
    assert_close(predict(model, x), predict(model, x[:, :68, :60]), FLOAT32)
    mirror = unet.build("unet", (None, None, 1), 2, width=2, depth=2, padding="mirror", dropout=0.0)
    assert predict(mirror, image(1, 5, 3, 1)).shape == (1, 5, 3, 2)
