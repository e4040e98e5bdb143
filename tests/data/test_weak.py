"""Weak labels: right where they should be, noisy as much as asked, the same for the same case."""

import hashlib
import itertools

import numpy as np
import pytest

import data
from data import weak
from data.case import Case
from tests.data.cells import VOID, beside, cell, disc, moved
from tests.real_sets import needs

GENERATORS = (weak.scribbles, weak.points, weak.noisy_outlines)


def case_of(label, name="a"):
    return Case(np.zeros((*label.shape, 1), "float32"), label, (1.0,) * label.ndim, name, name)


@pytest.mark.parametrize("generate", GENERATORS)
def test_the_seed_decides(generate):
    label = cell()
    first = generate(label, seed=3)
    assert first.shape == label.shape and first.dtype == "uint8"
    assert np.array_equal(first, generate(label, seed=3))
    assert not np.array_equal(first, generate(label, seed=4))
    assert np.array_equal(label, cell())  # not written to


@pytest.mark.parametrize("kind", weak.KINDS)
def test_a_case_has_its_label_whatever_else_there_is(kind):
    cases = data.phantom(3, (40, 52))
    once = {c.id: data.weaken(c, kind, 7).label for c in cases}
    for case in reversed(data.phantom(5, (40, 52))[:3]):
        np.random.default_rng(0).random()
        again = data.weaken(case, kind, 7)
        assert np.array_equal(again.label, once[case.id])
        # The seed, from the definition.
        seed = int(hashlib.sha256(f"7:0:{case.id}".encode()).hexdigest(), 16)
        assert np.array_equal(again.label, weak.KINDS[kind](case.label, seed=seed))
    label = cases[0].label
    named = [data.weaken(case_of(label, name), kind, 7).label for name in "ab"]
    assert not np.array_equal(*named)


def test_weaken_keeps_everything_but_the_label():
    case = data.phantom(1, (30, 44))[0]  # a lazy one
    weakened = data.weaken(case, "scribbles", 0)
    assert weakened.image is case.image and weakened.label.dtype == "uint8"
    assert (weakened.spacing, weakened.id, weakened.group) == (case.spacing, case.id, case.group)
    wide = case_of(case.label.astype("int64"))
    assert data.weaken(wide, "scribbles", 0).label.dtype == "uint8"


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("kind", weak.KINDS)
def test_volumes_slice_by_slice(kind, axis):
    label = np.zeros((12, 14, 16), "uint8")
    label[4:9, 3:11, 5:12] = 1
    weakened = data.weaken(case_of(label), kind, 1, axis).label
    assert weakened.shape == label.shape
    slices = np.moveaxis(weakened, axis, 0)
    for i, (given, truth) in enumerate(zip(slices, np.moveaxis(label, axis, 0), strict=True)):
        seed = int(hashlib.sha256(f"1:{i}:a".encode()).hexdigest(), 16)
        assert np.array_equal(given, weak.KINDS[kind](truth, seed=seed))
        assert (given == 0).any()  # in slices without foreground, too
        assert kind == "outlines" or (given == 1).any() == truth.any()


@pytest.mark.parametrize("pixels", [2, 3])
def test_outlines_move_each_on_its_own(pixels):
    label = cell()
    cells = {s: moved(label >= 1, s * pixels) for s in (-1, 1)}
    nuclei = {s: moved(label == 2, s * pixels) for s in (-1, 1)}
    seen = set()
    for seed in range(30):
        noisy = weak.noisy_outlines(label, seed=seed, shift=(pixels, pixels), flips=0)
        found = [
            (a, b)
            for a, b in itertools.product((-1, 1), repeat=2)
            if np.array_equal(noisy == 2, nuclei[b])
            and np.array_equal(noisy >= 1, cells[a] | nuclei[b])
        ]
        assert len(found) == 1
        seen |= set(found)
    assert len(seen) == 4


def test_outlines_of_neighbours_leave_gaps():
    label = np.zeros((50, 80), "uint8")
    label[10:40, 8:40], label[18:32, 40:72] = 1, 2  # a short common border: side by side
    ones, twos = ({s: moved(label == k, 3 * s) for s in (-1, 1)} for k in (1, 2))
    seen = set()
    for seed in range(30):
        noisy = weak.noisy_outlines(label, seed=seed, shift=(3, 3), flips=0)
        # The smaller one is painted over the larger one.
        found = [
            (a, b)
            for a, b in itertools.product((-1, 1), repeat=2)
            if np.array_equal(noisy, np.where(twos[b], 2, ones[a]))
        ]
        assert len(found) == 1
        seen |= set(found)
    assert len(seen) == 4


