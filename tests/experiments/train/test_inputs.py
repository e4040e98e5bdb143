"""Slices, padding and batches."""

import dataclasses

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
    how = {"volumes": True} if axis is None else {"slice_axis": axis}
    return inputs._pad(cases, pieces, shape, make({**how, "depth": depth}))


@pytest.mark.parametrize("axis", [0, 1, 2, None])
def test_slices_put_together_again_are_the_volumes(axis):
    cases = [case((3, 5, 6), "a"), case((4, 2, 7), "bb")]
    slices = padded(cases, axis)
    assert not np.any(np.array(slices.images.shape[1:-1]) % 4)
    assert slices.images.ndim == (5 if axis is None else 4)
    for part, original in zip(slices.per_case(slices.labels), cases, strict=True):
        np.testing.assert_array_equal(slices.restore(part, original), original.label)
    for part, original in zip(slices.per_case(slices.images), cases, strict=True):
        whole = part[0] if axis is None else np.moveaxis(part, 0, axis)
        np.testing.assert_array_equal(whole, original.image)


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


def test_points_without_label_are_void_but_no_padding():
    cases = [case((5, 6), "a"), case((3, 9), "bb")]
    cases = [
        dataclasses.replace(cases[0], ignore=2),  # its own value, which is a label of the other
        dataclasses.replace(cases[1], ignore=None),
    ]
    slices = padded(cases, axis=0)
    first, second = slices.per_case(slices.labels)
    np.testing.assert_array_equal(first == inputs.VOID, cases[0].label[None] == 2)
    np.testing.assert_array_equal(second[0], cases[1].label)
    np.testing.assert_array_equal(slices.sizes(), [(5, 6), (3, 9)])
    assert slices.present.sum() == 5 * 6 + 3 * 9


def test_slices_of_many_sizes_are_seen_at_few():
    shapes = [(10, 70), (64, 64), (65, 3), (130, 100), (40, 50)]
    slices = padded([case(shape, "a" * i) for i, shape in enumerate(shapes)], axis=0)
    assert [(size, len(of)) for size, of in slices.alike()] == [((132, 100), 5)]
    stepped = dataclasses.replace(slices, step=64)
    found = {tuple(map(int, size)): of.tolist() for size, of in stepped.alike()}
    assert found == {(64, 64): [1, 4], (64, 100): [0], (128, 64): [2], (132, 100): [3]}


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


def grouped(sizes):
    names = [f"{group}{i}" for group, size in sizes.items() for i in range(size)]
    return [dataclasses.replace(case((4, 4), name), group=name[0]) for name in names]


def splits(monkeypatch, cases, **sizes):
    monkeypatch.setattr(data, "load", lambda dataset: cases)
    return inputs.split(make({"dataset": "mine", **sizes}), seed=0)


def test_cases_are_spread_over_groups_where_one_would_be_alone(monkeypatch):
    cases = grouped(dict.fromkeys("abcdefghijklmnopqrst", 30))
    sizes = {"train_cases": 15, "validation_cases": 10, "test_cases": 20}
    alone = data.split(cases, train=15, val=10, test=20)
    assert {len({one.group for one in part}) for part in alone.values()} == {1}
    parts = splits(monkeypatch, cases, **sizes)
    groups = {name: [one.group for one in part] for name, part in parts.items()}
    # A quarter of the twenty groups are for testing, 15 % for validation, the others for training.
    found = {name: (len(of), len({*of})) for name, of in groups.items()}
    assert found == {"train": (15, 12), "val": (10, 3), "test": (20, 5)}
    assert not {*groups["train"]} & {*groups["test"]}
    assert max(groups["test"].count(group) for group in groups["test"]) == 4


def test_cases_are_spread_over_groups_where_the_configuration_says_so(monkeypatch):
    cases = grouped(dict.fromkeys("abcdefghijklmnopqrst", 4))
    sizes = {"validation_cases": 5, "test_cases": 9}
    for spread, numbers in (
        (False, {"val": (8, 2), "test": (12, 3)}),
        (True, {"val": (5, 3), "test": (9, 5)}),
    ):
        parts = splits(monkeypatch, cases, **sizes, spread_cases=spread)
        found = {
            name: (len(parts[name]), len({one.group for one in parts[name]})) for name in numbers
        }
        assert found == numbers


@pytest.mark.parametrize(
    "sizes", [{"test_cases": 1, "validation_cases": 1}, {"train_cases": 3}, {}], ids=str
)
def test_cases_that_are_their_own_groups_are_split_as_ever(monkeypatch, sizes):
    cases = grouped(dict.fromkeys("abcdefghijklmnopqrst", 1))
    names = {"train_cases": "train", "validation_cases": "val", "test_cases": "test"}
    expected = data.split(cases, **{names[key]: size for key, size in sizes.items()})
    assert splits(monkeypatch, cases, **sizes) == expected


def test_too_few_cases_to_spread_are_named_where_that_was_asked_for(monkeypatch):
    cases = grouped(dict.fromkeys("abcdefghijklmnopqrst", 4))
    with pytest.raises(ValueError, match=r"fewer cases than asked for, .*test_cases=21. Lower"):
        splits(monkeypatch, cases, test_cases=21, spread_cases=True)  # a quarter of 80 are 20


def test_too_few_groups_to_spread_are_left_as_they_are(monkeypatch):
    cases = grouped({"a": 4, "b": 4, "c": 4})
    found = splits(monkeypatch, cases, train_cases=4, validation_cases=4, test_cases=4)
    assert [len(part) for part in found.values()] == [4, 4, 4]
