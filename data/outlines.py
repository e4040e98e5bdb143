"""How outlines go wrong: what lies in what, pieces moved in or out, ragged borders."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

_EIGHT = np.ones((3, 3), bool)  # pixels that touch at a corner belong together


def regions(index: np.ndarray, number: int) -> np.ndarray:
    """Each class with all that lies in it, (number, H, W) bool; see `noisy_outlines`.

    Args:
        index: (H, W) integers 0..number-1, all of them present.
        number: of classes.
    """
    pairs = np.zeros((number, number))
    np.add.at(pairs, (index[:, :-1], index[:, 1:]), 1)
    np.add.at(pairs, (index[:-1], index[1:]), 1)
    borders = pairs + pairs.T
    np.fill_diagonal(borders, 0)
    tree = csgraph.minimum_spanning_tree(sparse.csr_array(-borders))
    order, parents = csgraph.breadth_first_order(tree, 0, directed=False)
    regions = index == np.arange(number)[:, None, None]
    for k in order[:0:-1]:
        regions[parents[k]] |= regions[k]
    return regions


def moved(region: np.ndarray, low: int, high: int, rng: np.random.Generator) -> np.ndarray:
    """Each piece of region (H, W) eroded or dilated by low to high pixels."""
    moved = np.zeros_like(region)
    pieces, _ = ndimage.label(region, _EIGHT)
    for k, box in enumerate(ndimage.find_objects(pieces), 1):
        box = tuple(slice(max(side.start - high - 1, 0), side.stop + high + 1) for side in box)
        piece = pieces[box] == k
        pixels = rng.integers(low, high + 1)
        if rng.random() < 0.5:
            moved[box] |= ndimage.distance_transform_edt(~piece) <= pixels
        else:
            depth = ndimage.distance_transform_edt(piece)
            moved[box] |= depth > min(pixels, depth.max() - 1)
    return moved


def flipped(label: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A share of the pixels beside another class take the class of such a neighbour."""
    padded = np.pad(label, 1, mode="edge")
    above, below, left, right = padded[:-2], padded[2:], padded[:, :-2], padded[:, 2:]
    neighbours = np.stack([above[:, 1:-1], below[:, 1:-1], left[1:-1], right[1:-1]])
    differs = neighbours != label
    picked = (rng.uniform(1, 2, differs.shape) * differs).argmax(0)
    other = np.take_along_axis(neighbours, picked[None], 0)[0]
    return np.where(differs.any(0) & (rng.random(label.shape) < share), other, label)
