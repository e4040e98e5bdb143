"""On JAX: random numbers of any shape by a few compiled programs, the same to the last bit.

JAX compiles a program for every shape that it draws, half a second each: four fifths of the time of
a network's test. Its generator gives the i-th number of a draw whatever the shape is
(jax_threefry_partitionable), so a draw of the next power of two holds the same numbers.
"""

from __future__ import annotations

import math

import numpy as np

_LEAST, _MOST = 2**10, 2**22


def with_few_programs(draw):
    """A function of jax.random that draws outside of compiled functions by sizes, not shapes."""
    import jax

    def by_size(key, *arguments, shape=None, **options):
        count = None if shape is None else math.prod(shape)
        if count is None or count > _MOST or isinstance(key, jax.core.Tracer):
            return draw(key, *arguments, **({} if shape is None else {"shape": shape}), **options)
        size = max(_LEAST, 2 ** math.ceil(math.log2(max(count, 1))))
        drawn = draw(key, *arguments, shape=(size,), **options)
        if isinstance(drawn, jax.core.Tracer):  # a known key in a function that is compiled
            return drawn[:count].reshape(shape)
        # As NumPy's, so that what scales and shifts it is not compiled either.
        return np.asarray(drawn)[:count].reshape(shape)

    return by_size


def install():
    """Where Keras looks for them; it names the argument `shape`. Whoever does not gets JAX's."""
    import jax

    assert jax.config.jax_threefry_partitionable
    for name in ("normal", "truncated_normal", "uniform"):
        setattr(jax.random, name, with_few_programs(getattr(jax.random, name)))
