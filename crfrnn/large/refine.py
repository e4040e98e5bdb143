"""`crfrnn.refine` on dask arrays; public as `crfrnn.large.refine`."""

from __future__ import annotations

import functools
import uuid
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.large import tile as work
from crfrnn.large.absent import of_labels, present, restored, shares
from crfrnn.large.plan import POINTS, tiles, widened
from crfrnn.large.plan import plan as make_plan
from crfrnn.large.probabilities import prepared
from crfrnn.large.window import windowed
from crfrnn.meanfield.parameters import THETAS, check_products, declared
from crfrnn.offline import inputs
from crfrnn.optional import needed

_MUCH = 10.0  # times the work of the whole, which a user wants to know of before it is done
_DASK = ("Images larger than memory", "large")


def _sizes(given: dict[str, Any]) -> checks.Sizes:
    da = needed("dask.array", *_DASK)
    image, probs = (_lazy(da, name, given[name]) for name in ("image", "probs"))
    for name, value in (("image", image), ("probs", probs)):
        if np.isnan(value.shape).any():
            raise ValueError(
                f"Expected `{name}` of known size. Received shape {value.shape}. Use "
                f"{name}.compute_chunk_sizes()."
            )
    grid = image.shape[: max(probs.ndim - 1, 0)]
    probs = prepared(probs, grid, bool(given.get("from_logits")))
    inputs.same_grid(image, probs)
    if not 2 <= probs.ndim <= 4 or probs.shape[-1] < 2:
        raise ValueError(
            "Expected probabilities (*S, L) with 1 to 3 axes S and L >= 2. "
            f"Received shape {probs.shape}."
        )
    given["image"] = image if image.ndim == probs.ndim else image[..., None]
    given["probs"] = probs
    if given.get("mask") is not None:
        given["mask"] = _lazy(da, "mask", given["mask"])
        if given["mask"].shape != probs.shape[:-1]:
            raise ValueError(
                f"Expected `mask` of shape {probs.shape[:-1]}. "
                f"Received shape {given['mask'].shape}."
            )
        if given["mask"].dtype != bool:
            nothing = np.empty((0,) * given["mask"].ndim, bool)
            given["mask"] = given["mask"].map_blocks(_truth, dtype=bool, meta=nothing)
    return {"S": probs.ndim - 1, "K": given["image"].shape[-1], "L": probs.shape[-1]}


def _truth(mask: np.ndarray) -> np.ndarray:
    """A part of a mask as bool."""
    if not np.isin(mask, (0, 1)).all():
        raise ValueError(
            "Expected `mask` True where a point counts. Received the values "
            f"{np.unique(mask)[:5].tolist()}."
        )
    return mask.astype(bool)


