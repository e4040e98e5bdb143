"""A classifier and its fully convolutional twin say the same."""

import keras
import numpy as np
import pytest
from keras import layers

import unet
from tests.tolerances import FLOAT32, assert_close


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def randomize(model):
    # Not 0 and 1: biases and running means that are still at their start would hide mistakes.
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.uniform(0.1, 0.3, w.shape) for w in model.get_weights()])
    return model


def sequential():
    return keras.Sequential(
        [
            keras.Input((12, 20, 3)),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.MaxPooling2D(2, padding="same"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(6, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dense(5, activation="softmax"),
        ]
    )


def functional():
    x = image_ = keras.Input((12, 20, 3))
    a, b = (layers.Conv2D(4, 3, padding="same", name=name)(x) for name in ("left", "right"))
    x = layers.MaxPooling2D(4)(layers.Add()([a, b]))
    x = layers.Dense(7, activation="relu", name="hidden")(layers.Flatten()(x))
    return keras.Model(image_, layers.Dense(2, name="scores")(x))


def transfer():
    backbone = keras.Sequential(
        [keras.Input((12, 20, 3)), layers.Conv2D(4, 3, strides=4, padding="same")], name="backbone"
    )
    return keras.Sequential([keras.Input((12, 20, 3)), backbone, layers.Flatten(), layers.Dense(3)])


def pooled():
    return keras.Sequential(
        [
            keras.Input((12, 20, 3)),
            layers.Conv2D(4, 3, strides=4, padding="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def axis_called_one():
    return keras.Sequential(
        [
            keras.Input((12, 20, 3)),
            layers.Conv2D(4, 3, strides=4, padding="same"),
            layers.Flatten(),
            layers.Dense(3),
            layers.BatchNormalization(axis=1),
            layers.Softmax(axis=1),
        ]
    )


@pytest.mark.parametrize("make", [sequential, functional, transfer, pooled, axis_called_one])
def test_same_scores_at_the_classifier_s_own_size(make):
    keras.utils.set_random_seed(0)
    classifier = randomize(make())
    twin = unet.convolutionalize(classifier)
    x = image(3, 12, 20, 3)
    expected = classifier.predict_on_batch(x)
    assert_close(twin.predict_on_batch(x)[:, 0, 0], expected, FLOAT32)
    assert expected.std() > 0


def test_every_position_has_the_scores_of_its_window():
    # No padding inside, so that a window cannot tell whether it is part of a larger image.
    keras.utils.set_random_seed(0)
    classifier = randomize(
        keras.Sequential(
            [
                keras.Input((9, 13, 2)),
                layers.Conv2D(4, 3, activation="relu"),  # 7 x 11
                layers.MaxPooling2D(2),  # 3 x 5
                layers.Flatten(),
                layers.Dense(6, activation="relu"),
                layers.Dense(3),
            ]
        )
    )
    x = image(2, 15, 18, 2)
    y = unet.convolutionalize(classifier).predict_on_batch(x)
    assert y.shape == (2, 4, 4, 3)
    for i, j in np.ndindex(4, 4):
        window = x[:, 2 * i : 2 * i + 9, 2 * j : 2 * j + 13]
        assert_close(y[:, i, j], classifier.predict_on_batch(window), FLOAT32)


@pytest.mark.parametrize("keepdims", [False, True])
def test_flatten_after_pooling_changes_nothing(keepdims):
    def make(*end):
        pooling = layers.GlobalMaxPooling2D(keepdims=keepdims)
        head = [keras.Input((6, 8, 1)), layers.Conv2D(2, 2, strides=2), pooling, *end]
        return randomize(keras.Sequential([*head, layers.Dense(3)]))

    x = image(2, 10, 12, 1)
    maps = []
    for end in ((), (layers.Dropout(0.1), layers.Flatten())):
        keras.utils.set_random_seed(0)
        maps.append(unet.convolutionalize(make(*end)).predict_on_batch(x))
    assert maps[0].shape == (2, 3, 3, 3)
    np.testing.assert_array_equal(maps[1], maps[0])


def test_vgg16_scores_six_by_six_places_of_384_pixels():
    with keras.StatelessScope(initialize_variables=False):
        classifier = keras.applications.VGG16(weights=None)
        stages = classifier.get_layer("block5_pool")
    assert tuple(stages.output.shape) == (None, 7, 7, 512)
    keras.utils.clear_session()
    # The same strides with one channel: the real one has half a gigabyte of weights.
    narrow = keras.Sequential(
        [keras.Input((224, 224, 1))]
        + [layers.MaxPooling2D(2) for _ in range(5)]
        + [layers.Flatten(), layers.Dense(4), layers.Dense(3)]
    )
    twin = unet.convolutionalize(narrow)
    assert twin.predict_on_batch(image(1, 384, 384, 1)).shape == (1, 6, 6, 3)


def test_three_dimensions():
    classifier = keras.Sequential(
        [keras.Input((4, 6, 5, 1)), layers.Conv3D(2, 2), layers.Flatten(), layers.Dense(3)]
    )
    x = image(2, 4, 6, 5, 1)
    y = unet.convolutionalize(classifier).predict_on_batch(x)
    assert y.shape == (2, 1, 1, 1, 3)
    assert_close(y[:, 0, 0, 0], classifier.predict_on_batch(x), FLOAT32)


def test_the_classifier_stays_as_it_is():
    classifier = sequential()
    twin = unet.convolutionalize(classifier)
    before = classifier.get_weights()
    twin.set_weights([0 * w for w in twin.get_weights()])
    for old, new in zip(before, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ([], "Flatten or global pooling"),
        ([layers.Flatten()], "Expected a Dense layer"),
        ([layers.Flatten(), layers.BatchNormalization(), layers.Dense(2)], "BatchNormalization"),
        ([layers.Flatten(), layers.LayerNormalization(scale=False, center=False)], "layer_norm"),
        ([layers.Flatten(), layers.Activation("softmax"), layers.Dense(2)], "'activation"),
        (
            [layers.Conv2D(1, 1, data_format="channels_first"), layers.Flatten(), layers.Dense(2)],
            "channels first",
        ),
        ([layers.Flatten(), layers.Reshape((2, 8)), layers.Dense(2)], "'reshape"),
    ],
    ids=["no end", "no Dense", "normalisation", "over all", "softmax", "channels", "reshape"],
)
def test_other_classifiers_are_refused(tail, message):
    classifier = keras.Sequential([keras.Input((2, 8, 1)), layers.Conv2D(1, 1), *tail])
    with pytest.raises(ValueError, match=message):
        unet.convolutionalize(classifier)
