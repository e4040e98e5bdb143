"""PointRend: subdivision against loops over pixels, and the gradient of the paper's two losses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import unet
from tests import backend
from tests.tolerances import EXACT, FLOAT32, GRADIENT, assert_close
from tests.unet.test_points import ALIGNMENTS, bilinear
from unet import points
from unet.pointrend import PointRend

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 13, 17  # whole strides: no column repeats its neighbour, a tie among uncertainties
IMAGE = np.zeros((2, HEIGHT, WIDTH, 1), "float32")
FINE = RNG.normal(size=(2, 7, 9, 5)).astype("float32")  # stride 2


def coarse(num_labels):
    return RNG.normal(size=(2, 4, 5, num_labels)).astype("float32")  # stride 4


def head(coarse, **options):
    """A head whose weights are large enough to matter."""
    layer = PointRend(4, 2, head_width=6, seed=3, **options)
    layer([IMAGE, coarse, FINE])
    layer.set_weights([RNG.normal(size=w.shape).astype("float32") for w in layer.weights])
    return layer


def predict(layer, coarse, fine, row, column):
    """The point head at one position of one image, in float64."""
    known = bilinear(coarse, row, column, 4, layer.align_corners)
    x = bilinear(fine, row, column, 2, layer.align_corners)
    for dense in layer.hidden:
        kernel, bias = (w.astype("float64") for w in dense.get_weights())
        x = np.maximum(np.concatenate([x, known]) @ kernel + bias, 0)
    kernel, bias = (w.astype("float64") for w in layer.predictor.get_weights())
    return np.concatenate([x, known]) @ kernel + bias


def uncertainty(values):
    if len(values) == 1:
        return -abs(values[0])
    least, most = sorted(values)[-2:]
    return least - most


def subdivide(layer, coarse, fine, num_points):
    """Section 3.1, inference: enlarge twice, predict the N most uncertain points, again."""
    current, centre = coarse.astype("float64"), 0 if layer.align_corners else 0.5
    for stride in (2, 1):
        size = -(-HEIGHT // stride), -(-WIDTH // stride)
        finer = np.zeros((*size, coarse.shape[-1]))
        where = {}
        for i, j in np.ndindex(size):
            where[i, j] = (i + centre) * stride - centre, (j + centre) * stride - centre
            finer[i, j] = bilinear(current, *where[i, j], 2 * stride, layer.align_corners)
        order = sorted(where, key=lambda index: -uncertainty(finer[index]))
        for index in order[:num_points]:
            finer[index] = predict(layer, coarse, fine, *where[index])
        current = finer
    return current


@ALIGNMENTS
@pytest.mark.parametrize("num_labels", [3, 1])
def test_inference_is_adaptive_subdivision(align_corners, num_labels):
    logits = coarse(num_labels)
    layer = head(logits, align_corners=align_corners, num_test_points=25)
    found = backend.array(layer([IMAGE, logits, FINE]))
    expected = [subdivide(layer, logits[b], FINE[b], 25) for b in range(2)]
    assert_close(found, expected, FLOAT32)


def all_candidates(logits, **options):
    """A head that always chooses the most uncertain points in training."""
    return head(logits, num_points=20, oversampling=99, importance=1.0, **options)


def chosen_points(layer, logits):
    enlarged = np.zeros((2, HEIGHT, WIDTH, 3))
    for b, i, j in np.ndindex(2, HEIGHT, WIDTH):
        enlarged[b, i, j] = bilinear(logits[b], i, j, 4, True)
    flat = enlarged.reshape(2, -1, 3)
    order = [sorted(range(len(x)), key=lambda n, x=x: -uncertainty(x[n]))[:20] for x in flat]
    return enlarged, np.array(order, "int32")


def test_training_predicts_the_chosen_points_and_interpolates_the_others():
    logits = coarse(3)
    layer = all_candidates(logits)
    expected, order = chosen_points(layer, logits)
    for b, n in np.ndindex(order.shape):
        i, j = divmod(int(order[b, n]), WIDTH)
        expected[b, i, j] = predict(layer, logits[b], FINE[b], i, j)
    found = layer([IMAGE, logits, FINE], training=True)
    assert_close(backend.array(found), expected, FLOAT32)


def test_gradient_is_that_of_the_paper_s_two_losses():
    """Mean cross-entropy at the points by the head, plus that of the whole coarse map."""
    logits = coarse(3)
    layer = all_candidates(logits, auxiliary=True)
    labels = RNG.integers(0, 3, (2, HEIGHT, WIDTH)).astype("int32")
    _, order = chosen_points(layer, logits)
    positions = np.stack([order // WIDTH, order % WIDTH], axis=-1).astype("float32")
    truth = backend.tensor(np.take_along_axis(labels.reshape(2, -1), order, axis=1))
    everywhere = points.grid(HEIGHT, WIDTH, 1, True)

    def mean_loss(labels, logits):
        each = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return ops.mean(each)

    def paper(coarse, fine):
        predicted = layer._predict(backend.tensor(positions), coarse, fine)
        enlarged = points.sample(coarse, everywhere, 4, True)
        target = backend.tensor(labels.reshape(2, -1))
        return mean_loss(truth, predicted) + mean_loss(target, enlarged)

    def ours(coarse, fine):
        outputs = layer([backend.tensor(IMAGE), coarse, fine], training=True)
        return sum(mean_loss(backend.tensor(labels), output) for output in outputs)

    expected, found = (backend.gradients(f, logits, FINE) for f in (paper, ours))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, GRADIENT)


def test_points_differ_from_step_to_step_and_a_seed_repeats_them():
    logits = coarse(3)
    one, same = (head(logits, num_points=20) for _ in range(2))
    same.set_weights(one.get_weights())
    first, second = (backend.array(one([IMAGE, logits, FINE], training=True)) for _ in range(2))
    assert (first != second).any()
    again = [backend.array(same([IMAGE, logits, FINE], training=True)) for _ in range(2)]
    assert_close(again, [first, second], EXACT)


def test_parameters_of_the_head():
    layer = PointRend(16, 4)
    layer.build([(None, 512, 1024, 3), (None, 32, 64, 19), (None, 128, 256, 256)])
    assert layer.count_params() == 3 * (256 + 19 + 1) * 256 + (256 + 19 + 1) * 19 == 217_212


def front_end():
    """Features of stride 2 and logits of stride 8, by pooling; 16 x 24 pixels."""
    image = keras.Input((16, 24, 2))
    x = keras.layers.AveragePooling2D(2, padding="same")(image)
    x = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="fine")(x)
    x = keras.layers.AveragePooling2D(4, padding="same")(x)
    x = keras.layers.Conv2D(3, 1, name="scores")(x)
    return keras.Model(image, keras.layers.UpSampling2D(8)(x))


def test_any_model_is_a_front_end():
    network = front_end()
    model = unet.build(
        "pointrend",
        (16, 24, 2),
        3,
        front_end=network,
        coarse="scores",
        fine="fine",
        align_corners=False,
        num_points=30,
    )
    layer = model.get_layer("logits")
    assert (layer.coarse_stride, layer.fine_stride) == (8, 2)
    assert model.output_shape == (None, 16, 24, 3)
    assert model.get_layer("fine") is network.get_layer("fine")  # shared, not copied


def test_another_network_by_name_with_its_options():
    model = unet.build(
        "pointrend",
        (None, None, 1),
        2,
        front_end="gcn",
        coarse="up3_refine",
        depth=18,
        width=2,
        kernel_size=3,
        head_width=4,
    )
    assert model.get_layer("logits").coarse_stride == 8
    assert model.output_shape == (None, None, None, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coarse": "score"}, "one of the front end's: .*scores.*'score'"),
        ({"coarse": "fine"}, "3 logits. Received: coarse='fine', which has 6 channels"),
        ({"fine": None}, "has no ResNet"),
        ({"front_end": None, "depth": 50}, "Received: a model, and depth"),
        ({"input_shape": (8, 24, 2)}, r"shape \(8, 24, 2\). Received: one for \(16, 24, 2\)"),
        ({"num_points": 0}, "num_points=0"),
    ],
    ids=["name", "channels", "fine", "options", "shape", "points"],
)
def test_errors_name_the_argument(options, message):
    arguments = {"input_shape": (16, 24, 2), "num_labels": 3, "coarse": "scores", "fine": "fine"}
    with pytest.raises(ValueError, match=message):
        unet.build("pointrend", **{**arguments, **options, "front_end": front_end()})


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"importance=1\.5"):
        PointRend(4, 2, importance=1.5)
