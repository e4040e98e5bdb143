"""How a large image is cut: sizes of tiles, their halos, and how many iterations each pass does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from crfrnn.checks import Choice, Reals, Whole
from crfrnn.filtering.normalized import NORMALIZATIONS
from crfrnn.filtering.reach import reach_in_points
from crfrnn.meanfield.parameters import ITERATIONS

Slices = tuple[slice, ...]

# Points of a tile with its halo, if possible.
POINTS = 2**23

# Of a point of a colour image with two labels, while its lattice is built: 137 measured (the growth
# of benchmarks/scaling.py, 16 megapixels, two workers at once), and a quarter for other images.
BYTES = 170

# What building the lattices costs, in iterations: half of the time of five, in workload D of
# benchmarks/mean_field.py (1000 x 1000, colour, two labels).
BUILDING = 5

# Normalisations that scale what a point sends by its own norm, which reaches one step further.
_SENDERS = ("symmetric", "before")


class Plan(NamedTuple):
    """How an image is cut; see `plan`.

    tile: points of a tile without its halo, at most, per axis.
    halo: points that are read around a tile in each pass, per axis.
    norm_halo: the same of the pass that computes the norms, or None without such a pass.
    iterations: mean-field iterations of each pass.
    points: of the largest tile with its halo.
    cost: points filtered, over those of filtering the image whole; buildings count as iterations.
    """

    tile: tuple[int, ...]
    halo: tuple[int, ...]
    norm_halo: tuple[int, ...] | None
    iterations: tuple[int, ...]
    points: int
    cost: float

    def __str__(self) -> str:
        tile, halo = ("x".join(map(str, sizes)) for sizes in (self.tile, self.halo))
        passes = f"{len(self.iterations)} pass{'es' * (len(self.iterations) > 1)}"
        norms = " after one for the norms" if self.norm_halo else ""
        return (
            f"tiles of {tile} points, halo {halo}, {passes}{norms}: {self.cost:.1f} x the work of "
            f"the whole, {BYTES * self.points / 1e9:.1f} GB per worker"
        )


def plan(
    grid: Sequence[int],
    thetas: Sequence[Any],
    num_iterations: int,
    normalization: str = "symmetric",
    spacing: Any = None,
    *,
    passes: int | None = None,
    tile: int | Sequence[int] | None = None,
    halo: float = 1.0,
) -> Plan:
    """The cheapest exact way to refine an image in tiles, of those that need little memory.

    One pass does all iterations in each tile, whose halo is as many times the kernel's reach; one
    pass per iteration needs a halo of one reach only, but builds the lattices anew. Anything
    between is possible.

    Args:
        grid: sizes of the image, (H, W) or (D, H, W).
        thetas: theta_alpha, theta_gamma of the kernels in use; each a number or one per axis.
        num_iterations, normalization, spacing: see `crfrnn.refine`.
        passes: 1 to num_iterations; None: whichever costs least with tiles of at most 2^23 points,
            or else whichever has the smallest tiles.
        tile: points of a tile without its halo; None: as many as fit in 2^23 with it, if any do.
        halo: share of the halo that exactness needs, 0 to 1: less is faster, and leaves seams.

    Raises:
        ValueError: sizes that are not positive, more passes than iterations, an unknown name.

    Example:

    >>> print(plan((20000, 20000), thetas=[10, 3], num_iterations=5))
    tiles of 2223x2223 points, halo 246x216, 1 pass: 1.4 x the work of the whole, 1.2 GB per worker
    >>> plan((20000, 20000), thetas=[80, 3], num_iterations=5).iterations
    (1, 1, 1, 1, 1)
    """
    grid = tuple(grid)
    sizes = {"S": len(grid)}
    per_axis = Reals(above=0, per="axis of the grid", optional=True)
    for theta in thetas:
        per_axis.check("thetas", theta, sizes)
    ITERATIONS.check("num_iterations", num_iterations, sizes)
    Choice(NORMALIZATIONS).check("normalization", normalization, sizes)
    per_axis.check("spacing", spacing, sizes)
    per_axis.check("tile", tile, sizes)
    Reals(least=0).check("halo", halo, sizes)
    if passes is not None:
        Whole(1).check("passes", passes, sizes)
    if passes is not None and passes > max(num_iterations, 1):
        raise ValueError(
            f"Expected `passes` from 1 to num_iterations = {num_iterations}. Received {passes}."
        )
    each = _furthest(thetas, spacing, len(grid))
    options = [passes] if passes else range(1, max(num_iterations, 1) + 1)
    plans = [
        _plan(grid, each, count, num_iterations, normalization in _SENDERS, tile, halo)
        for count in options
    ]
    return min(plans, key=lambda p: (max(p.points, POINTS), p.cost))


def tiles(grid: Sequence[int], tile: Sequence[int]) -> list[list[slice]]:
    """Along each axis the slices of its tiles: of one size, as files want it, but the last.

    >>> tiles((8,), (3,))
    [[slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]]
    """
    return [
        [slice(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(grid, tile, strict=True)
    ]


def widened(inner: Slices, halo: Sequence[int], grid: Sequence[int]) -> tuple[Slices, Slices]:
    """A tile with its halo in the image, and the tile within that.

    >>> widened((slice(10, 20),), (4,), (22,))
    ((slice(6, 22, None),), (slice(4, 14, None),))
    """
    each = list(zip(inner, halo, grid, strict=True))
    outer = tuple(slice(max(s.start - h, 0), min(s.stop + h, n)) for s, h, n in each)
    within = tuple(
        slice(s.start - o.start, s.stop - o.start) for s, o in zip(inner, outer, strict=True)
    )
    return outer, within


def _furthest(thetas: Sequence[Any], spacing: Any, axes: int) -> tuple[int, ...]:
    """The reach of the kernel that reaches furthest, in points per axis."""
    reaches = [reach_in_points(theta, spacing, axes) for theta in thetas]
    return tuple(max(r) for r in zip(*reaches, strict=True)) if reaches else (0,) * axes


def _plan(
    grid: tuple[int, ...],
    each: tuple[int, ...],
    passes: int,
    num_iterations: int,
    senders: bool,
    tile: int | Sequence[int] | None,
    halo: float,
) -> Plan:
    iterations = tuple(_shares(num_iterations, passes))
    norms = senders and passes > 1
    # A message depends on the norm of its sender, and that on the points a reach beyond. Where the
    # norms are not known beforehand, the last points of the halo are there for them alone.
    steps = iterations[0] + (senders and not norms)
    around, norm_around = (tuple(math.ceil(halo * count * r) for r in each) for count in (steps, 1))
    if tile is None:
        side = math.floor(POINTS ** (1 / len(grid)))
        # Where the halo alone is too large, tiles a third of it: smaller ones cost without end.
        size = tuple(max(side - 2 * a, a // 3, 1) for a in around)
        # As few tiles as these sizes need, and those alike.
        size = tuple(-(-n // max(-(-n // s), 1)) for s, n in zip(size, grid, strict=True))
    else:
        size = tuple(map(int, np.broadcast_to(tile, len(grid))))
        size = tuple(min(s, n) for s, n in zip(size, grid, strict=True))
    if min((*size, *grid)) < 1 or halo > 1:
        raise ValueError(
            "Expected `tile` of 1 point or more and `halo` from 0 to 1, for an image that is not "
            f"empty. Received tile={tile}, halo={halo}, an image of {grid}."
        )
    each_axis = zip(size, around, grid, strict=True)
    points = math.prod(min(n, s + 2 * a) for s, a, n in each_axis)
    work = sum(BUILDING + count for count in iterations) * _padded(grid, size, around)
    if norms:
        work += (BUILDING + 1) * _padded(grid, size, norm_around)
    cost = work / (BUILDING + num_iterations)
    return Plan(size, around, norm_around if norms else None, iterations, points, cost)


def _shares(total: int, parts: int) -> Iterator[int]:
    for part in range(parts):
        yield total // parts + (part < total % parts)


def _padded(grid: Sequence[int], tile: Sequence[int], halo: Sequence[int]) -> float:
    """Points of all tiles with their halos, over those of the image."""
    ratio = 1.0
    for size, parts, around in zip(grid, tiles(grid, tile), halo, strict=True):
        ratio *= sum(min(p.stop + around, size) - max(p.start - around, 0) for p in parts) / size
    return ratio
