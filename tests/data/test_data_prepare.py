"""Preparation: intensities, slices, padding, crops, shrinking."""

import itertools

import numpy as np
import pytest

import data
from data.case import Case
from tests.tolerances import FLOAT32, assert_close


def case_of(shape, channels=2, seed=0, spacing=None):
    rng = np.random.default_rng(seed)
    image = rng.random((*shape, channels), dtype="float32")
    label = rng.integers(0, 3, shape).astype("uint8")
    return Case(image, label, spacing or (1.0,) * len(shape), f"c{seed}", f"g{seed}")


def test_normalise_each_channel_by_its_own_percentiles():
    rng = np.random.default_rng(0)
    image = rng.gamma(2, [3.0, 40000.0], (20, 31, 2)) + [5, -70000]
    result = data.normalise(image)
    assert result.dtype == "float32" and result.min() == 0 and result.max() == 1
    for k in range(2):
        values = np.sort(image[..., k].ravel())
        # Linear interpolation between order statistics: rank 0.005 (n - 1) by hand.
        low, high = (
            values[int(r)] + (r - int(r)) * (values[int(r) + 1] - values[int(r)])
            for r in (0.005 * 619, 0.995 * 619)
        )
        expected = [min(max((v - low) / (high - low), 0), 1) for v in image[..., k].ravel()]
        assert_close(result[..., k].ravel(), expected, FLOAT32)


def test_normalise_ignores_the_scanners_scale():
    image = np.random.default_rng(1).random((9, 14, 5, 1))
    # 4000 apart as in the hippocampus set; 2**12 keeps the arithmetic exact.
    assert np.array_equal(data.normalise(image), data.normalise(4096 * image))


def test_normalise_constant_and_non_finite():
    assert np.array_equal(data.normalise(np.full((4, 5, 1), 7)), np.zeros((4, 5, 1)))
    with pytest.raises(ValueError, match="received 1 NaN or infinite"):
        data.normalise(np.array([[[1.0], [np.nan]]]))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_rebuild_the_volume(axis):
    volume = case_of((4, 6, 5), spacing=(1.0, 2.0, 3.0))
    cut = data.slices([volume], axis)
    assert len(cut) == volume.label.shape[axis] and cut[1].id == f"c0/{axis}-001"
    assert {c.group for c in cut} == {"g0"}
    assert cut[0].spacing == tuple(s for i, s in enumerate((1.0, 2.0, 3.0)) if i != axis)
    assert np.array_equal(np.stack([c.label for c in cut], axis), volume.label)
    assert np.array_equal(np.stack([c.image for c in cut], axis), volume.image)


def test_slices_with_foreground_only():
    label = np.zeros((3, 4, 5), "uint8")
    label[1, 2, 3] = 2
    volume = Case(np.zeros((3, 4, 5, 1), "float32"), label, (1.0,) * 3, "v", "g")
    assert [c.id for c in data.slices([volume], 1, foreground_only=True)] == ["v/1-002"]


def test_slices_rejects_pictures_and_wrong_axes():
    with pytest.raises(ValueError, match="expects volumes"):
        data.slices([case_of((4, 5))], 0)
    with pytest.raises(ValueError, match="axis must be 0, 1 or 2; received 3"):
        data.slices([case_of((4, 5, 6))], 3)


@pytest.mark.parametrize("sizes", [[(7, 12), (10, 9)], [(3, 5, 4), (6, 2, 4)]])
def test_batch_pads_at_the_end_and_can_be_undone(sizes):
    cases = [case_of(size, seed=i) for i, size in enumerate(sizes)]
    images, labels, mask = data.batch(cases, multiple=4)
    full = [-(-max(axis) // 4) * 4 for axis in zip(*sizes, strict=True)]
    assert images.shape == (2, *full, 2) and labels.shape == mask.shape == (2, *full)
    assert (images.dtype, labels.dtype, mask.dtype) == ("float32", "uint8", "bool")
    for i, case in enumerate(cases):
        window = tuple(slice(s) for s in case.label.shape)
        assert np.array_equal(images[i][window], case.image)
        assert np.array_equal(labels[i][window], case.label)
        assert mask[i][window].all() and mask[i].sum() == case.label.size
        assert not labels[i][~mask[i]].any()
        for point in itertools.product(*map(range, full)):
            nearest = tuple(min(p, s - 1) for p, s in zip(point, case.label.shape, strict=True))
            assert np.array_equal(images[i][point], case.image[nearest])


def test_batch_to_a_given_shape():
    images, _, _ = data.batch([case_of((7, 12))], (9, 20))
    assert images.shape == (1, 9, 20, 2)
    with pytest.raises(ValueError, match=r"cannot pad to \(9, 10\): the largest case is \(7, 12\)"):
        data.batch([case_of((7, 12))], (9, 10))


def test_batch_rejects_what_does_not_go_together():
    with pytest.raises(ValueError, match="at least one case"):
        data.batch([])
    with pytest.raises(ValueError, match="one kind"):
        data.batch([case_of((4, 5), channels=1), case_of((4, 5), channels=3)])
    with pytest.raises(ValueError, match="one kind"):
        data.batch([case_of((4, 5)), case_of((4, 5, 6))])


def test_crop_in_the_middle_and_at_random():
    case = case_of((9, 12))
    middle = data.crop(case, (4, 6))
    assert np.array_equal(middle.image, case.image[2:6, 3:9])
    assert np.array_equal(middle.label, case.label[2:6, 3:9])
    assert data.crop(case, (4, 20)).label.shape == (4, 12)
    rng = np.random.default_rng(0)
    places = set()
    for _ in range(60):
        piece = data.crop(case, (8, 11), rng)
        found = [
            (y, x)
            for y, x in itertools.product(range(2), range(2))
            if np.array_equal(piece.image, case.image[y : y + 8, x : x + 11])
        ]
        assert len(found) == 1
        places |= set(found)
    assert len(places) == 4
    with pytest.raises(ValueError, match="2 sizes"):
        data.crop(case, (4,))


@pytest.mark.parametrize("shape", [(7, 10), (4, 7, 5)])
def test_shrink_is_block_mean_and_majority(shape):
    case = case_of(shape, spacing=tuple(float(i + 1) for i in range(len(shape))))
    small = data.shrink(case, 3)
    assert small.spacing == tuple(3.0 * (i + 1) for i in range(len(shape)))
    assert small.label.shape == tuple(s // 3 for s in shape) and small.label.dtype == "uint8"
    for point in itertools.product(*map(range, small.label.shape)):
        block = tuple(slice(3 * p, 3 * p + 3) for p in point)
        votes = np.bincount(case.label[block].ravel())
        assert small.label[point] == votes.argmax()
        expected = case.image[block].astype("float64").reshape(-1, 2).sum(0) / 3 ** len(shape)
        assert_close(small.image[point], expected, FLOAT32)
    with pytest.raises(ValueError, match="factor must be from 1 to"):
        data.shrink(case, 8)
