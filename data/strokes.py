"""Where one who has little time draws: along the middle of a class, or some dots in it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.graph import MCP_Geometric

_EIGHT = np.ones((3, 3), bool)  # pixels that touch at a corner belong together

# A stroke turns where the room to the outline is this share of the distance from what is drawn.
_ROOM = 0.25


def _depth(mask: np.ndarray) -> np.ndarray:
    """Distance to the nearest pixel outside mask or outside the image, (H, W); 0 outside mask."""
    return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


def strokes(mask: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """About a share of the pixels of mask (H, W), one of pieces drawn by their size a stroke."""
    depth = _depth(mask)
    wanted = max(1, round(share * mask.sum()))
    drawn = np.zeros_like(mask)
    # Where the insides are too small for the wanted length, strokes go to the outline after all.
    for nearest in (1, 0):
        pieces, number = ndimage.label((depth > nearest) & ~drawn, _EIGHT)
        areas = np.bincount(pieces.ravel(), minlength=number + 1)[1:]
        boxes = ndimage.find_objects(pieces)
        # Exponential clocks: an order drawn without replacement, with odds in proportion to area.
        for k in np.argsort(rng.exponential(size=number) / areas):
            room = min(wanted - drawn.sum(), np.ceil(1.5 * wanted * areas[k] / areas.sum()))
            if room < 1:
                break
            inside = np.where(pieces[boxes[k]] == k + 1, depth[boxes[k]], 0)
            drawn[boxes[k]] |= _stroke(inside, int(room), rng)
    return drawn


def _stroke(depth: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """A connected stroke along the ridge of depth, (H, W) with 0 where no stroke may be.

    It has `length` pixels, or fewer when every pixel touches it.
    """
    cost = np.where(depth > 0, 1 / np.maximum(depth, 1) ** 2, -1)  # no way through below 0

    def leg(places: np.ndarray) -> np.ndarray:
        """Path from places to a pixel far from them, (n, 2); empty if all pixels touch them."""
        distance = ndimage.distance_transform_edt(~places)
        score = np.minimum(distance, depth / _ROOM)
        if score.max() < 2:
            return np.empty((0, 2), int)
        score *= rng.uniform(0.8, 1, depth.shape)  # seeds differ in a disc's diameter, too
        end = np.unravel_index(score.argmax(), depth.shape)
        paths = MCP_Geometric(cost)
        starts = np.argwhere(places)
        # From the far end, as the search stops at the first of the places that it meets.
        costs, _ = paths.find_costs([end], starts, find_all_ends=False)
        return np.array(paths.traceback(starts[costs[places].argmin()]))[::-1]

    drawn = _marked(depth.shape, rng.permutation(np.argwhere(depth > 0))[:1])
    if len(path := leg(drawn)):
        # Along the ridge, from one far place to another.
        path = leg(_marked(depth.shape, path[-1:]))
        offset = rng.integers(max(len(path) - length, 0) + 1)
        drawn = _marked(depth.shape, path[offset : offset + length])
    while drawn.sum() < length and len(path := leg(drawn)):
        drawn |= _marked(depth.shape, path[1 : 1 + length - drawn.sum()])
    return drawn


def _marked(shape: tuple[int, ...], pixels: np.ndarray) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(pixels.T)] = True
    return mask


def apart(
    mask: np.ndarray, number: int, size: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Centres in mask of up to `number` squares that stay apart and inside as far as they can."""
    whole = ndimage.minimum_filter(np.pad(mask, size), size)[size:-size, size:-size]
    centres: list[tuple[int, int]] = []
    for _ in range(number):
        distance = np.full(mask.shape, np.inf)
        if centres:
            places = _marked(mask.shape, np.array(centres))
            distance = ndimage.distance_transform_cdt(~places, "chessboard").astype(float)
        # More than `size` apart, squares do not even touch.
        choices = (whole & (distance > size), mask & (distance > size), mask & (distance > 0))
        choice = next((choice for choice in choices if choice.any()), None)
        if choice is None:
            break
        choice &= distance >= distance[choice].max() / 4
        centres.append(tuple(rng.choice(np.argwhere(choice))))
    return centres
