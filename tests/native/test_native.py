"""The native library beyond the contract of all filters: keys, threads, limits, errors, steps."""

import os
import subprocess
import sys

import numpy as np
import pytest

from crfrnn import arrays, mean_field, native_status
from crfrnn.filtering import LatticeFilter
from crfrnn.filtering.native import NativeLatticeFilter, available
from crfrnn.meanfield.mixing import mixing
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions
from crfrnn.native import library
from tests.tolerances import EXACT, FLOAT32, assert_close

# Seconds after which a child that waits for ever is ended. Under a sanitizer, on a machine that is
# busy with other things, a second takes minutes.
HANGS = 900

if not available() and not int(os.environ.get("CRFRNN_REQUIRE_NATIVE", "0")):
    pytest.skip(f"no native library: {native_status()['error']}", allow_module_level=True)


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


THREADED = """
import sys
import numpy as np
from crfrnn.native import library
rng = np.random.default_rng(0)
positions = rng.normal(0, 4, (2, 15001, 3)).astype(np.float32)
values = rng.normal(0, 1, (2, 15001, 5)).astype(np.float32)
lattice = library.build(positions)
unaries = values.reshape(-1, 5)
q = library.softmax(unaries)
term = library.PairwiseTerm(lattice, None, None, np.ones(5, np.float32))
library.mean_field_step([term], unaries, q)
loaded = library.load()
status = loaded.crfrnn_max_threads(), loaded.crfrnn_instruction_set().decode()
np.savez(sys.argv[1], *lattice, library.apply(lattice, values), q, *status)
"""


def run_threaded(file, threads, instructions=""):
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "CRFRNN_INSTRUCTION_SET": instructions,
    }
    subprocess.run([sys.executable, "-c", THREADED, file], check=True, env=environment)
    with np.load(file) as arrays:
        return list(arrays.values())


