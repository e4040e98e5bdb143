"""Percentiles of images larger than memory are those of NumPy, to the last bit."""

import numpy as np
import pytest

from crfrnn.offline.intensities import normalise

da = pytest.importorskip("dask.array")
from crfrnn.large.percentiles import normalised  # noqa: E402

RNG = np.random.default_rng(5)
SHAPE = (37, 23, 11, 2)
DTYPES = ["bool", "uint8", "int8", "uint16", "int16", ">i2", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", ">f4", "float64"]


def image_of(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return RNG.random(SHAPE) < 0.3
    if dtype.kind == "f":
        values = RNG.normal(0, 1, SHAPE) * 10.0 ** RNG.integers(-3, 4, SHAPE)
        values[RNG.random(SHAPE) < 0.1] = -0.0
        return values.astype(dtype)
    ends = np.iinfo(dtype)
    values = RNG.integers(ends.min, ends.max, SHAPE, dtype=dtype.newbyteorder("="), endpoint=True)
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_they_are_those_of_numpy(dtype, masked):
    image, mask = image_of(dtype), RNG.random(SHAPE[:-1]) < 0.6
    expected = np.zeros(SHAPE, np.float32)
    expected[mask] = normalise(image[mask])
    if not masked:
        expected, mask = normalise(image), None
    for chunks in (-1, (10, 23, 4, 1)):
        lazy = None if mask is None else da.from_array(mask, chunks=(9, 9, 9))
        found = normalised(da.from_array(image, chunks=chunks), lazy)
        np.testing.assert_array_equal(found.compute(), expected)


@pytest.mark.parametrize("count", [1, 2, 3, 200, 201])
def test_few_points_and_constant_channels(count):
    image = np.stack([RNG.normal(size=count), np.full(count, 3.0)], -1)
    found = normalised(da.from_array(image, chunks=7)).compute()
    np.testing.assert_array_equal(found, normalise(image))


def test_what_has_no_percentiles_is_refused():
    image = np.ones((4, 5, 1), np.float32)
    mask = np.zeros((4, 5), bool)
    with pytest.raises(ValueError, match="some point that counts"):
        normalised(da.from_array(image), da.from_array(mask))
    image[2, 3] = np.inf
    with pytest.raises(ValueError, match="expected finite intensities; received 1 NaN or inf"):
        normalised(da.from_array(image))
    mask[0, 0] = True
    assert normalised(da.from_array(image), da.from_array(mask)).compute().max() == 0
