"""The exact Gaussian filter cut to a window of a regular grid: a sparse CRF, without a lattice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn.arrays import namespace
from crfrnn.filtering.operator import FilterOperator, symmetric_filter


class LocalFilter(FilterOperator):
    """K_ij = exp(-|p_i - p_j|^2 / 2) where j is in the window centred at i, else 0.

    One pass over the grid per point of the window, each on a shifted copy of the arrays: O(N
    window^S) time, O(N) memory. K is symmetric, so it is its own transposed. Differentiable in
    values and positions.

    Args:
        positions: (B, N, F) float32, already divided by the bandwidths; any positions, not only
            those of the grid.
        grid: sizes of the grid, any number of axes: (H, W), (D, H, W), ...; the points are in
            row-major order.
        window: width of the window in points, odd: a number or one per grid axis. A window larger
            than the grid is the whole grid.

    Raises:
        ValueError: grid is absent or does not have N points.
    """

    def __init__(
        self, positions: Any, grid: Sequence[Any] | None, window: int | Sequence[int] = 11
    ):
        super().__init__(positions)
        self.grid = _check_grid(grid, positions.shape[1])
        self.radius = tuple(
            min(width // 2, size - 1) if isinstance(size, int) else width // 2
            for width, size in zip(
                np.broadcast_to(window, len(self.grid)).tolist(), self.grid, strict=True
            )
        )

    def _apply(self, values: Any, transposed: bool) -> Any:
        del transposed
        return symmetric_filter(self._filter, self._position_gradient, values, self.positions)

    def _filter(self, values: Any, positions: Any) -> Any:
        shifts = _Shifts(namespace(values, positions), self.grid, self.radius)
        p = shifts.padded(positions)  # (F, B, n + 2 reach)
        v = shifts.padded(values)  # (C, B, n + 2 reach)
        p_own, v_own = shifts.centre(p), shifts.centre(v)

        def add(start, total):
            return total + _kernel(shifts.ops, shifts.at(p, start) - p_own) * shifts.at(v, start)

        return shifts.unpadded(shifts.loop(add, shifts.ops.zeros_like(v_own)))

    def _position_gradient(self, values: Any, upstream: Any, positions: Any) -> Any:
        shifts = _Shifts(namespace(values, positions), self.grid, self.radius)
        ops = shifts.ops
        p, v, g = (shifts.padded(array) for array in (positions, values, upstream))
        p_own, v_own, g_own = shifts.centre(p), shifts.centre(v), shifts.centre(g)

        def add(start, total):
            difference = shifts.at(p, start) - p_own
            pairs = g_own * shifts.at(v, start) + v_own * shifts.at(g, start)
            pairs = ops.sum(pairs, axis=0) * _kernel(ops, difference)  # (B, n)
            return total + pairs * difference

        return shifts.unpadded(shifts.loop(add, ops.zeros_like(p_own)))


def _kernel(ops: Any, difference: Any) -> Any:
    """(F, B, n) -> (B, n)."""
    return ops.exp(-0.5 * ops.sum(ops.square(difference), axis=0))


class _Shifts:
    """All shifts of a grid within a window, each as one contiguous slice of a flat array.

    Between the rows (and planes, ...) of the grid lie `radius` zeros, so that a shift that leaves a
    row reads zeros, on either side; `reach` zeros before and after serve the first axis. Zero
    values there make a point outside the grid add nothing, whatever its kernel value.
    """

    def __init__(self, ops: Any, grid: tuple, radius: tuple[int, ...]):
        self.ops = ops
        self.grid = grid
        self.gaps = (0, *radius[1:])
        rows = [size + gap for size, gap in zip(grid, self.gaps, strict=True)]
        strides = [math.prod(rows[axis + 1 :]) for axis in range(len(rows))]
        self.size = math.prod(rows)  # n
        self.reach = sum(r * stride for r, stride in zip(radius, strides, strict=True))
        offsets = np.array(list(itertools.product(*(range(2 * r + 1) for r in radius))), np.int32)
        # Counted from the corner of the window, which is `reach` before its centre: never negative.
        self.starts = sum(
            ops.convert_to_tensor(offsets[:, axis]) * stride for axis, stride in enumerate(strides)
        )
        self.count = len(offsets)

    def padded(self, array: Any) -> Any:
        """(B, N, C) -> (C, B, reach + n + reach)."""
        ops = self.ops
        batch, _, channels = ops.shape(array)
        array = ops.reshape(ops.transpose(array, (2, 0, 1)), (channels, batch, *self.grid))
        array = ops.pad(array, ((0, 0), (0, 0), *((0, gap) for gap in self.gaps)))
        array = ops.reshape(array, (channels, batch, self.size))
        return ops.pad(array, ((0, 0), (0, 0), (self.reach, self.reach)))

    def unpadded(self, array: Any) -> Any:
        """(C, B, n) -> (B, N, C)."""
        ops = self.ops
        channels, batch, _ = ops.shape(array)
        rows = (size + gap for size, gap in zip(self.grid, self.gaps, strict=True))
        array = ops.reshape(array, (channels, batch, *rows))
        inside = (..., *(np.s_[:size] for size in self.grid))
        array = array[inside]
        array = ops.reshape(array, (channels, batch, math.prod(self.grid)))
        return ops.transpose(array, (1, 2, 0))

    def at(self, array: Any, start: Any) -> Any:
        """(C, B, reach + n + reach) -> (C, B, n)."""
        return self.ops.slice(array, (0, 0, start), (*self.ops.shape(array)[:2], self.size))

    def centre(self, array: Any) -> Any:
        return self.at(array, self.reach)

    def loop(self, add: Any, total: Any) -> Any:
        def step(i, total):
            return add(self.ops.take(self.starts, i), total)

        return self.ops.fori_loop(0, self.count, step, total)


def _check_grid(grid: Sequence[Any] | None, points: int | None) -> tuple:
    if grid is None:
        raise ValueError(
            "Expected `grid`, the sizes (H, W) or (D, H, W) of the regular grid, with "
            'method="local". Received: grid=None.'
        )
    grid = tuple(int(size) if isinstance(size, (int, np.integer)) else size for size in grid)
    known = all(isinstance(size, int) for size in grid)
    if not grid or (known and points is not None and math.prod(grid) != points):
        raise ValueError(
            "Expected `grid` to have as many points as the positions (B, N, F). "
            f"Received: grid={grid}, N={points}."
        )
    return grid
