"""Threads, forks and instruction sets: the same bits, and no hang."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.native.required import HANGS, require
from tests.tolerances import FLOAT32, assert_close

require()

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
library.mean_field([term], unaries, q)
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