def test_outlines_of_pieces_move_apart_from_each_other():
    label = np.zeros((50, 90), "uint8")
    pieces = [disc(label.shape, (25, x), 9) for x in (20, 65)]
    label[pieces[0] | pieces[1]] = 1
    changes = set()
    for seed in range(20):
        noisy = weak.noisy_outlines(label, seed=seed, flips=0)
        changes.add((noisy[:, :42].sum() > pieces[0].sum(), noisy[:, 42:].sum() > pieces[1].sum()))
    assert len(changes) == 4


def test_shifts_cover_their_range():
    label = np.zeros((40, 50), "uint8")
    label[disc(label.shape, (20, 24), 9)] = 1
    wanted = {moved(label == 1, s).sum() for s in (-4, -3, -2, 2, 3, 4)}
    areas = {weak.noisy_outlines(label, seed=s, flips=0).sum() for s in range(60)}
    assert areas == wanted and len(wanted) == 6


def test_flips_take_a_neighbours_class():
    label = data.phantom(1, (60, 70))[0].label
    near = beside(label)
    edge = np.vectorize(bool)(near)
    noisy = weak.noisy_outlines(label, seed=0, shift=(0, 0), flips=1)
    assert all(noisy[tuple(p)] in near[tuple(p)] for p in np.argwhere(edge))
    assert np.array_equal(noisy[~edge], label[~edge])
    some = np.mean(
        [
            (weak.noisy_outlines(label, seed=s, shift=(0, 0), flips=0.2) != label)[edge].mean()
            for s in range(10)
        ]
    )
    assert 0.18 < some < 0.22


def test_outlines_are_as_noisy_as_the_pilots():
    cases = data.phantom(10)
    noisy = [data.weaken(case, "outlines", 0).label for case in cases]
    right = [weak.shares(c.label, n)[1] for c, n in zip(cases, noisy, strict=True)]
    assert 0.8 < np.mean(right) < 0.92 and min(right) > 0.7
    assert all(
        set(np.unique(c.label)) == set(np.unique(n)) for c, n in zip(cases, noisy, strict=True)
    )


def test_shares_by_hand():
    label = np.array([[0, 0, 0, 0], [1, 1, 3, 3]])
    given = np.array([[0, VOID, VOID, VOID], [1, 3, VOID, VOID]])
    labelled, right = weak.shares(label, given)
    assert labelled == {0: 0.25, 1: 1.0, 3: 0.0} and right == 2 / 3
    assert np.isnan(weak.shares(label, np.full_like(label, VOID))[1])
    assert weak.shares(label, label, void=9)[1] == 1.0
    with pytest.raises(ValueError, match="one shape"):
        weak.shares(label, given[:1])


def test_void_may_be_any_value_but_a_class():
    label = cell()
    for generate in (weak.scribbles, weak.points):
        given = generate(label, seed=0, void=-1)
        assert set(np.unique(given)) == {-1, 0, 1, 2}
        with pytest.raises(ValueError, match="void = 2 is among the labels"):
            generate(label, seed=0, void=2)
    with pytest.raises(ValueError, match="void = 255 is among the labels"):
        data.weaken(case_of(np.full((4, 5), 255, "uint8")), "points", 0)


@pytest.mark.parametrize("generate", GENERATORS)
def test_wrong_maps_are_refused(generate):
    for wrong in (np.zeros((3, 4, 5), int), np.zeros((3, 4)), np.zeros((0, 4), int)):
        with pytest.raises(ValueError, match=r"expected one label map, \(H, W\) integers"):
            generate(wrong, seed=0)


def test_wrong_options_are_refused():
    label, case = cell(), case_of(cell())
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\]"):
        weak.scribbles(label, seed=0, share=0)
    with pytest.raises(ValueError, match="number and size must be 1 or more"):
        weak.points(label, seed=0, number=0)
    for wrong in ({"shift": (4, 2)}, {"shift": (-1, 2)}, {"flips": 1.5}):
        with pytest.raises(ValueError, match="0 <= low <= high"):
            weak.noisy_outlines(label, seed=0, **wrong)
    with pytest.raises(ValueError, match="kind must be one of scribbles, points, outlines"):
        data.weaken(case, "boxes", 0)
    with pytest.raises(ValueError, match="axis 0, 1 or 2"):
        data.weaken(case, "points", 0, axis=3)


@pytest.mark.parametrize("name", ["wbc1", "nuclei_stain", "hippocampus"])
def test_real_sets(name):
    needs(name)
    right = []
    for case in data.load(name)[:3]:
        for kind in ("scribbles", "points"):
            given = data.weaken(case, kind, 0).label
            assert (given == case.label)[given != VOID].all()
            labelled, accuracy = weak.shares(case.label, given)
            assert accuracy == 1.0 and min(labelled.values()) > 0
            if kind == "scribbles":
                assert all(0.02 <= share <= 0.05 for share in labelled.values())
        noisy = data.weaken(case, "outlines", 0).label
        assert set(np.unique(noisy)) == set(np.unique(case.label))
        right.append(weak.shares(case.label, noisy)[1])
    assert 0.8 < np.mean(right) < 0.98
