"""Batches changed at random: windows, mirror images, turned, resized, brighter or darker."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import linalg, ndimage

from experiments.config import Config
from experiments.train.inputs import FAR, VOID, Slices


def augmented(slices: Slices, chosen: np.ndarray, config: Config, seed: Sequence[int]) -> Slices:
    """A batch of slices, changed at random: a function of the seed, the same when resumed."""
    names = ("images", "references", "labels", *(["weights"] if slices.weights is not None else []))
    arrays = {name: getattr(slices, name)[chosen] for name in names}
    random = np.random.default_rng([*seed, 1])  # 1: other numbers than the order's
    sizes, axes = slices.sizes()[chosen], slices.labels.ndim - 1
    if config.rotate or config.zoom:
        arrays = _turned(arrays, sizes, config, random)
    elif config.crop:
        arrays = _windows(arrays, sizes, config.crop, random)
    if config.flips:
        mirrored = [np.flatnonzero(along) for along in random.random((len(chosen), axes)) < 0.5]
        for name, array in arrays.items():
            pieces = [np.flip(one, along) for one, along in zip(array, mirrored, strict=True)]
            arrays[name] = np.stack(pieces)
    if config.jitter:
        # Of the network's image only: what the CRF compares are the pixels as they are.
        size = (len(chosen), *(1,) * axes, slices.images.shape[-1])
        factor, shift = config.jitter * random.uniform(-1, 1, (2, *size))
        arrays["images"] = ((1 + factor) * arrays["images"] + shift).astype("float32")
    return dataclasses.replace(slices, **arrays)


def _windows(
    arrays: Mapping[str, np.ndarray], sizes: np.ndarray, side: int, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """A square or cube of each slice, (B, side, side, ...) of arrays (B, *S, ...), in its size.

    sizes: (B, axes), without padding. Of slices that are smaller, all, with what padding there is.
    """
    places = random.integers(np.maximum(sizes - side, 0) + 1)
    windows = [tuple(slice(start, start + side) for start in place) for place in places.tolist()]
    return {
        name: np.stack([one[window] for one, window in zip(array, windows, strict=True)])
        for name, array in arrays.items()
    }


def _turned(
    arrays: Mapping[str, np.ndarray], sizes: np.ndarray, config: Config, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """The same windows, or whole slices, turned and resized about their middle.

    Points that come from outside of a slice are padding. Images are interpolated linearly, labels
    are those of the nearest point.
    """
    full = np.array(arrays["labels"].shape[1:])
    side = np.minimum(config.crop or full, full)
    turned: dict[str, list[np.ndarray]] = {name: [] for name in arrays}
    for index, place in enumerate(random.integers(np.maximum(sizes - side, 0) + 1)):
        matrix = _matrix(config, len(full), random)
        middle = (side - 1) / 2
        where = {
            "matrix": matrix,
            "offset": place + middle - matrix @ middle,
            "output_shape": tuple(side),
        }
        of_points = {**where, "order": 0, "mode": "constant"}
        image, present = arrays["images"][index], arrays["references"][index, ..., 0] != FAR
        channels = [
            ndimage.affine_transform(one, **where, order=1, mode="nearest")
            for one in np.moveaxis(image, -1, 0)
        ]
        image = np.stack(channels, axis=-1)
        present = ndimage.affine_transform(present.astype("uint8"), **of_points).astype(bool)
        label = ndimage.affine_transform(arrays["labels"][index], **of_points, cval=VOID)
        turned["images"].append(image)
        turned["references"].append(np.where(present[..., None], image, np.float32(FAR)))
        turned["labels"].append(label)
        if "weights" in arrays:
            turned["weights"].append(
                ndimage.affine_transform(arrays["weights"][index], **of_points)
            )
    return {name: np.stack(each) for name, each in turned.items()}


def _matrix(config: Config, axes: int, random: np.random.Generator) -> np.ndarray:
    """(axes, axes): where a point of what is made lies in what is there, both from the middle."""
    upper = np.triu_indices(axes, 1)
    plane = random.normal(size=len(upper[0]))
    angle = np.deg2rad(config.rotate) * random.uniform(-1, 1)
    generator = np.zeros((axes, axes))
    generator[upper] = angle * plane / np.linalg.norm(plane)
    # Of an antisymmetric matrix, whose norm in each plane is the angle, this is a rotation.
    rotation = linalg.expm(generator - generator.T)
    return rotation * (1 + config.zoom) ** random.uniform(-1, 1)