@checks.door(
    _sizes,
    inputs.NO_PARAMETERS,
    **declared("num_iterations", "compatibility", "normalization", "spacing", "ignore_below"),
    from_logits=checks.Flag(),
)
def refine(
    image: Any,
    probs: Any,
    *,
    theta_alpha: float | Sequence[float],
    theta_beta: float | Sequence[float],
    theta_gamma: float | Sequence[float],
    bilateral_weight: Any,
    spatial_weight: Any,
    num_iterations: int = 5,
    compatibility: Any = "potts",
    normalization: str = "symmetric",
    spacing: float | Sequence[float] | None = None,
    mask: Any = None,
    from_logits: bool = False,
    ignore_below: float = 0.0,
    passes: int | None = None,
    tile: int | Sequence[int] | None = None,
    halo: float = 1.0,
) -> Any:
    """Refines the probabilities of an image of any size, tile by tile, without seams.

    The lattice's kernel is zero beyond a few bandwidths (`crfrnn.filtering.reach`), so a tile that
    is read with enough of its surroundings gives what the whole image would give. Results do not
    depend on tiles, passes, scheduler or number of threads, to the last bit; from `crfrnn.refine`
    they differ by the rounding of sums in another order. `crfrnn.large.plan` says how an image
    would be cut.

    Args:
        image: (*S,) or (*S, K), S = (H, W) or (D, H, W): a dask array, or what
            `dask.array.from_array` takes.
        probs: (*S, L), probabilities that sum to 1, likewise; of uint8 they mean 0..255. Also of
            fewer points, (*s, L), by a whole factor along each axis, as networks give them: they
            are interpolated as by `crfrnn.refine_many`.
        theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight, num_iterations,
            compatibility, normalization, spacing: see `crfrnn.refine`.
        mask: (*S) of bool, likewise: the points that take part. None: all.
        from_logits: whether `probs` are logits; those of fewer points are interpolated before the
            softmax.
        ignore_below: see `crfrnn.refine`: the labels below it at every point of the whole image
            are left out. To know them, probabilities and image are gone through at once.
        passes: how often the image is gone through, 1 to num_iterations. None: what costs least.
        tile: points of a tile, a number or one per axis. None: as many as fit in about 1.4 GB per
            worker, for a colour image with two labels, if the kernels do not reach too far.
        halo: share of the halo that exactness needs, 0 to 1: less is faster, and leaves seams.

    Returns:
        A dask array (*S, L) float32, one chunk per tile; nothing is computed yet.

    Raises:
        ValueError: as `crfrnn.refine`; what is wrong with numbers is found, and said with the place
            in the image, when they are computed.
        ImportError: dask is missing.

    Warns:
        UserWarning: the kernels reach so far that tiles cost much work or memory.

    Reference:
        A. Adams, J. Baek, M. A. Davis, "Fast High-Dimensional Filtering Using the Permutohedral
        Lattice", Eurographics 2010, for the kernel's support.

    Example: see `crfrnn.large`.
    """
    check_products(bilateral_weight, spatial_weight, compatibility)
    if 0 in probs.shape:
        return probs.astype(np.float32)
    crf = dict(
        theta_alpha=theta_alpha,
        theta_beta=theta_beta,
        theta_gamma=theta_gamma,
        bilateral_weight=bilateral_weight,
        spatial_weight=spatial_weight,
        compatibility=compatibility,
        normalization=normalization,
        spacing=spacing,
        coordinates=None,
        method="lattice",
        window=None,
    )
    weights = {"bilateral": bilateral_weight, "spatial": spatial_weight}
    thetas = {"bilateral": theta_alpha, "spatial": theta_gamma}
    names = [name for name, weight in weights.items() if np.any(weight)]
    grid = probs.shape[:-1]
    if ignore_below and names:
        one = make_plan(
            grid, [thetas[n] for n in names], 1, normalization, spacing, tile=tile, halo=halo
        )
        sums = _tiled(
            functools.partial(work.norms_of, normalized=True),
            *((image, mask), one.tile, one.halo, len(names)),
            names=names,
            crf=crf,
        )
        labels = present(
            probs, mask, sums, [weights[n] for n in names], compatibility, ignore_below
        )
        if len(labels) < probs.shape[-1]:
            weights = {f"{n}_weight": of_labels(w, labels) for n, w in weights.items()}
            kept = refine(
                image,
                shares(probs, labels),
                **{name: crf[name] for name in (*THETAS, "compatibility", "normalization")},
                **weights,
                num_iterations=num_iterations,
                spacing=spacing,
                mask=mask,
                passes=passes,
                tile=tile,
                halo=halo,
            )
            return restored(kept, probs, mask, labels)
    cut = make_plan(
        grid,
        [thetas[name] for name in names],
        num_iterations,
        normalization,
        spacing,
        passes=passes,
        tile=tile,
        halo=halo,
    )
    if tile is None and (cut.points > POINTS or cut.cost > _MUCH):
        warnings.warn(
            f"{cut}. The kernels reach far. halo=0.3 changes hardly a label and needs much less; "
            "so do smaller thetas.",
            stacklevel=checks.outside(),
        )
    norms = None
    if cut.norm_halo and names:
        norms = _tiled(
            work.norms_of, (image, mask), cut.tile, cut.norm_halo, len(names), names=names, crf=crf
        )
    q = None
    for count in cut.iterations:
        q = _tiled(
            work.iterated,
            (image, probs, mask, q, norms),
            cut.tile,
            cut.halo,
            probs.shape[-1],
            num_iterations=count,
            names=names,
            crf=crf,
        )
    return q


def _tiled(
    function: Callable[..., np.ndarray],
    arrays: Sequence[Any],
    tile: Sequence[int],
    halo: Sequence[int],
    channels: int,
    **options: Any,
) -> Any:
    """A dask array (*S, channels) of what a function makes of each tile with its halo.

    arrays: (*S) or (*S, ...), the first of them the image; None is handed on as None.
    """
    da = needed("dask.array", *_DASK)
    graphs = needed("dask.highlevelgraph", *_DASK)
    grid = arrays[0].shape[:-1]
    along = tiles(grid, tile)
    given = [a for a in arrays if a is not None]
    name = f"crfrnn-{getattr(function, '__name__', 'tile')}-{uuid.uuid4().hex}"
    tasks = {}
    for index in np.ndindex(*map(len, along)):
        inner = tuple(parts[i] for parts, i in zip(along, index, strict=True))
        outer, within = widened(inner, halo, grid)
        origin = tuple(part.start for part in outer)
        run = functools.partial(function, origin=origin, within=within, **options)
        windows = (None if array is None else windowed(array, outer) for array in arrays)
        key = (name, *index, 0)
        tasks[key] = (run, *windows)
    graph = graphs.HighLevelGraph.from_collections(name, tasks, dependencies=given)
    chunks = [tuple(part.stop - part.start for part in parts) for parts in along]
    return da.Array(graph, name, (*chunks, (channels,)), dtype=np.float32)


def _lazy(da: Any, name: str, value: Any) -> Any:
    """`value` as a dask array."""
    if isinstance(value, da.Array):
        return value
    if not hasattr(value, "shape"):
        value = checks.array(name, value)
    # Without a name of its own dask would read all of the array to make one.
    return da.from_array(value, name=False)
