"""Scribbles and points: where they lie, and how much they label."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

import data
from data import weak
from tests.data.cells import VOID, beside, cell, disc, moved

EIGHT = np.ones((3, 3))


@pytest.mark.parametrize("generate", [weak.scribbles, weak.points])
def test_no_label_is_wrong_and_no_class_is_missing(generate):
    for case in data.phantom(6, (60, 84)):
        given = generate(case.label, seed=0)
        assert (given == case.label)[given != VOID].all()
        assert set(np.unique(case.label)) == set(np.unique(given)) - {VOID}


def test_scribbles_have_their_share():
    for case in data.phantom(8, (80, 100)):
        given = weak.scribbles(case.label, seed=0)
        for value in np.unique(case.label):
            mask = case.label == value
            if mask.sum() >= 100:
                assert 0.02 <= (given[mask] != VOID).mean() <= 0.05
    # One piece: to the pixel.
    for share in (0.01, 0.03, 0.1):
        given = weak.scribbles(cell(), seed=0, share=share)
        for value in range(3):
            assert (given == value).sum() == round(share * (cell() == value).sum())


def test_scribbles_are_thin_connected_and_inside():
    near = beside(cell())
    for seed in range(4):
        given = weak.scribbles(cell(), seed=seed)
        for value in range(3):
            stroke = given == value
            assert ndimage.label(stroke, EIGHT)[1] == 1
            blocks = ndimage.minimum_filter(np.pad(stroke, 1), 2)  # full squares of 2 x 2
            assert blocks.sum() <= 0.1 * stroke.sum()
            assert not any(near[tuple(p)] for p in np.argwhere(stroke))


def test_scribbles_do_not_squeeze_through_a_neck():
    label = np.zeros((30, 70), "uint8")
    label[5:25, 5:30] = label[5:25, 31:66] = label[15, 30] = 1  # two halves, one pixel between
    for seed in range(8):
        given = weak.scribbles(label, seed=seed, share=0.06)
        assert (given == 1).sum() == round(0.06 * label.sum(dtype=int)) and given[15, 30] == VOID


def test_scribbles_follow_the_ridge():
    label = np.zeros((41, 130), "uint8")
    label[10:25, 15:115] = 1  # the ridge is row 17, less far from the ends than from the sides
    for seed in range(4):
        rows = np.argwhere(weak.scribbles(label, seed=seed) == 1)[:, 0]
        assert (abs(rows - 17) <= 2).all() and (rows == 17).mean() > 0.5
    label = np.zeros((60, 150), "uint8")
    label[10:50, 20:130] = 1
    short = [weak.scribbles(label, seed=seed, share=0.0025) == 1 for seed in range(20)]
    centres = [np.argwhere(stroke)[:, 1].mean() for stroke in short]
    assert np.histogram(centres, [30, 60, 90, 120])[0].min() >= 3  # any part of the ridge


def test_scribbles_do_not_cut_corners():
    label = disc((70, 76), (34, 38), 29).astype("uint8")
    label[disc(label.shape, (34, 38), 15)] = 2
    for seed in range(4):
        places = np.argwhere(weak.scribbles(label, seed=seed) == 1) - (34, 38)
        radii = np.hypot(*places.T)  # 16 is the shortest way, 22 the ridge
        assert abs(np.median(radii) - 22) < 1


def test_scribbles_in_a_class_of_many_pieces():
    label = np.zeros((100, 130), "uint8")
    centres = list(itertools.product((15, 48, 81), (15, 48, 81, 114)))
    for centre in centres:
        label[disc(label.shape, centre, 11)] = 1
    chosen = set()
    for seed in range(3):
        given = weak.scribbles(label, seed=seed) == 1
        assert 0.02 <= given[label == 1].mean() <= 0.05
        counts = np.array([given[disc(label.shape, c, 11)].sum() for c in centres])
        wanted = 0.03 * (label == 1).sum() / len(centres)
        assert counts.max() <= 1.5 * wanted + 1
        assert len(centres) / 2 <= (counts > 0).sum() < len(centres)
        chosen.add(tuple(counts > 0))
    assert len(chosen) > 1  # which pieces, the seed decides


def test_scribbles_go_to_the_outline_only_where_the_inside_is_too_small():
    label = np.zeros((30, 120), "uint8")
    label[4:6, 5:115] = label[4:11, 5:12] = 1  # two pixels wide, with a wider end
    given = weak.scribbles(label, seed=0, share=0.1)
    inside = moved(label == 1, -1)
    assert inside.sum() == 26 and (given == 1).sum() == round(0.1 * label.sum(dtype=int))
    assert 4 < (given == 1)[inside].sum() < (given == 1).sum()


def test_tiny_and_thin_classes():
    label = np.zeros((30, 41), "int64")
    label[3, 5] = 1  # one pixel
    label[20, 2:39] = 3  # one pixel wide
    label[8:10, 30:33] = 7  # 4 to 6 and 2 are absent
    label[0, 0] = 4  # in the corner
    strokes = weak.scribbles(label, seed=0)
    assert [(strokes == k).sum() for k in (1, 3, 7, 4)] == [1, 1, 1, 1]
    assert (weak.scribbles(label, seed=0, share=0.2) == 3).sum() == 7
    dots = weak.points(label, seed=0)
    assert (dots == 1).sum() == 1 and 6 <= (dots == 3).sum() <= 9  # three bits of the line
    for given in (strokes, dots):
        assert (given == label)[given != VOID].all()
        assert set(np.unique(given)) == {0, 1, 3, 4, 7, VOID}
    for seed in range(20):  # an erosion leaves something
        noisy = weak.noisy_outlines(label, seed=seed, flips=0)
        assert set(np.unique(noisy)) == {0, 1, 3, 4, 7}


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3)])
def test_one_class_only(shape):
    label = np.full(shape, 2, "uint8")
    for generate in (weak.scribbles, weak.points):
        given = generate(label, seed=0)
        assert (given == 2).any() and set(np.unique(given)) <= {2, VOID}
    assert np.array_equal(weak.noisy_outlines(label, seed=0), label)


@pytest.mark.parametrize(("number", "size"), [(3, 3), (5, 2), (1, 4)])
def test_points_are_whole_squares_apart(number, size):
    for seed in range(5):
        given = weak.points(cell(), seed=seed, number=number, size=size)
        for value in range(3):
            pieces, found = ndimage.label(given == value, EIGHT)
            assert found == number
            for box in ndimage.find_objects(pieces):
                assert pieces[box].shape == (size, size) and pieces[box].all()


def test_points_are_cut_off_only_where_they_must_be():
    label = np.zeros((20, 26), "uint8")
    label[2:5, 3:6] = 1  # one whole dot
    label[12:14, 20:22] = 1  # room for a part of one
    for seed in range(5):
        given = weak.points(label, seed=seed)
        assert (given[2:5, 3:6] == 1).all() and (given[12:14, 20:22] == 1).any()


def test_points_are_apart_in_a_thin_class_too():
    label = np.zeros((12, 20), "uint8")
    label[6, 4:13] = 1  # room for two bits of a square, if they are not side by side
    for seed in range(20):
        given = weak.points(label, seed=seed, number=2)
        assert ndimage.label(given == 1, EIGHT)[1] == 2
