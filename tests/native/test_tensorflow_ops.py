"""The native lattice inside TensorFlow: shapes, errors, graphs, export."""

import keras
import numpy as np
import pytest

from crfrnn.filtering import make_filter
from crfrnn.filtering.native import NativeLatticeFilter, available
from crfrnn.native import library
from tests.tolerances import EXACT, FLOAT32, assert_close

if keras.backend.backend() != "tensorflow" or not available():
    pytest.skip("needs TensorFlow and the native library", allow_module_level=True)

import tensorflow as tf

POSITIONS = np.random.default_rng(0).normal(0, 2, (2, 60, 3)).astype(np.float32)
VALUES = np.random.default_rng(1).normal(0, 1, (2, 60, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def ops():
    return tf.load_op_library(str(library.path("crfrnn_tensorflow")))


def filtered(positions, values):
    return make_filter(positions, native=True)(values)


def test_shapes_are_inferred(ops):
    @tf.function(input_signature=[tf.TensorSpec((None, 60, 3)), tf.TensorSpec((None, 60, None))])
    def shapes(positions, values):
        lattice = ops.crfrnn_lattice(positions)
        assert lattice.vertex_ids.shape.as_list() == [None, 60, 4]
        assert lattice.weights.shape.as_list() == [None, 60, 4]
        assert lattice.chain_splits.shape.as_list() == [5]
        assert NativeLatticeFilter(positions)(values).shape.as_list() == [None, 60, None]
        return lattice.weights

    assert shapes(POSITIONS, VALUES).shape == (2, 60, 4)


def test_unknown_sizes_in_a_graph():
    graph = tf.function(
        filtered,
        input_signature=[tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, None, None))],
    )
    for n in (60, 7, 1):
        result = graph(POSITIONS[:, :n], VALUES[:, :n])
        assert_close(result, filtered(POSITIONS[:, :n], VALUES[:, :n]), FLOAT32)


def test_wrong_rank_is_refused_when_the_graph_is_made(ops):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="rank 3"):
        tf.function(ops.crfrnn_lattice).get_concrete_function(tf.TensorSpec((60, 3)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"values": VALUES[:, :50]}, "values: expected the B and N of the positions"),
        ({"values": VALUES[0]}, r"values: expected shape \(B, N, C\), received \(60, 5\)"),
        ({"scale_in": np.ones((2, 50, 1), np.float32)}, r"scale_in: expected shape \(2, 60, 1\)"),
        ({"scale_out": np.ones((1, 60, 1), np.float32)}, r"scale_out: expected shape \(2, 60, 1\)"),
    ],
)
def test_errors_name_the_argument(ops, changed, message):
    none = np.zeros(0, np.float32)
    arguments = {"values": VALUES, "scale_in": none, "scale_out": none, **changed}
    lattice = ops.crfrnn_lattice(POSITIONS)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ops.crfrnn_filter(**arguments, **lattice._asdict())


def changed(array, index, value):
    array = array.numpy().copy()
    array.flat[index] = value
    return array


# Those of a saved model may be anything; each of these read or wrote outside the arrays.
@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("vertex_ids", lambda a: changed(a, 77, 10**6), "vertex_ids are out of range"),
        ("vertex_ids", lambda a: changed(a, 477, -1), "vertex_ids are out of range"),
        ("vertex_ids", lambda a: changed(a, 3, a.numpy().max()), "vertex_ids are out of range"),
        ("vertex_ids", lambda a: a[..., :1], "Expected a lattice"),
        ("weights", lambda a: a[:, :30], "Expected a lattice"),
        ("chains", lambda a: changed(a, 5, 10**6), "chains are out of range"),
        ("chains", lambda a: changed(a, -1, -(10**6)), "chains are out of range"),
        ("chains", lambda a: a[:-1], "chain_splits do not split"),
        ("chain_splits", lambda a: changed(a, 0, -5), "chain_splits do not split"),
        ("chain_splits", lambda a: changed(a, 2, 10**9), "chain_splits do not split"),
        ("chain_splits", lambda a: a[:-1], "Expected a lattice"),
        ("seen", lambda a: changed(a, -1, 2**40), "`seen` does not count"),
        ("seen", lambda a: changed(a, 9, -1), "`seen` does not count"),
        ("seen", lambda a: a[:-1], "Expected a lattice"),
    ],
)
def test_a_foreign_lattice_is_refused(ops, field, change, message):
    none = np.zeros(0, np.float32)
    lattice = ops.crfrnn_lattice(POSITIONS)._asdict()
    lattice[field] = change(lattice[field])
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ops.crfrnn_filter(values=VALUES, scale_in=none, scale_out=none, **lattice)


def test_bad_positions_fail_in_the_graph_with_the_point():
    bad = POSITIONS.copy()
    bad[1, 3, 2] = np.nan
    graph = tf.function(
        filtered, input_signature=[tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, None, 5))]
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="at point 63, feature 2"):
        graph(bad, VALUES)


def test_saved_model_runs_after_loading(tmp_path):
    module = tf.Module()
    module.run = tf.function(
        filtered, input_signature=[tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, None, 5))]
    )
    tf.saved_model.save(module, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert_close(loaded.run(POSITIONS, VALUES), filtered(POSITIONS, VALUES), FLOAT32)


def test_gradient_of_the_gradient_is_the_filter():
    upstream = tf.Variable(VALUES)
    with tf.GradientTape() as outer:
        values = tf.constant(VALUES)
        with tf.GradientTape() as tape:
            tape.watch(values)
            total = tf.reduce_sum(filtered(POSITIONS, values) * upstream)
        gradient = tape.gradient(total, values)
        again = tf.reduce_sum(gradient * VALUES)
    assert_close(outer.gradient(again, upstream), filtered(POSITIONS, VALUES), EXACT)
