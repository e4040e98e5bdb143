"""What is changed in a batch at random, and what is not."""

import numpy as np
import pytest

from experiments.config import make
from experiments.train.augment import augmented
from experiments.train.inputs import FAR, VOID, Slices


def test_augmentation_mirrors_all_arrays_alike_and_jitters_only_the_image():
    rows, columns = np.mgrid[:5, :4].astype("float32")
    places = np.stack([np.stack([rows, columns], axis=-1)] * 40)  # (B, H, W, K), each its place
    slices = Slices([], places, places.copy(), places[..., 0].astype("int32"), axis=0)
    chosen = np.arange(40)
    changes = make({"flips": True, "jitter": 0.1})
    changed, again = (augmented(slices, chosen, changes, [1, 2]) for _ in range(2))
    np.testing.assert_array_equal(changed.images, again.images)
    np.testing.assert_array_equal(changed.references[..., 0], changed.labels)
    corners = {tuple(one[0, 0].astype(int)) for one in changed.references}
    assert corners == {(0, 0), (4, 0), (0, 3), (4, 3)}
    # Of image = (1 + a) place + b, both are the same all over one slice and channel.
    for image, place in zip(changed.images, changed.references, strict=True):
        for channel in range(2):
            factor, shift = np.polyfit(place[..., channel].ravel(), image[..., channel].ravel(), 1)
            assert 0 < abs(factor - 1) <= 0.1 + 1e-6 and 0 < abs(shift) <= 0.1 + 1e-6
    np.testing.assert_array_equal(augmented(slices, chosen, make({}), [1]).images, places)


def test_crops_are_windows_of_what_is_no_padding():
    rows, columns = np.mgrid[:9, :12].astype("float32")
    places = np.stack([np.stack([rows, columns], axis=-1)] * 60)  # (B, H, W, K), each its place
    heights = np.where(np.arange(60) % 2, 9, 3)  # smaller than the crop, or not
    inside = np.arange(9)[:, None] < heights[:, None, None]
    references = np.where(inside[..., None], places, np.float32(FAR))
    slices = Slices([], places, references, places[..., 0].astype("int32"), axis=0)
    crop = make({"crop": 4, "depth": 2})
    changed, again = (augmented(slices, np.arange(60), crop, [1, 2]) for _ in range(2))
    np.testing.assert_array_equal(changed.images, again.images)
    assert changed.images.shape == (60, 4, 4, 2) and changed.labels.shape == (60, 4, 4)
    np.testing.assert_array_equal(changed.images[..., 0], changed.labels)
    corners = changed.images[:, 0, 0].astype(int)
    np.testing.assert_array_equal(changed.images - corners[:, None, None], places[:, :4, :4])
    assert {*corners[0::2, 0]} == {0} and {*corners[1::2, 0]} == {*range(9 - 4 + 1)}
    assert {*corners[:, 1]} == {*range(12 - 4 + 1)}
    assert changed.present[1::2].all() and changed.present[0::2, :3].all()
    other = augmented(slices, np.arange(60), crop, [1, 3])
    assert not np.array_equal(other.images, changed.images)


OTHER = 1000  # than VOID is any number of a point


def in_a_box(shape, inside, number):
    """Slices whose images tell each point's place, padded behind a box."""
    places = np.stack(np.indices(shape), axis=-1).astype("float32")
    present = np.all(places < inside, axis=-1)
    labels = np.where(present, OTHER + np.ravel_multi_index(np.indices(shape), shape), VOID)
    one = (places, np.where(present[..., None], places, np.float32(FAR)), labels.astype("int32"))
    images, references, labels = (np.stack([array] * number) for array in one)
    return Slices([], images, references, labels, axis=None)


@pytest.mark.parametrize("shape", [(24, 18), (20, 14, 17)])
def test_what_is_turned_is_as_far_apart_as_before(shape):
    inside = np.array(shape) - 3
    slices = in_a_box(shape, inside, 12)
    changes = make({"rotate": 40, "zoom": 0.3, "volumes": len(shape) == 3})
    changed, again = (augmented(slices, np.arange(12), changes, [1, 2]) for _ in range(2))
    np.testing.assert_array_equal(changed.images, again.images)
    assert changed.labels.shape == slices.labels.shape
    middle = np.array(shape) // 2
    steps = np.eye(len(shape), dtype=int)
    sizes = []
    for image in changed.images:
        # The middle stays, and neighbours on all axes are at right angles and equally far.
        np.testing.assert_allclose(image[tuple(middle)], middle, atol=1)
        sides = np.stack([image[(*(middle + e),)] - image[(*(middle - e),)] for e in steps]) / 2
        square = sides @ sides.T
        size = np.sqrt(np.trace(square) / len(shape))
        np.testing.assert_allclose(square, size**2 * np.eye(len(shape)), atol=1e-4)
        assert np.linalg.det(sides) > 0  # turned, not mirrored
        assert sides.trace() / size / len(shape) >= np.cos(np.deg2rad(40)) - 1e-4
        sizes.append(size)
    assert 1 / 1.3 <= min(sizes) < 0.95 and 1.05 < max(sizes) <= 1.3
    # What a label says is the point that is nearest; where there is none, it is padding.
    known = changed.labels != VOID
    assert 0.3 < known.mean() < 1
    found = np.stack(np.unravel_index(changed.labels[known] - OTHER, shape), axis=-1)
    assert np.abs(found - changed.images[known]).max() <= 0.5 + 1e-4
    assert (changed.references[known] == changed.images[known]).all()
    far = changed.references[..., 0] == FAR
    assert (~known == far).all()


def test_windows_of_volumes_are_turned_about_their_own_middle():
    slices = in_a_box((20, 14, 17), (20, 14, 17), 200)
    config = make({"rotate": 1e-6, "crop": 8, "volumes": True})
    changed = augmented(slices, np.arange(200), config, [3])
    assert changed.images.shape == (200, 8, 8, 8, 3)
    corners = changed.images[:, 0, 0, 0].round().astype(int)
    np.testing.assert_allclose(
        changed.images - corners[:, None, None, None], slices.images[:, :8, :8, :8], atol=1e-4
    )
    assert [len({*axis.tolist()}) for axis in corners.T] == [13, 7, 10]
    plain = augmented(slices, np.arange(200), make({"crop": 8, "volumes": True}), [3])
    np.testing.assert_array_equal(plain.images[:, 0, 0, 0], corners)


def test_weights_turn_with_their_points():
    slices = in_a_box((12, 10), (12, 10), 3)
    weighted = Slices(
        [], slices.images, slices.references, slices.labels, None, slices.labels.astype("float32")
    )
    changed = augmented(weighted, np.arange(3), make({"rotate": 30.0}), [1])
    known = changed.labels != VOID
    np.testing.assert_array_equal(changed.weights[known], changed.labels[known])
    assert (changed.weights[~known] == 0).all()
