"""The C++ lattice in JAX: called at once, or from compiled functions through a callback."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crfrnn.native import library

XLA_COMPILES = True  # it compiles a call back to the host


def build(positions: Any) -> library.NativeLattice:
    if not _traced(positions):
        return _as_jax(library.build(np.asarray(positions)))
    # A traced result needs a fixed size. Each point has F + 1 corners, so that there are at most
    # N (F + 1) vertices, each in at most F + 1 chains.
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

    def on_host(positions: Any) -> tuple[Any, ...]:
        lattice = _as_jax(library.build(np.asarray(positions)))
        chains = np.zeros(largest, np.int32)
        chains[: len(lattice.chains)] = lattice.chains
        return tuple(lattice._replace(chains=chains))

    return library.NativeLattice(
        *jax.pure_callback(on_host, outputs, positions, vmap_method="sequential")
    )


def apply(
    values: Any, scale_in: Any, scale_out: Any, lattice: library.NativeLattice, transposed: bool
) -> Any:
    return _apply(transposed, values, scale_in, scale_out, lattice)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _apply(transposed: bool, values: Any, scale_in: Any, scale_out: Any, lattice: Any) -> Any:
    def on_host(values: Any, scale_in: Any, scale_out: Any, lattice: Any) -> np.ndarray:
        values, scale_in, scale_out = (
            None if a is None else np.asarray(a) for a in (values, scale_in, scale_out)
        )
        return library.apply(_as_native(lattice), values, scale_in, scale_out, transposed)

    arguments = (values, scale_in, scale_out, tuple(lattice))
    if not _traced(*jax.tree.leaves(arguments)):
        return jnp.asarray(on_host(*arguments))
    out = jax.ShapeDtypeStruct(values.shape, np.float32)
    return jax.pure_callback(on_host, out, *arguments, vmap_method="sequential")


def _forward(transposed: bool, values: Any, scale_in: Any, scale_out: Any, lattice: Any) -> Any:
    out = _apply(transposed, values, scale_in, scale_out, lattice)
    return out, (scale_out, scale_in, lattice)


def _backward(transposed: bool, transpose: Any, upstream: Any) -> Any:
    return _apply(not transposed, upstream, *transpose), None, None, None


_apply.defvjp(_forward, _backward)


def refusal(positions: Any) -> str | None:
    if _traced(positions):
        platforms = {jax.default_backend()}
    else:
        platforms = {device.platform for device in positions.devices()}
    others = platforms - {"cpu"}
    return f"The positions are on {', '.join(sorted(others))}." if others else None


def _traced(*tensors: Any) -> bool:
    return any(isinstance(tensor, jax.core.Tracer) for tensor in tensors)


def _as_jax(lattice: library.NativeLattice) -> library.NativeLattice:
    # JAX has no 64-bit integers by default; no split exceeds the number of chained vertices.
    return library.NativeLattice(*lattice[:3], *(splits.astype(np.int32) for splits in lattice[3:]))


def _as_native(lattice: Any) -> library.NativeLattice:
    fields = [np.asarray(field) for field in lattice]
    return library.NativeLattice(*fields[:3], *(splits.astype(np.int64) for splits in fields[3:]))
