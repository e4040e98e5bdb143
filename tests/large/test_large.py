"""Tiles give what the whole image gives, to the last bit."""

import contextlib
import functools

import numpy as np
import pytest

import crfrnn
from crfrnn.filtering import native
from crfrnn.native import library

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from crfrnn import large  # noqa: E402
from crfrnn.large.plan import POINTS, plan, tiles, widened  # noqa: E402
from tests.tolerances import FLOAT32, assert_close  # noqa: E402

RNG = np.random.default_rng(0)
GRID = (90, 130)
COLOUR = dict(
    theta_alpha=(4.0, 5.0),
    theta_beta=(20.0, 30.0, 25.0),
    theta_gamma=(2.0, 1.5),
    bilateral_weight=4.0,
    spatial_weight=np.array([2.0, 1.0, 3.0]),
    num_iterations=3,
)


def colour_case():
    image = np.kron(RNG.uniform(0, 255, (9, 13, 3)), np.ones((10, 10, 1)))
    image += RNG.normal(0, 8, image.shape)
    image[:50, :60] = 100.0  # of one colour, as the background of a slide
    return image, RNG.dirichlet(np.ones(3), GRID).astype(np.float32)


def whole(image, probs, **crf):
    """`crfrnn.refine`, with the sums in the order of the points: those of tiles are."""
    with library.in_order() if native.available() else contextlib.nullcontext():
        return crfrnn.refine(image, probs, **crf)


@pytest.mark.parametrize("normalization", ["symmetric", "before", "after", "none"])
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_tiles_are_the_whole_bit_by_bit(normalization, passes):
    image, probs = colour_case()
    crf = COLOUR | {"normalization": normalization, "compatibility": 1.0 - np.eye(3)}
    if normalization == "none":  # messages are sums over some hundred points
        crf |= {"bilateral_weight": 0.05, "spatial_weight": 0.02}
    expected = whole(image, probs, **crf)
    assert 0.02 < np.mean(expected.argmax(-1) != probs.argmax(-1)) < 0.9
    image = da.from_array(image, chunks=(40, 37, 2))
    probs = da.from_array(probs, chunks=(31, 64, 1))
    for tile in (37, (64, 29)):
        refined = large.refine(image, probs, **crf, passes=passes, tile=tile)
        assert refined.dtype == np.float32 and refined.shape == (*GRID, 3)
        np.testing.assert_array_equal(refined.compute(scheduler="threads"), expected)


def test_whole_and_in_order_differ_by_rounding():
    image, probs = colour_case()
    assert_close(whole(image, probs, **COLOUR), crfrnn.refine(image, probs, **COLOUR), FLOAT32)


def test_volumes_with_spacing():
    image = RNG.normal(size=(22, 31, 27)).astype(np.float32)
    probs = RNG.dirichlet(np.ones(2), image.shape)
    crf = dict(theta_alpha=2.0, theta_beta=1.0, theta_gamma=(1.0, 1.5, 2.0), bilateral_weight=3.0)
    crf |= dict(spatial_weight=1.0, spacing=(1.0, 0.8, 1.3), num_iterations=2)
    for passes in (1, 2):
        refined = large.refine(image, probs, **crf, passes=passes, tile=(9, 11, 12))
        np.testing.assert_array_equal(refined.compute(scheduler="sync"), whole(image, probs, **crf))


@pytest.mark.parametrize("passes", [1, 3])
def test_masks_with_tiles_that_are_wholly_outside(passes):
    image, probs = colour_case()
    mask = RNG.uniform(size=GRID) < 0.9
    mask[:45, :70] = False
    image[~mask] = np.nan
    refined = large.refine(image, probs, **COLOUR, mask=mask, passes=passes, tile=20)
    expected = whole(image, probs, **COLOUR, mask=mask)
    np.testing.assert_array_equal(refined.compute(scheduler="sync"), expected)


def test_a_smaller_halo_leaves_seams_and_the_exact_one_is_needed():
    image, probs = colour_case()
    expected = whole(image, probs, **COLOUR)
    exact = plan(GRID, [COLOUR["theta_alpha"], COLOUR["theta_gamma"]], 3, passes=1)
    refine = functools.partial(large.refine, image, probs, **COLOUR, passes=1, tile=20)
    assert exact.halo == (17 * 4, 19 * 4)
    seams = [
        np.abs(refine(halo=share).compute(scheduler="sync") - expected).max()
        for share in (0, 0.06, 0.25)
    ]
    assert seams[0] > seams[1] > seams[2] > 0


def test_large_halos_do_not_fill_the_memory():
    for grid, thetas in (((2000, 2000, 2000), [20, 2]), ((20000, 20000), [80, 3])):
        assert plan(grid, thetas, 5).points <= POINTS
    grid, wide = (20000, 20000), [500, 3]
    assert plan(grid, wide, 5).points == min(plan(grid, wide, 5, passes=p).points for p in (1, 5))
    image = da.zeros((*grid, 3), chunks=4000, dtype=np.uint8)
    probs = da.zeros((*grid, 2), chunks=4000, dtype=np.float32)
    with pytest.warns(UserWarning, match="The kernels reach far"):
        large.refine(image, probs, **COLOUR | {"theta_alpha": 500.0, "spatial_weight": 1.0})


@pytest.mark.parametrize("passes", [1, 3])
def test_masks_with_tiles_that_are_wholly_inside(passes):
    """These are worked on as without a mask: to the same bits."""
    image, probs = colour_case()
    mask = np.ones(GRID, bool)
    mask[:15, :10] = mask[40:45, 30:34] = False
    tiles = [
        large.refine(image, probs, **COLOUR, mask=mask, passes=passes, tile=tile).compute()
        for tile in (9, 20, GRID)
    ]
    np.testing.assert_array_equal(tiles[0], tiles[2])
    np.testing.assert_array_equal(tiles[1], tiles[2])


