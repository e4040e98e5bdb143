"""Padding layers against NumPy's."""

import numpy as np
import pytest

from tests import backend
from tests.tolerances import EXACT, assert_close
from unet.crop import CropTo
from unet.padding import MirrorPad, PadToAtLeast


@pytest.mark.parametrize("shape", [(2, 3, 5, 2), (1, 1, 2, 1), (1, 30, 40, 1), (1, 2, 4, 3, 1)])
def test_mirror_pad(shape):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    axes = [(0, 0), *[(7, 9)] * (len(shape) - 2), (0, 0)]
    actual = backend.array(MirrorPad(7, 9)(backend.tensor(x)))
    assert_close(actual, np.pad(x, axes, mode="reflect"), EXACT)


def test_pad_to_at_least():
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 4)).astype("float32")
    actual = backend.array(PadToAtLeast(7)(backend.tensor(x)))
    assert_close(actual, np.pad(x, [(0, 0), (0, 4), (0, 0), (0, 0)]), EXACT)


def test_crop_from_an_offset():
    x = np.random.default_rng(0).normal(size=(2, 8, 9, 3)).astype("float32")
    actual = CropTo(2)([backend.tensor(x), np.zeros((2, 4, 3, 1), "float32")])
    assert_close(backend.array(actual), x[:, 2:6, 2:5], EXACT)
