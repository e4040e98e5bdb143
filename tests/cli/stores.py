"""Zarr stores for the tests of the command, plain and OME."""

import numpy as np
import pytest

zarr = pytest.importorskip("zarr")
pytest.importorskip("dask")


GRID = (150, 110)
POINTS = 130**2


def case():
    rng = np.random.default_rng(3)
    truth = np.kron(rng.integers(0, 3, (5, 5)), np.ones((30, 22), int))
    image = np.clip(80 * truth[..., None] + rng.normal(0, 50, (*GRID, 3)), 0, 255).astype("uint8")
    probs = 0.2 * np.eye(3)[truth] + 0.8 * rng.dirichlet(np.ones(3), GRID)
    return image, probs.astype("float32")


IMAGE, PROBS = case()


def plain(folder, version=3):
    for name, array in (("image.zarr", IMAGE), ("probs.zarr", PROBS)):
        target = zarr.create_array(
            folder / name, shape=array.shape, chunks=(64, 50, 3), dtype=array.dtype,
            zarr_format=version,
        )  # fmt: skip
        target[:] = array
    return folder / "image.zarr", folder / "probs.zarr"


def ome(folder, version, scale=(0.5, 1.0)):
    """Channels first, a level of half the size after the first, and one time, as microscopes."""
    paths = []
    for name, array in (("image.ome.zarr", IMAGE), ("probs.ome.zarr", PROBS)):
        group = zarr.open_group(folder / name, mode="w", zarr_format=version)
        first = np.moveaxis(array, -1, 0)[None]
        for level, values in enumerate((first, first[..., ::2, ::2])):
            target = group.create_array(f"s{level}", shape=values.shape, dtype=values.dtype)
            target[:] = values
        axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
        axes += [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"]
        datasets = [
            {
                "path": f"s{level}",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1, 1, *(2**level * np.array(scale))]}
                ],
            }
            for level in range(2)
        ]
        content = {"multiscales": [{"axes": axes, "datasets": datasets}]}
        group.attrs.update(content if version == 2 else {"ome": {"version": "0.5", **content}})
        paths.append(folder / name)
    return paths