def test_a_mask_of_numbers_and_empty_images_and_kernels_left_out():
    image, probs = colour_case()
    mask = (RNG.uniform(size=GRID) < 0.8).astype(np.uint8)
    refined = large.refine(image, probs, **COLOUR, mask=mask, passes=2, tile=40)
    expected = whole(image, probs, **COLOUR, mask=mask)
    np.testing.assert_array_equal(refined.compute(scheduler="sync"), expected)
    off = COLOUR | {"bilateral_weight": 0, "spatial_weight": 0}
    assert_close(large.refine(image, probs, **off, passes=2).compute(), probs, FLOAT32)
    assert large.refine(image[:0], probs[:0], **COLOUR).compute().shape == (0, 130, 3)


def test_masked_arrays_are_refused():
    image, probs = colour_case()
    hidden = da.ma.masked_greater(da.from_array(image), 200.0)
    with pytest.raises(ValueError, match="without masked points"):
        large.refine(hidden, probs, **COLOUR).compute(scheduler="sync")


def test_images_smaller_than_a_tile_and_no_iterations():
    image, probs = colour_case()
    crf = COLOUR | {"num_iterations": 0}
    assert_close(large.refine(image, probs, **crf).compute(scheduler="sync"), probs, FLOAT32)
    crf = COLOUR | {"bilateral_weight": 0, "spatial_weight": 0}
    assert_close(large.refine(image, probs, **crf).compute(scheduler="sync"), probs, FLOAT32)


def test_the_plan_is_the_cheapest():
    wide = plan((20000, 20000), [80, 3], 5)
    narrow = plan((20000, 20000), [5, 3], 5)
    assert len(wide.iterations) > len(narrow.iterations) == 1
    for thetas, best in (([80, 3], wide), ([5, 3], narrow)):
        others = [plan((20000, 20000), thetas, 5, passes=p).cost for p in range(1, 6)]
        assert best.cost == min(others)
    assert sum(wide.iterations) == 5 and wide.norm_halo is not None
    assert plan((20000, 20000), [80, 3], 5, "after").norm_halo is None
    assert plan((90, 80), [3], 5).cost == 1  # one tile


@pytest.mark.parametrize("grid", [(7, 5), (1, 9)])
def test_tiles_cover_every_point_once(grid):
    seen = np.zeros(grid, int)
    for rows in tiles(grid, (3, 2))[0]:
        for columns in tiles(grid, (3, 2))[1]:
            outer, within = widened((rows, columns), (2, 1), grid)
            part = seen[outer]
            part[within] += 1
    assert (seen == 1).all()


def test_wrong_numbers_are_said_with_their_place():
    image, probs = colour_case()
    image[70, 100, 1] = np.nan
    with pytest.raises(
        ValueError, match=r"(?s)part \[\d+:\d+, \d+:\d+\] of the image.*finite image"
    ):
        large.refine(image, probs, **COLOUR, tile=30).compute(scheduler="sync")
    image, probs = colour_case()
    probs[3, 4] *= 2
    with pytest.raises(ValueError, match=r"(?s)part \[0:.*\] of the image.*sum to 1"):
        large.refine(image, probs, **COLOUR, tile=30).compute(scheduler="sync")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(passes=2.5), "`passes` to be a whole number"),
        (dict(tile="a"), "`tile`"),
        (dict(tile=(8, 8, 8)), "`tile`"),
        (dict(halo=np.nan), "`halo`"),
        (dict(probs=np.ones((90, 130, 1))), "L >= 2"),
        (dict(passes=4), "`passes` from 1 to num_iterations = 3. Received 4"),
        (dict(tile=0), "`tile` to be positive"),
        (dict(halo=1.5), "`halo` from 0 to 1"),
        (dict(mask=np.ones((3, 3))), r"`mask` of shape \(90, 130\). Received shape \(3, 3\)"),
        (dict(theta_alpha=0), "`theta_alpha`"),
        (dict(probs=np.ones((90, 130))), "np.stack"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_read(wrong, message):
    image, probs = colour_case()
    with pytest.raises(ValueError, match=message):
        large.refine(**{"image": image, "probs": probs, **COLOUR, **wrong})


def _results(dask_worker):
    return len(dask_worker.data)


@pytest.mark.nightly
@pytest.mark.parametrize("killed", [False, True])
def test_a_cluster_gives_the_same_bits_though_a_worker_dies(killed):
    distributed = pytest.importorskip("distributed")
    image, probs = colour_case()
    expected = whole(image, probs, **COLOUR)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        future = client.compute(large.refine(image, probs, **COLOUR, passes=3, tile=16))
        if killed:
            victim = cluster.workers[0]
            while not client.run(_results, workers=[victim.worker_address])[victim.worker_address]:
                pass  # until there is something to lose
            victim.process.process.kill()
        np.testing.assert_array_equal(future.result(timeout=300), expected)


@pytest.mark.parametrize("odd", [255, np.nan, 0.5])
def test_masks_of_anything_but_truth_are_refused(odd):
    image, probs = colour_case()
    mask = np.ones(GRID)
    mask[3:9] = 0
    expected = whole(image, probs, **COLOUR, mask=mask > 0)
    refined = large.refine(image, probs, **COLOUR, mask=mask)
    np.testing.assert_array_equal(np.asarray(refined), np.asarray(expected))
    mask[20, 20] = odd
    with pytest.raises(ValueError, match=r"`mask` True where a point counts. Received the values"):
        large.refine(image, probs, **COLOUR, mask=mask).compute()