def test_threads_change_no_vertex_and_repeat_to_the_bit(tmp_path):
    one, three, again = (
        run_threaded(tmp_path / f"{i}.npz", threads) for i, threads in enumerate((1, 3, 3))
    )
    for a, b in zip(one[:5], three[:5], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(three, again, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one[5:7], three[5:7], strict=True):
        assert_close(b, a, FLOAT32)  # sums in another order
    assert (one[7], three[7]) == (1, 3)


def test_instruction_sets_give_the_same_bits(tmp_path):
    chosen, baseline = (
        run_threaded(tmp_path / f"{name}.npz", 2, name) for name in ("", "baseline")
    )
    assert baseline[8] == "baseline"
    for a, b in zip(chosen[:8], baseline[:8], strict=True):
        np.testing.assert_array_equal(a, b)


FORKED = """
import os
import numpy as np
from crfrnn.native import library
positions = np.random.default_rng(0).normal(0, 4, (1, 30000, 3)).astype(np.float32)
values = np.random.default_rng(1).normal(0, 1, (1, 30000, 5)).astype(np.float32)
def filtered():
    return library.apply(library.build(positions), values)
expected = filtered()  # starts the threads, which a fork does not take along
child = os.fork()
same = np.array_equal(filtered(), expected)
if child == 0:
    os._exit(not same)
assert same and os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_works_after_a_fork():
    environment = {**os.environ, "OMP_NUM_THREADS": "3"}
    subprocess.run([sys.executable, "-c", FORKED], check=True, env=environment, timeout=HANGS)


FORKED_WHILE_BUSY = """
import os
import threading
import numpy as np
from crfrnn.native import library
positions = np.random.default_rng(0).normal(0, 4, (1, 30000, 3)).astype(np.float32)
busy = True
def work():
    while busy:
        library.build(positions)
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(10):
    child = os.fork()  # waits for the library's locks, with Python's lock in hand
    if child == 0:
        library.build(positions)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
busy = False
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_while_other_threads_are_busy():
    environment = {**os.environ, "OMP_NUM_THREADS": "3"}
    code = [sys.executable, "-W", "ignore", "-c", FORKED_WHILE_BUSY]
    subprocess.run(code, check=True, env=environment, timeout=HANGS)


CONCURRENT = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from crfrnn.native import library
rng = np.random.default_rng(0)
positions = [rng.normal(0, 5, (1, 20000, 3)).astype(np.float32) for _ in range(4)]
values = [rng.normal(0, 1, (1, 20000, 4)).astype(np.float32) for _ in range(4)]
def filtered(i):
    return library.apply(library.build(positions[i]), values[i])
expected = [filtered(i) for i in range(4)]
with ThreadPoolExecutor(4) as pool:
    for i, result in enumerate(pool.map(filtered, 15 * [0, 1, 2, 3])):
        assert np.array_equal(result, expected[i % 4])
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_calls_from_several_threads_do_not_disturb_each_other(threads):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-c", CONCURRENT], check=True, env=environment, timeout=HANGS)


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


@pytest.mark.parametrize("labels", [2, 3, 4, 7, 21, 32, 33, 40, 70])
@pytest.mark.parametrize("full", [False, True])
def test_step_is_the_mean_field_iteration(labels, full):
    rng = np.random.default_rng(labels)
    unaries = rng.normal(0, 2, (1, 9, 8, labels)).astype(np.float32)
    image = rng.uniform(0, 255, (1, 9, 8, 3)).astype(np.float32)
    spatial, bilateral = rng.uniform(0.5, 2, (2, *(labels,) * (1 + full)))
    compatibility = rng.normal(0, 1, (labels, labels)) if full else "potts"
    thetas = dict(theta_alpha=4.0, theta_beta=60.0, theta_gamma=2.0)
    expected = mean_field(
        unaries,
        image,
        spatial_weight=spatial,
        bilateral_weight=bilateral,
        compatibility=compatibility,
        num_iterations=3,
        normalization="none",
        native=False,
        **thetas,
    )

    lattices = (
        library.build(spatial_positions((9, 8), 2.0)),
        library.build(bilateral_positions(image, 4.0, 60.0)),
    )
    unary = unaries.reshape(-1, labels)
    kernels = [
        library.PairwiseTerm(
            lattice, None, None, library.contiguous(mixing(w, compatibility, labels))
        )
        for lattice, w in zip(lattices, (spatial, bilateral), strict=True)
    ]
    q = library.softmax(unary)
    for _ in range(3):
        library.mean_field_step(kernels, unary, q)
    assert_close(q, arrays.softmax(expected).reshape(-1, labels), FLOAT32)


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


def lattice_and_step():
    positions = random(1, 60, 3)
    lattice = library.build(positions)
    unaries, ones = random(60, 4), np.ones((1, 60, 1), np.float32)
    return lattice, unaries, library.softmax(unaries), ones, np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(lattice=library.build(random(1, 59, 3))), "of the 60 points"),
        (lambda s: s.update(mixing=np.ones(5, np.float32)), r"mixing .* received shape \(5,\)"),
        (lambda s: s.update(mixing=np.ones((4, 5), np.float32)), "mixing"),
        (lambda s: s.update(mixing=np.ones(4)), "mixing .* dtype float64"),
        (lambda s: s.update(scale_in=np.ones((1, 59, 1), np.float32)), "scale_in"),
        (lambda s: s.update(scale_out=np.ones((1, 60, 2), np.float32)[..., :1]), "scale_out"),
        (lambda s: s.update(unaries=random(60, 3)), "q to be"),
        (lambda s: s.update(unaries=random(60, 8)[:, ::2]), "unaries .* contiguous=False"),
        (lambda s: s.update(q=random(60, 4).astype(np.float64)), "q .* dtype float64"),
        (lambda s: s["q"].setflags(write=False), "q .* writeable=False"),
        (lambda s: s.update(q=[[0.0] * 4] * 60), "q .* received list"),
        (lambda s: s.update(none=True), "Expected one pairwise term or more"),
    ],
)
def test_a_step_refuses_arrays_that_do_not_fit(change, message):
    lattice, unaries, q, ones, mixing = lattice_and_step()
    s = dict(lattice=lattice, unaries=unaries, q=q, scale_in=ones, scale_out=None, mixing=mixing)
    change(s)
    term = library.PairwiseTerm(s["lattice"], s["scale_in"], s["scale_out"], s["mixing"])
    with pytest.raises(ValueError, match=f"(?i){message}"):
        library.mean_field_step([] if "none" in s else [term], s["unaries"], s["q"])


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
