"""The C++ lattice as operations of TensorFlow, which graphs and saved models can contain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from crfrnn.native import library

XLA_COMPILES = False  # it has no kernels for custom operations


def _load() -> Any:
    file = library.path("crfrnn_tensorflow")
    ops = tf.load_op_library(str(file)) if file else None
    if not hasattr(ops, "crfrnn_filter"):
        raise RuntimeError(
            f"The native lattice has no TensorFlow ops: {file or 'libcrfrnn_tensorflow'} is "
            f"missing or does not fit TensorFlow {tf.__version__}. Use native=False."
        )
    return ops


_OPS = _load()


def build(positions: Any) -> library.NativeLattice:
    return library.NativeLattice(*_OPS.crfrnn_lattice(positions=positions))


def apply(
    values: Any, scale_in: Any, scale_out: Any, lattice: library.NativeLattice, transposed: bool
) -> Any:
    none = tf.zeros((0,), tf.float32)
    scales = (none if scale is None else scale for scale in (scale_in, scale_out))
    return _OPS.crfrnn_filter(values, *scales, *lattice, transposed=transposed)


@tf.RegisterGradient("CrfrnnFilter")
def _gradient(op: Any, upstream: Any) -> list[Any]:
    _, scale_in, scale_out, *lattice = op.inputs
    transposed = not op.get_attr("transposed")
    values = _OPS.crfrnn_filter(upstream, scale_out, scale_in, *lattice, transposed=transposed)
    return [values] + [None] * (2 + len(lattice))


tf.no_gradient("CrfrnnLattice")


def refusal(positions: Any) -> str | None:
    if tf.executing_eagerly() and not tf.is_symbolic_tensor(positions):
        return f"The positions are on {positions.device}." if "GPU" in positions.device else None
    # What `tf.function(jit_compile=True)` traces takes no custom op. A layer tells Keras so
    # (`supports_jit`); a loss cannot.
    if GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return "XLA compiles the function and has no kernel for the operations of the C++ lattice."
    return "There is a GPU." if tf.config.list_logical_devices("GPU") else None
