"""Label maps for the tests of weak labels."""

import itertools

import numpy as np

VOID = 255


def disc(shape, centre, radius):
    rows, columns = np.indices(shape)
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


def cell(shape=(70, 90)):
    """Background 0, cytoplasm 1, nucleus 2."""
    label = np.zeros(shape, "uint8")
    label[disc(shape, (35, 42), 25)] = 1
    label[disc(shape, (34, 46), 12)] = 2
    return label


def moved(mask, pixels):
    """mask dilated by pixels, or eroded by -pixels: every pair of points by hand."""
    inside, outside = np.argwhere(mask), np.argwhere(~mask)
    squared = ((inside[:, None] - outside) ** 2).sum(-1)
    result = mask.copy()
    if pixels > 0:
        result[tuple(outside[squared.min(0) <= pixels**2].T)] = True
    else:
        result[tuple(inside[squared.min(1) <= pixels**2].T)] = False
    return result


def beside(label):
    """For each pixel the set of other classes among its four neighbours."""
    height, width = label.shape
    sets = np.empty(label.shape, object)
    for y, x in itertools.product(range(height), range(width)):
        around = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        there = {int(label[p]) for p in around if 0 <= p[0] < height and 0 <= p[1] < width}
        sets[y, x] = there - {int(label[y, x])}
    return sets
