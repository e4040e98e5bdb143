"""Checkpoints: a resumed training makes only the missing updates and ends with the same bits."""

import dataclasses

import keras
import numpy as np
import pytest
from scipy.special import softmax

import crfrnn
import data
from crfrnn.meanfield.parameters import NAMES
from experiments.config import make
from experiments.train import inputs, loop, tiles
from experiments.train.inputs import FAR, VOID, Slices
from experiments.train.models import with_head
from experiments.train.predict import predict, predict_mirrored
from tests.tolerances import FLOAT32
from unet.losses import CrossEntropyAndDice, SoftDice

RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 5, 4, 1)).astype("float32")
SLICES = Slices([], IMAGES, IMAGES, RNG.integers(0, 2, (6, 5, 4)).astype("int32"), axis=0)


def model():
    """A net with every kind of state: weights, running means, random state, moments."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(3, 3, padding="same")(image))
    logits = keras.layers.Conv2D(2, 1)(keras.layers.Dropout(0.5)(x))
    made = keras.Model(image, logits)
    made.compile(keras.optimizers.Adam(0.1), loss=CrossEntropyAndDice(ignore_class=VOID))
    return made


def weighted(refined_loss):
    """Unaries and a refined output that is the same, and the loss of a batch with weights."""
    image, reference = (keras.Input((None, None, 1), name=name) for name in ("image", "reference"))
    keras.utils.set_random_seed(3)
    logits = keras.layers.Conv2D(2, 1, bias_initializer="normal")(image)
    outputs = {"unaries": logits, "refined": keras.layers.Identity()(logits)}
    made = keras.Model({"image": image, "reference": reference}, outputs)
    losses = {
        "unaries": CrossEntropyAndDice(ignore_class=VOID, dice_weight=0),
        "refined": refined_loss,
    }
    made.compile("sgd", losses)
    weights = RNG.uniform(1, 5, SLICES.labels.shape).astype("float32")
    batch = loop._batch(made, dataclasses.replace(SLICES, weights=weights))
    log = keras.ops.log_softmax(made(batch[0])["unaries"])
    log = keras.ops.convert_to_numpy(log)
    points = -np.take_along_axis(log, SLICES.labels[..., None], axis=-1)[..., 0]
    return made.train_on_batch(*batch, return_dict=True)["loss"], points, weights


def test_weights_of_points_count_in_every_cross_entropy():
    loss, points, weights = weighted(CrossEntropyAndDice(ignore_class=VOID, dice_weight=0))
    assert float(loss) == pytest.approx(2 * (weights * points).mean(), rel=FLOAT32)


def test_weights_of_points_do_not_count_in_a_dice():
    loss, points, weights = weighted(SoftDice(ignore_class=VOID))
    dice = float(loss) - (weights * points).mean()
    assert 0 < dice < 1


def test_padding_has_no_part_in_an_energy():
    references = np.where(np.arange(4)[:, None] < 3, IMAGES, np.float32(FAR))  # (B, H, W = 4, 1)
    slices = dataclasses.replace(SLICES, references=references)
    image, reference = (keras.Input((None, None, 1), name=name) for name in ("image", "reference"))
    logits = keras.layers.Conv2D(2, 1)(image)
    outputs = {"unaries": logits, "energy": keras.layers.Identity()(logits)}
    made = keras.Model({"image": image, "reference": reference}, outputs)
    energy = crfrnn.DenseCRFLoss(theta_alpha=3.0, theta_beta=0.3, method="exact")
    made.compile("sgd", {"unaries": CrossEntropyAndDice(ignore_class=VOID), "energy": energy})
    given, targets, weights = loop._batch(made, slices)
    logits = made(given)["energy"]
    found = energy(targets["energy"], logits, weights["energy"])
    expected = energy(IMAGES[:, :, :3], logits[:, :, :3])
    found, expected = map(keras.ops.convert_to_numpy, (found, expected))
    assert found == pytest.approx(expected, rel=10 * FLOAT32)
    assert (weights["unaries"] == 1).all() and weights["unaries"].shape == SLICES.labels.shape
    made.train_on_batch(given, targets, weights)  # Keras takes them


CHANGES = make({"flips": True, "jitter": 0.2, "batch_size": 4, "checkpoint_steps": 2})


def train(made, checkpoint, steps=5, measure=lambda made: {}):
    calls = []
    update = made.train_on_batch

    def counted(*arguments, **options):
        calls.append(1)
        return update(*arguments, **options)

    made.train_on_batch = counted
    history = loop.train(
        made,
        SLICES,
        checkpoint,
        CHANGES,
        steps=steps,
        order_seed=1,
        measure=measure,
        title="test",
    )
    return history, len(calls)


def test_resumed_training_makes_only_the_missing_updates(tmp_path):
    whole, killed, resumed = model(), model(), model()
    history, calls = train(whole, tmp_path / "whole.npz")
    assert calls == 5 and [point["step"] for point in history] == [2, 4, 5]

    measured = iter([{}])  # the second call ends the training, before the second checkpoint

    with pytest.raises(StopIteration):
        train(killed, tmp_path / "killed.npz", measure=lambda made: next(measured))
    again, calls = train(resumed, tmp_path / "killed.npz")
    assert calls == 3  # from step 2
    assert again == history
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert train(model(), tmp_path / "killed.npz")[1] == 0  # finished: nothing to do


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    train(model(), tmp_path / "a.npz", steps=2)
    other = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 1)])
    other.compile(keras.optimizers.Adam(0.1), loss=CrossEntropyAndDice())
    with pytest.raises(ValueError, match="other code"):
        train(other, tmp_path / "a.npz")


def test_slices_seen_at_their_own_sizes_are_predicted_as_alone():
    image = keras.Input((None, None, 1))
    network = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same")(image))
    cases = [
        data.Case(RNG.random((*shape, 1), "float32"), np.zeros(shape, "uint8"), (1, 1), name, name)
        for name, shape in (("a", (5, 9)), ("b", (12, 9)), ("c", (7, 3)))
    ]
    slices = inputs._pad(cases, cases, (12, 9), make({"depth": 1}))
    # The sizes, but for the last one's, are multiples of the step: nothing is padded.
    stepped = dataclasses.replace(slices, step=1)
    for found, case in zip(predict(network, stepped, 2)["unaries"], cases, strict=True):
        alone = keras.ops.convert_to_numpy(network(case.image[None]))
        np.testing.assert_allclose(found, alone, atol=10 * FLOAT32)
    # Mirror images have padding behind them, too, not in front.
    for found, case in zip(predict_mirrored(network, stepped, 2), cases, strict=True):
        total = 0
        for axes in ((), (1,), (2,), (1, 2)):
            logits = network(np.flip(case.image[None], axes))
            probs = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
            total = total + np.flip(probs, axes)
        np.testing.assert_allclose(softmax(found, axis=-1), total / 4, atol=10 * FLOAT32)


def tiled_slices(tile):
    """One image that fits in a tile of 12, and one that does not."""
    cases = [
        data.Case(RNG.random((*shape, 1), "float32"), np.zeros(shape, "uint8"), (1, 1), name, name)
        for name, shape in (("a", (64, 40)), ("b", (70, 150)))
    ]
    return inputs._pad(cases, cases, (70, 150), make({"depth": 1, "tile": tile})), cases


def test_tiles_are_blended_before_a_crf_that_sees_the_whole():
    image = keras.Input((None, None, 1))
    network = keras.Model(image, keras.layers.Conv2D(2, 5, padding="same")(image))
    crf = dict(zip(NAMES, (4.0, 0.3, 2.0, 3.0, 2.0), strict=True))
    model = with_head(network, make({}), "crf", crf)
    tiled, cases = tiled_slices(64)
    whole = dataclasses.replace(tiled, tile=0)
    expected, found = predict(model, whole, 2), predict(model, tiled, 2)
    for name in ("unaries", "refined"):
        # The first image fits. A convolution sees the border of a tile from two points' distance.
        first, second = (
            [softmax(part, axis=-1) for part in parts[name]] for parts in (found, expected)
        )
        np.testing.assert_allclose(first[0], second[0], atol=20 * FLOAT32)
        assert 0 < np.abs(first[1] - second[1]).max() < 0.1
    unaries = found["unaries"][1]
    alone = model.get_layer("head")([unaries, cases[1].image[None]])
    refined, alone = (
        softmax(a, axis=-1) for a in (found["refined"][1], keras.ops.convert_to_numpy(alone))
    )
    np.testing.assert_allclose(refined, alone, atol=20 * FLOAT32)


def test_a_blend_counts_what_is_far_from_borders():
    (image,) = tiled_slices(64)[0].images[1:, :70, :150]
    total, weights = np.zeros((70, 150)), np.zeros((70, 150))
    starts = [(y, x) for y in (0, 6) for x in (0, 29, 57, 86)]  # the least of steps up to 32
    for number, (top, left) in enumerate(starts):
        for row in range(64):
            for column in range(64):
                weight = min(row + 1, 64 - row) * min(column + 1, 64 - column)
                total[top + row, left + column] += weight * number
                weights[top + row, left + column] += weight
    numbers = iter(range(len(starts)))

    def numbered(images):
        return np.full((*images.shape[:3], 1), next(numbers), "float32")

    found = tiles.blended(numbered, image[None], 64)
    np.testing.assert_allclose(found[0, ..., 0], total / weights, rtol=100 * FLOAT32)
    assert next(numbers, None) is None
