"""The NumPy namespace against keras.ops, and NumPy in -> NumPy out without Keras."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from crfrnn import arrays
from tests import backend
from tests.tolerances import EXACT, FLOAT32, assert_close

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
IDS = np.array([2, 0, 2, 2, 1], np.int32)

# Each calls one function of the namespace `ops` on arrays made by `t`.
CALLS = {
    "cast": lambda ops, t: ops.cast(t(X), "int32"),
    "stop_gradient": lambda ops, t: ops.stop_gradient(t(X)),
    "custom_gradient": lambda ops, t: ops.custom_gradient(
        lambda x: (2 * x, lambda upstream: 2 * upstream)
    )(t(X)),
    "softmax": lambda ops, t: ops.softmax(t(300 * X), axis=-1),
    "log_softmax": lambda ops, t: ops.log_softmax(t(300 * X), axis=0),
    "slice": lambda ops, t: ops.slice(t(X), (1, 0), (3, 2)),
    "scatter_update": lambda ops, t: ops.scatter_update(t(IDS), t(IDS[1:2, None]), t(IDS[:1])),
    "segment_sum": lambda ops, t: ops.segment_sum(t(X), t(IDS), num_segments=4),
    "segment_sum of a vector": lambda ops, t: ops.segment_sum(t(X[:, 0]), t(IDS), num_segments=3),
    "fori_loop": lambda ops, t: ops.fori_loop(1, 4, lambda i, x: x * i, t(X)),
    "while_loop": lambda ops, t: ops.while_loop(
        lambda x, _: ops.max(x) < 100, lambda x, y: (2 * x, y), (t(X), t(IDS))
    )[0],
    "map": lambda ops, t: ops.map(lambda row: ops.sum(row) * row[:2], t(X)),
}


@pytest.mark.parametrize("name", CALLS)
def test_equals_keras_ops(name):
    expected = backend.array(CALLS[name](keras.ops, backend.tensor))
    found = CALLS[name](arrays, np.asarray)
    assert isinstance(found, np.ndarray)
    assert found.dtype == expected.dtype
    assert_close(found, expected, FLOAT32)


def test_namespace_follows_the_arrays():
    tensor = backend.tensor(X)
    assert arrays.namespace(X, 1.0, [1, 2], None, np.float32(3)) is arrays
    if backend.NAME == "torch":  # whose tensors need no Keras
        from crfrnn import torch_ops

        assert arrays.namespace(X, tensor) is torch_ops.on(tensor.device)
    else:
        assert arrays.namespace(X, tensor) is keras.ops
    assert arrays.exp is np.exp


def test_concrete_gives_the_numbers_of_a_tensor():
    assert_close(arrays.concrete(backend.tensor(X)), X, EXACT)
    assert_close(arrays.concrete(X), X, EXACT)


@pytest.mark.skipif(backend.NAME == "torch", reason="PyTorch runs eagerly")
def test_concrete_gives_none_inside_a_graph():
    found = []

    def function(x):
        found.append(arrays.concrete(x))
        return x

    if backend.NAME == "tensorflow":
        import tensorflow as tf

        tf.function(function)(X)
    else:
        import jax

        jax.jit(function)(X)
    assert found == [None]


@pytest.mark.parametrize("method", ["exact", "lattice", "local"])
def test_numpy_arrays_need_no_keras(method):
    # In a process of its own: this one has imported Keras.
    code = f"""
import sys
import numpy as np
from crfrnn.filtering import gaussian_filter
positions = np.random.default_rng(0).normal(size=(12, 2))
out = gaussian_filter(np.ones((12, 1)), positions, method={method!r}, grid=(3, 4), native=False)
assert type(out) is np.ndarray and abs(out - 1).max() < 1e-5, out
loaded = [name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules]
assert not loaded, loaded
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
