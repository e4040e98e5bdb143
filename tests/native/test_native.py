"""The native library beyond the contract of all filters: keys, limits, errors."""

import os
import subprocess
import sys

import numpy as np
import pytest

from crfrnn import native_status
from crfrnn.filtering import LatticeFilter
from crfrnn.filtering.native import NativeLatticeFilter
from crfrnn.native import library
from tests.native.required import HANGS, require
from tests.tolerances import EXACT, FLOAT32, assert_close

require()


def random(*shape, scale=1.0, seed=0):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def test_status_names_the_library():
    status = native_status()
    assert status["available"] and os.path.exists(status["path"]) and status["error"] is None
    assert status["threads"] >= 1


# The wider the positions spread and the more features they have, the more words a key takes.
@pytest.mark.parametrize(
    ("features", "scale"), [(1, 1.0), (5, 3.0), (16, 1.0), (12, 500.0), (20, 1e4), (32, 1e3)]
)
def test_keys_of_any_width_give_the_same_lattice_as_the_sorted_one(features, scale):
    # Half of the points twice, so that corners meet however thin the points are spread.
    positions = np.tile(random(2, 40, features, scale=scale), (1, 2, 1))
    positions[:, 40:] += random(2, 40, features, scale=0.1, seed=1)
    values = random(2, 80, 3)
    assert_close(NativeLatticeFilter(positions)(values), LatticeFilter(positions)(values), FLOAT32)


def test_lattice_arrays_are_what_they_say():
    positions = random(3, 50, 4)
    lattice = library.build(positions)
    assert lattice.vertex_ids.shape == lattice.weights.shape == (3, 50, 5)
    assert_close(lattice.weights.sum(-1), np.ones((3, 50)), FLOAT32)
    ends = [0, *(lattice.vertex_ids[image].max() + 1 for image in range(3))]
    for image in range(3):  # images share no vertex
        assert set(np.unique(lattice.vertex_ids[image])) == set(range(*ends[image : image + 2]))
    for part in range(library.PARTS + 1):  # the corners of the points so far, numbered without gaps
        corners = lattice.vertex_ids.reshape(150, 5)[: 150 * part // library.PARTS]
        assert set(np.unique(corners)) == set(range(lattice.seen[part]))
    for axis in range(5):  # a vertex stands at most once in the chains of an axis
        chain = lattice.chains[lattice.chain_splits[axis] : lattice.chain_splits[axis + 1]]
        chained = np.where(chain < 0, ~chain, chain)
        assert len(np.unique(chained)) == len(chained)
        assert len(chain) == 0 or chain[0] < 0
    assert lattice.chain_splits[-1] == len(lattice.chains)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (np.full((1, 3, 2), np.nan), r"positions must be finite, received -?nan at point 0"),
        (np.array([[[0.0], [np.inf]]]), r"received inf at point 1, feature 0"),
        (np.full((1, 3, 2), 1e7), r"positions are beyond the range of lattice keys"),
        (np.full((1, 3, 2), 3e38), r"positions are beyond the range of lattice keys"),
        (np.zeros((1, 3, 0)), r"1 to 32 features, received 0"),
        (np.zeros((1, 3, 33)), r"1 to 32 features, received 33"),
    ],
)
def test_errors_name_the_argument(positions, message):
    with pytest.raises(ValueError, match=message):
        library.build(positions)


def test_one_bad_point_among_many_is_named():
    positions = np.zeros((2, 30000, 2), np.float32)
    positions[1, 12345, 1] = np.nan
    with pytest.raises(ValueError, match="at point 42345, feature 1"):
        library.build(positions)


@pytest.mark.parametrize("shape", [(0, 5, 2), (1, 0, 2), (3, 0, 2)])
def test_nothing_in_nothing_out(shape):
    lattice = library.build(np.zeros(shape, np.float32))
    assert library.apply(lattice, np.zeros((*shape[:2], 3), np.float32)).shape == (*shape[:2], 3)


def test_strided_and_float64_input():
    positions, values = random(1, 40, 6).astype(np.float64)[..., ::2], random(1, 40, 8)[..., ::2]
    result = library.apply(library.build(positions), values)
    expected = library.apply(
        library.build(np.ascontiguousarray(positions, np.float32)), np.ascontiguousarray(values)
    )
    assert_close(result, expected, EXACT)


