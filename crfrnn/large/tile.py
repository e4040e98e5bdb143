"""What is done to one tile with its halo, on NumPy arrays; a worker needs nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn.filtering import native
from crfrnn.large.plan import Slices
from crfrnn.meanfield.in_place import MeanField
from crfrnn.meanfield.logits import logits_from_probabilities
from crfrnn.native import library
from crfrnn.offline import inputs
from crfrnn.offline.kernels import image_kernels


def norms_of(
    image: np.ndarray,
    mask: np.ndarray | None,
    *,
    origin: Sequence[int],
    within: Slices,
    names: Sequence[str],
    crf: dict[str, Any],
    normalized: bool = False,
) -> np.ndarray:
    """K 1 of each kernel at the points of a tile, (*S, kernels); 0 outside the mask.

    Args:
        image: (*S, K), the tile and its halo.
        mask: (*S) of bool, or None.
        origin: where the halo begins in the image.
        within: the tile in its halo.
        names: of the kernels, in the order wanted.
        crf: the arguments of `image_kernels`.
        normalized: whether K is the normalised kernel; else as it is before.
    """
    mask = _partial(mask)
    image = _checked(image, mask, origin)
    result = np.zeros((*image.shape[:-1], len(names)), np.float32)
    # What weights and compatibility say of labels plays no part in a norm, and two labels suffice.
    plain: dict[str, Any] = {f"{n}_weight": float(n in names) for n in ("bilateral", "spatial")}
    plain |= {"compatibility": "potts", **({} if normalized else {"normalization": "none"})}
    if mask is None or mask.any():
        with _in_order():
            kernels = image_kernels(image, 2, mask=mask, origin=origin, **crf | plain)
            for column, name in enumerate(names):
                kernel = kernels[name].filter
                apply = kernel if normalized else kernel.operator
                norm = apply(np.ones_like(kernel.operator.positions[..., :1]))[0, :, 0]
                result[(..., column) if mask is None else (mask, column)] = (
                    norm.reshape(image.shape[:-1]) if mask is None else norm
                )
    return _alone(result[within])


def iterated(
    image: np.ndarray,
    probs: np.ndarray,
    mask: np.ndarray | None,
    q: np.ndarray | None,
    norms: np.ndarray | None,
    *,
    num_iterations: int,
    origin: Sequence[int],
    within: Slices,
    names: Sequence[str],
    crf: dict[str, Any],
) -> np.ndarray:
    """Mean-field iterations in a tile: its probabilities (*S, L) float32, without the halo.

    Args:
        probs: (*S, L), those that the CRF is to refine.
        q: (*S, L) float32, what the iterations before this pass have made of them; None: none.
        norms: (*S, kernels) of the whole image, as `norms_of` makes them; None: those of the tile.

    The others: see `norms_of`.
    """
    grid, labels = probs.shape[:-1], probs.shape[-1]
    mask = _partial(mask)
    if mask is not None and not mask.any():
        return probs[within].astype(np.float32)
    try:
        image, probs = inputs.case(image, probs, mask)
    except ValueError as error:
        raise ValueError(f"{_place(origin, grid)}: {error}") from None
    refined = probs.astype(np.float32) if q is None else np.array(q, np.float32)
    known = None if norms is None else {n: norms[..., i] for i, n in enumerate(names)}
    with _in_order():
        kernels = image_kernels(image, labels, mask=mask, origin=origin, norms=known, **crf)
        rows = (slice(None),) * len(grid) if mask is None else mask
        unary = logits_from_probabilities(probs[rows].reshape(-1, labels))
        start = None if q is None else library.contiguous(refined[rows].reshape(-1, labels))
        state = MeanField(list(kernels.values()), np.ascontiguousarray(unary), start)
        state.step(num_iterations)
    refined[rows] = state.q.reshape(refined[rows].shape)
    return _alone(refined[within])


def _partial(mask: np.ndarray | None) -> np.ndarray | None:
    """The mask where it leaves out something: without one the same is faster."""
    return None if mask is None or mask.all() else mask


def _alone(tile: np.ndarray) -> np.ndarray:
    """The tile without the halo that it is a view of, which would stay in memory with it."""
    return np.ascontiguousarray(tile)


def _checked(image: np.ndarray, mask: np.ndarray | None, origin: Sequence[int]) -> np.ndarray:
    try:
        return inputs.finite_image(image, mask)
    except ValueError as error:
        raise ValueError(f"{_place(origin, image.shape[:-1])}: {error}") from None


def _place(origin: Sequence[int], grid: Sequence[int]) -> str:
    ranges = ", ".join(f"{o}:{o + n}" for o, n in zip(origin, grid, strict=True))
    return f"In the part [{ranges}] of the image"


def _in_order() -> contextlib.AbstractContextManager[None]:
    return library.in_order() if native.available() else contextlib.nullcontext()
