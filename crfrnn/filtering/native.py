"""The C++ permutohedral lattice on NumPy arrays and on the tensors of every Keras backend.

What differs from backend to backend. Each of them gives two functions,
`build(positions)` and `apply(values, scale_in, scale_out, lattice, transposed)`; the latter is
differentiable in the values by the transposed filter with its scales exchanged.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from crfrnn import arrays
from crfrnn.native import library


def available() -> bool:
    """Whether the native library is there and can be loaded; see `native_status` for the reason."""
    return _load_error() is None


def native_status() -> dict[str, Any]:
    """What is known of the native library.

    Returns:
        dict with `available` (bool), `path` (str or None), `threads` (int, the number used at
        most: OMP_NUM_THREADS when the library was first used, or else the cores of this process),
        `instruction_set` ("avx2", "baseline" or None), and `error` (str or None: why it is not
        available).

    Example:

    >>> sorted(native_status())
    ['available', 'error', 'instruction_set', 'path', 'threads']
    """
    error = _load_error()
    loaded = None if error else library.load()
    return {
        "available": error is None,
        "path": str(library.path()) if loaded else None,
        "threads": int(loaded.crfrnn_max_threads()) if loaded else 1,
        "instruction_set": loaded.crfrnn_instruction_set().decode() if loaded else None,
        "error": error,
    }


def usable(positions: Any) -> bool:
    """Whether the native lattice can filter at positions (..., F): else keras.ops can."""
    if not available() or positions.shape[-1] > library.MAX_FEATURES:
        return False
    if arrays.namespace(positions) is arrays:
        return True
    return backend_error() is None and _backend().serves(positions)


@functools.cache
def backend_error() -> str | None:
    """Why the native lattice cannot serve the running Keras backend, or None.

    On TensorFlow this registers its ops, which a SavedModel that contains them needs to be loaded.
    """
    try:
        library.load()
        _backend()
    except Exception as error:  # whatever keeps a backend from loading it, keras.ops will do
        return str(error)
    return None


class NativeLatticeFilter:
    """The C++ permutohedral lattice with the interface of `crfrnn.filtering.operator`.

    Args:
        positions: (B, N, F) float32, F = 1..32, already divided by the bandwidths. With B = 1 the
            one filter serves every image of a larger batch of values.

    Raises:
        RuntimeError: the library is not available.
        ValueError: positions that are not finite or too far from the origin. In a TensorFlow graph
            these are raised when it runs, as `tf.errors.InvalidArgumentError`.

    Reference:
        A. Adams, J. Baek, M. A. Davis, "Fast High-Dimensional Filtering Using the Permutohedral
        Lattice", Eurographics 2010.

    Example:

    >>> K = NativeLatticeFilter(np.zeros((1, 4, 2), "float32"))  # four points in one place
    >>> K(np.ones((1, 4, 1), "float32")).round(1).ravel()
    array([3.6, 3.6, 3.6, 3.6], dtype=float32)
    """

    def __init__(self, positions: Any):
        self.positions = positions
        self.lattice = _functions(positions).build(positions)

    def __call__(
        self, values: Any, scale_in: Any = None, scale_out: Any = None, transposed: bool = False
    ) -> Any:
        """diag(scale_out) K diag(scale_in) values, or with K transposed.

        Args:
            values: (B, N, C) float32.
            scale_in, scale_out: (B or 1, N, 1) float32, or None. Unlike values they receive no
                gradient: they are made of positions, which receive none from a lattice.
            transposed: apply the transposed of K.

        Returns:
            (B, N, C) float32.
        """
        if 0 in values.shape:
            return values
        apply = _functions(values, self.positions).apply
        return apply(values, scale_in, scale_out, self.lattice, transposed)


@functools.cache
def _load_error() -> str | None:
    try:
        library.load()
    except (RuntimeError, AttributeError) as error:  # missing, or of another version
        return str(error)
    return None


def _functions(*tensors: Any) -> Any:
    """`build` and `apply` for these arrays or tensors."""
    return _NUMPY if arrays.namespace(*tensors) is arrays else _backend()


@functools.cache
def _backend() -> Any:
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow()
    if backend == "jax":
        return _jax()
    if backend == "torch":
        return _torch()
    raise RuntimeError(
        f'The native lattice serves the Keras backends "tensorflow", "jax" and "torch". '
        f'Received: "{backend}". Use native=False.'
    )


def _apply_numpy(
    values: Any, scale_in: Any, scale_out: Any, lattice: library.NativeLattice, transposed: bool
) -> np.ndarray:
    return library.apply(lattice, values, scale_in, scale_out, transposed)


_NUMPY = SimpleNamespace(build=library.build, apply=_apply_numpy)


def _tensorflow() -> Any:
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    file = library.path("crfrnn_tensorflow")
    ops: Any = tf.load_op_library(str(file)) if file else None
    if not hasattr(ops, "crfrnn_filter"):
        raise RuntimeError(
            f"The native lattice has no TensorFlow ops: {file or 'libcrfrnn_tensorflow'} is "
            f"missing or does not fit TensorFlow {tf.__version__}. Use native=False."
        )

    def build(positions):
        return library.NativeLattice(*ops.crfrnn_lattice(positions=positions))

    def apply(values, scale_in, scale_out, lattice, transposed):
        none = tf.zeros((0,), tf.float32)
        scales = (none if scale is None else scale for scale in (scale_in, scale_out))
        return ops.crfrnn_filter(values, *scales, *lattice, transposed=transposed)

    @tf.RegisterGradient("CrfrnnFilter")
    def gradient(op, upstream):
        _, scale_in, scale_out, *lattice = op.inputs
        transposed = not op.get_attr("transposed")
        values = ops.crfrnn_filter(upstream, scale_out, scale_in, *lattice, transposed=transposed)
        return [values] + [None] * (2 + len(lattice))

    tf.no_gradient("CrfrnnLattice")

    def serves(array):
        if tf.executing_eagerly() and not tf.is_symbolic_tensor(array):
            return "GPU" not in array.device
        # What `tf.function(jit_compile=True)` traces takes no custom op: XLA has no kernel for it.
        # A layer tells Keras so (`supports_jit`); a loss cannot.
        if GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
            return False
        return not tf.config.list_logical_devices("GPU")

    return SimpleNamespace(build=build, apply=apply, serves=serves)


def _torch() -> Any:
    import torch

    def build(positions):
        return library.build(positions.detach().numpy())

    def filtered(values, scale_in, scale_out, lattice, transposed):
        values, scale_in, scale_out = (
            None if a is None else a.detach().numpy() for a in (values, scale_in, scale_out)
        )
        return torch.from_numpy(library.apply(lattice, values, scale_in, scale_out, transposed))

    class Apply(torch.autograd.Function):
        @staticmethod
        def forward(context, values, scale_in, scale_out, lattice, transposed):
            context.transpose = (scale_out, scale_in, lattice, not transposed)
            return filtered(values, scale_in, scale_out, lattice, transposed)

        @staticmethod
        def backward(context, upstream):
            return Apply.apply(upstream, *context.transpose), None, None, None, None

    def apply(values, scale_in, scale_out, lattice, transposed):
        tensors = (_as_tensor(a) for a in (values, scale_in, scale_out))
        return Apply.apply(*tensors, lattice, transposed)

    return SimpleNamespace(build=build, apply=apply, serves=lambda a: a.device.type == "cpu")


def _as_tensor(array: Any) -> Any:
    from keras import ops

    return None if array is None else ops.convert_to_tensor(array)


def _jax() -> Any:
    import jax
    import jax.numpy as jnp

    def traced(*tensors):
        return any(isinstance(tensor, jax.core.Tracer) for tensor in tensors)

    def as_jax(lattice):
        # JAX has no 64-bit integers by default; no split exceeds the number of chained vertices.
        return library.NativeLattice(
            *lattice[:3], *(splits.astype(np.int32) for splits in lattice[3:])
        )

    def as_native(lattice):
        fields = [np.asarray(field) for field in lattice]
        return library.NativeLattice(
            *fields[:3], *(splits.astype(np.int64) for splits in fields[3:])
        )

    def build(positions):
        if not traced(positions):
            return as_jax(library.build(np.asarray(positions)))
        # A traced result needs a fixed size. Each point has F + 1 corners, so that there are at
        # most N (F + 1) vertices, each in at most F + 1 chains.
        batch, points, features = positions.shape
        corners = (batch, points, features + 1)
        largest = batch * points * (features + 1) ** 2
        if largest >= 2**31:
            raise ValueError(
                "Under jax.jit the native lattice has room for 2^31 chained vertices. Received "
                f"positions of shape {positions.shape}, which may need {largest}. "
                "Use native=False or smaller images."
            )
        shapes = (corners, corners, (largest,), (features + 2,), (library.PARTS + 1,))
        types = (np.int32, np.float32, np.int32, np.int32, np.int32)
        outputs = tuple(jax.ShapeDtypeStruct(s, t) for s, t in zip(shapes, types, strict=True))

        def on_host(positions):
            lattice = as_jax(library.build(np.asarray(positions)))
            chains = np.zeros(largest, np.int32)
            chains[: len(lattice.chains)] = lattice.chains
            return tuple(lattice._replace(chains=chains))

        return library.NativeLattice(
            *jax.pure_callback(on_host, outputs, positions, vmap_method="sequential")
        )

    def filtered(transposed, values, scale_in, scale_out, lattice):
        def on_host(values, scale_in, scale_out, lattice):
            values, scale_in, scale_out = (
                None if a is None else np.asarray(a) for a in (values, scale_in, scale_out)
            )
            return library.apply(as_native(lattice), values, scale_in, scale_out, transposed)

        arguments = (values, scale_in, scale_out, tuple(lattice))
        if not traced(*jax.tree.leaves(arguments)):
            return jnp.asarray(on_host(*arguments))
        out = jax.ShapeDtypeStruct(values.shape, np.float32)
        return jax.pure_callback(on_host, out, *arguments, vmap_method="sequential")

    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def differentiable(transposed, values, scale_in, scale_out, lattice):
        return filtered(transposed, values, scale_in, scale_out, lattice)

    def forward(transposed, values, scale_in, scale_out, lattice):
        out = differentiable(transposed, values, scale_in, scale_out, lattice)
        return out, (scale_out, scale_in, lattice)

    def backward(transposed, transpose, upstream):
        return differentiable(not transposed, upstream, *transpose), None, None, None

    differentiable.defvjp(forward, backward)

    def apply(values, scale_in, scale_out, lattice, transposed):
        return differentiable(transposed, values, scale_in, scale_out, lattice)

    def serves(array):
        if traced(array):
            return jax.default_backend() == "cpu"
        return all(device.platform == "cpu" for device in array.devices())

    return SimpleNamespace(build=build, apply=apply, serves=serves)
