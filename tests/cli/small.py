"""Probabilities of fewer points than the image."""

import numpy as np
import pytest

pytest.importorskip("click")

from tests.cli.scenes import scene

SIZE = (40, 54)


def interpolated(array, grid):
    """By np.interp, along one line after the other."""
    for axis, size in enumerate(grid):
        old = (np.arange(array.shape[axis]) + 0.5) / array.shape[axis]
        new = (np.arange(size) + 0.5) / size
        lines = [
            np.interp(new, old, line) for line in np.moveaxis(array, axis, -1).reshape(-1, len(old))
        ]
        rest = np.delete(array.shape, axis)
        array = np.moveaxis(np.reshape(lines, (*rest, size)), -1, axis)
    return array


def small_scene(labels=4):
    image, _, _ = scene(SIZE, labels, channels=3)
    _, probs, _ = scene((5, 7), labels)
    return image, probs