# Row widths 1, 2, 4, 8, 16, 24, 32 of the library, with and without padding, and beyond the last.
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8, 11, 21, 24, 31, 32, 33, 70])
def test_any_number_of_channels(channels):
    positions, values = random(2, 90, 3), random(2, 90, channels)
    lattice = library.build(positions)
    together = library.apply(lattice, values)
    one_by_one = [library.apply(lattice, values[..., c : c + 1]) for c in range(channels)]
    assert_close(together, np.concatenate(one_by_one, -1), EXACT)


def softmax_of(logits):
    wide = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return np.exp(wide) / np.exp(wide).sum(-1, keepdims=True)


@pytest.mark.parametrize("labels", [1, 2, 5, 21, 50])
def test_softmax_of_any_size_of_logits(labels):
    logits = random(1000, labels, scale=30)
    logits[0] = 1e30
    logits[1, 0] = -3e38
    expected = softmax_of(logits)
    assert_close(library.softmax(logits), expected, FLOAT32)


@pytest.mark.parametrize("labels", [1, 2, 5, 21, 50])
def test_nan_in_a_row_of_logits_stays_in_it(labels):
    logits = random(100, labels)
    bad = np.arange(0, 100, 3)
    logits[bad, bad % labels] = np.nan
    logits[bad, (bad + 1) % labels] += 1e30 * (labels > 1)  # what the NaN hides from the maximum
    q = library.softmax(logits)
    good = np.setdiff1d(np.arange(100), bad)
    assert_close(q[good], softmax_of(logits[good]), FLOAT32)
    assert np.isnan(q[bad]).any(-1).all()


# The last of the F + 1 coordinates is the sum of all others, and so may be the only large one.
@pytest.mark.parametrize("features", [1, 2, 5, 6, 8, 13, 32])
def test_weights_near_the_limit_of_positions_are_weights(features):
    accepted = 0
    for size in 2.0 ** np.arange(15, 24, 0.5):
        for positions in (np.eye(features)[None, -1:], random(1, 50, features)):
            positions = positions / np.abs(positions).max(-1, keepdims=True) * size
            try:
                lattice = library.build(positions)
            except ValueError as error:
                assert "beyond the range of lattice keys" in str(error)
            else:
                accepted += 1
                # Below zero by rounding only: positions of this size resolve a tenth of a cell.
                assert lattice.weights.min() >= -0.1
                assert_close(lattice.weights.sum(-1), np.ones((1, positions.shape[1])), FLOAT32)
    assert accepted


def test_the_limit_holds_for_the_last_coordinate():
    positions = np.zeros((1, 1, 8))
    positions[..., -1] = 1e6  # elevated: eight coordinates within the limit, and the last beyond
    with pytest.raises(ValueError, match="elevated coordinate 8"):
        library.build(positions)


SMALL_STACKS = """
import threading
import numpy as np
from crfrnn.native import library
threading.stack_size(64 * 1024)  # a quarter of what was needed; some systems give little more
positions = np.random.default_rng(0).normal(0, 1e3, (1, 300, 32)).astype(np.float32)
thread = threading.Thread(target=library.build, args=(positions,))
thread.start()
thread.join()
"""


def test_little_stack_is_enough():
    subprocess.run([sys.executable, "-c", SMALL_STACKS], check=True, timeout=HANGS)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("vertex_ids", lambda a: a.astype(np.int64)),
        ("vertex_ids", lambda a: a[..., :1]),
        ("vertex_ids", lambda a: a[0]),
        ("weights", lambda a: a[:, :30]),
        ("weights", lambda a: a.astype(np.float64)),
        ("weights", lambda a: np.asfortranarray(a)),
        ("chains", lambda a: a[:-1]),
        ("chains", lambda a: a.astype(np.int64)),
        ("chain_splits", lambda a: a[:-1]),
        ("chain_splits", lambda a: a.astype(np.int32)),
        ("seen", lambda a: a[:-1]),
        ("seen", lambda a: a.tolist()),
    ],
)
def test_a_filter_refuses_arrays_that_are_no_lattice(field, change):
    lattice = library.build(random(1, 60, 3))
    lattice = lattice._replace(**{field: change(getattr(lattice, field))})
    with pytest.raises(ValueError, match=r"^Expected (?s:.*) Received"):
        library.apply(lattice, random(1, 60, 2))
