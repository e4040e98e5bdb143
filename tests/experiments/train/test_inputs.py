"""Slices, padding and batches."""

import numpy as np
import pytest

import data
from experiments.config import make
from experiments.train import inputs


def case(shape, id):
    rng = np.random.default_rng(len(id))
    image = rng.random((*shape, 1), "float32")
    return data.Case(image, rng.integers(0, 3, shape, "uint8"), (1.0,) * len(shape), id, id)


def padded(cases, axis, depth=2):
    pieces = inputs._cut(cases, axis)
    shape = np.max([piece.label.shape for piece in pieces], axis=0)
    return inputs._pad(cases, pieces, shape, make({"slice_axis": axis, "depth": depth}))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_put_together_again_are_the_volumes(axis):
    cases = [case((3, 5, 6), "a"), case((4, 2, 7), "bb")]
    slices = padded(cases, axis)
    assert slices.images.shape[1] % 4 == slices.images.shape[2] % 4 == 0
    for part, original in zip(slices.per_case(slices.labels), cases, strict=True):
        np.testing.assert_array_equal(slices.restore(part, original), original.label)
    for part, original in zip(slices.per_case(slices.images), cases, strict=True):
        np.testing.assert_array_equal(np.moveaxis(part, 0, axis), original.image)


def test_a_picture_is_its_own_only_slice():
    cases = [case((5, 6), "a"), case((3, 9), "bb")]
    slices = padded(cases, axis=0)
    assert slices.images.shape == (2, 8, 12, 1)
    for part, original in zip(slices.per_case(slices.labels), cases, strict=True):
        np.testing.assert_array_equal(slices.restore(part, original), original.label)


def test_padding_is_void_and_far_and_nothing_else_is():
    slices = padded([case((5, 6), "a"), case((3, 9), "bb")], axis=0)
    void = slices.labels == inputs.VOID
    assert void.sum() == 2 * 8 * 12 - 5 * 6 - 3 * 9
    np.testing.assert_array_equal(slices.references[..., 0] == inputs.FAR, void)
    np.testing.assert_array_equal(slices.references[~void], slices.images[~void])
    assert slices.images.min() >= 0  # the U-Net sees no intensity that images do not have


def test_every_epoch_has_every_slice_once_in_its_own_order():
    steps = [inputs.batch_indices(10, 4, order_seed=3, step=step) for step in range(5)]
    first, second = np.split(np.concatenate(steps), 2)  # 5 batches of 4 are two epochs of 10
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_a_batch_larger_than_the_data_repeats_it():
    assert sorted(inputs.batch_indices(3, 6, order_seed=3, step=0)) == [0, 0, 1, 1, 2, 2]


def test_batch_orders_differ():
    orders = [inputs.batch_indices(50, 50, order_seed, 0).tolist() for order_seed in (1, 2)]
    assert orders[0] != orders[1]


def test_too_few_cases_are_named_as_the_configuration_has_them(monkeypatch):
    cases = [case((4, 4), str(index)) for index in range(5)]
    monkeypatch.setattr(data, "load", lambda dataset: cases)
    config = make({"dataset": "mine", "train_cases": 3, "validation_cases": 2, "test_cases": 1})
    with pytest.raises(ValueError, match=r"'mine' has 5 cases: .* validation_cases=2"):
        inputs.split(config, seed=0)
