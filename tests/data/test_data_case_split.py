"""Cases and splits: laziness, no leaks, determinism, wanted numbers."""

import random

import numpy as np
import pytest

import data
from data.case import Case, LazyCase


def cases_of(sizes):
    """One case per entry; sizes[i] cases share the group "g<i>"."""
    image, label = np.zeros((2, 3, 1), "float32"), np.zeros((2, 3), "uint8")
    return [
        Case(image, label, (1.0, 1.0), f"c{g}-{i}", f"g{g}")
        for g, size in enumerate(sizes)
        for i in range(size)
    ]


def ids(part):
    return [case.id for case in part]


def groups(part):
    return {case.group for case in part}


def test_lazy_case_reads_once_and_only_when_used():
    reads = []

    def read():
        reads.append(1)
        return np.ones((2, 3, 1), "float32"), np.zeros((2, 3), "uint8"), (1.0, 2.0)

    case = LazyCase(read, "a", "g")
    assert (case.id, case.group, repr(case)) == ("a", "g", "LazyCase(id='a', group='g')")
    assert not reads
    assert case.label.shape == (2, 3) and case.image.sum() == 6 and case.spacing == (1.0, 2.0)
    assert len(reads) == 1
    with pytest.raises(AttributeError):
        case.labels  # noqa: B018


@pytest.mark.parametrize("seed", range(20))
def test_no_group_is_ever_divided(seed):
    rng = random.Random(seed)
    cases = cases_of([rng.randint(1, 4) for _ in range(rng.randint(8, 40))])
    rng.shuffle(cases)
    parts = data.split(cases, seed=seed)
    named = [groups(parts[name]) for name in ("train", "val", "test")]
    assert not (named[0] & named[1] or named[0] & named[2] or named[1] & named[2])
    assert sorted(c.id for part in parts.values() for c in part) == sorted(ids(cases))
    assert len(parts["test"]) >= round(0.25 * len(cases)) > len(parts["test"]) - 4
    assert len(parts["val"]) >= round(0.15 * len(cases)) > len(parts["val"]) - 4


def test_split_depends_on_neither_the_order_nor_the_machine():
    cases = cases_of([2, 1, 3, 1, 1, 2, 1, 1, 2, 1])
    parts = data.split(cases)
    again = data.split(cases[::-1])
    for name, part in parts.items():
        assert groups(part) == groups(again[name])
    # Written down once: any change of the rule would silently change every study.
    assert {name: sorted(groups(part)) for name, part in parts.items()} == {
        "train": ["g2", "g3", "g4", "g5", "g7"],
        "val": ["g6", "g9"],
        "test": ["g0", "g1", "g8"],
    }


def test_training_subsets_are_nested_and_leave_val_and_test_alone():
    cases = cases_of([2] * 30)
    small, large = data.split(cases, train=5), data.split(cases, train=11)
    assert ids(small["train"]) == ids(large["train"])[:5] and len(large["train"]) == 11
    other = data.split(cases, train=5, subset=1)
    assert ids(other["train"]) != ids(small["train"])
    for name in ("val", "test"):
        assert ids(small[name]) == ids(large[name]) == ids(other[name])
    assert ids(data.split(cases, seed=1)["test"]) != ids(small["test"])


def test_folds_are_parts_of_about_one_size_that_test_every_case_once():
    cases = cases_of([2] * 9 + [1] * 7 + [4])
    parts = [data.split(cases, val=4, fold=(index, 4)) for index in range(4)]
    tested = [ids(part["test"]) for part in parts]
    assert sorted(id for part in tested for id in part) == sorted(ids(cases))
    assert all(abs(len(one) - 29 / 4) < 4 for one in tested)
    for part in parts:
        named = [groups(part[name]) for name in ("train", "val", "test")]
        assert not (named[0] & named[1] or named[0] & named[2] or named[1] & named[2])
        assert sum(map(len, part.values())) == 29 and 4 <= len(part["val"]) < 8
    # What is for validation in one is tested in the next: behind the last comes the first.
    for part, later in zip(parts, [*parts[1:], parts[0]], strict=True):
        assert groups(part["val"]) <= groups(later["test"])


def test_split_counts_and_shares():
    cases = cases_of([1] * 20)
    parts = data.split(cases, train=0.5, val=3, test=0)
    assert [len(parts[name]) for name in ("train", "val", "test")] == [10, 3, 0]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"train": 19}, "train=19 asks for 19 cases, but 12 of 20 remain"),
        ({"val": -1}, "val must be a number of cases from 0 to 20"),
        ({"test": 1.5}, "test must be"),
        ({"test": 21}, "test must be"),
        ({"val": 0.6, "test": 0.6}, "more cases than there are"),
        ({"fold": (4, 4)}, "fold must be"),
        ({"fold": (1, 50)}, "of 50 parts of 20 groups, 30 would be empty"),
    ],
)
def test_impossible_splits_say_so(wanted, message):
    with pytest.raises(ValueError, match=message):
        data.split(cases_of([1] * 20), **wanted)
