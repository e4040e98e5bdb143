"""Zarr arrays, and the first level of an OME-Zarr image, with what it says of its axes.

OME-Zarr: https://ngff.openmicroscopy.org, versions 0.4 (Zarr 2) and 0.5 (Zarr 3).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crfrnn.optional import needed_zarr

ZARR = (".zarr",)
_MARKS = ("zarr.json", ".zarray", ".zgroup")
_SPACE = ("z", "y", "x")


class Zarr(NamedTuple):
    """An array on disk.

    array: of the package zarr, nothing of which has been read.
    axes: their names, such as ("c", "y", "x"), or None where nothing says them.
    spacing: distance of neighbouring points along z, y, x as far as there, or None.
    unit: of the spacing, such as "micrometer", or None.
    """

    array: Any
    axes: tuple[str, ...] | None = None
    spacing: tuple[float, ...] | None = None
    unit: str | None = None

    @property
    def version(self) -> int:
        """Of Zarr's format."""
        return self.array.metadata.zarr_format


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group.

    Example:

    >>> is_zarr(Path("labels.png"))
    False
    """
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def open_zarr(path: Path) -> Zarr:
    """Opens a Zarr array, or the first level of an OME-Zarr image.

    Raises:
        ValueError: a group that is no image, axes that are not understood.
        ImportError: zarr is missing, or too old.
    """
    zarr = needed_zarr()
    try:
        found = zarr.open(path, mode="r")
    except Exception as error:  # of many kinds, of zarr and of what it reads
        raise ValueError(f"{path}: cannot be read as Zarr: {error}") from error
    if not hasattr(found, "keys"):
        return Zarr(found)
    attributes = found.attrs.asdict()
    ome = attributes.get("ome", attributes)
    images = ome.get("multiscales") if isinstance(ome, dict) else None
    if not images:
        raise ValueError(
            f"{path}: expected an array, or an OME-Zarr image. Received a group of "
            f"{', '.join(sorted(found.keys())) or 'nothing'}. Name an array in it."
        )
    try:
        return _first_level(found, images[0])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        said = f"there is no {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{path}: what it says of its image is not OME-Zarr: {said}. Repair its attributes, or "
            "name an array in it."
        ) from None


class Named:
    """A Zarr array that says its path when it cannot be read; dask takes it as an array.

    path: for the message. array: of the package zarr.
    """

    def __init__(self, path: Path, array: Any):
        self.path, self.array = path, array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, place: Any) -> Any:
        try:
            return self.array[place]
        except MemoryError:
            raise
        except Exception as error:  # of many kinds, of whatever has compressed it
            raise ValueError(
                f"{self.path}: a part cannot be read: {error}. Fetch or export it again if it is "
                "damaged."
            ) from error


def _first_level(group: Any, image: Any) -> Zarr:
    """The first level of an image; what is wrong with what a group says of it is raised."""
    level = image["datasets"][0]
    array = group[level["path"]]
    axes = tuple(axis["name"] if isinstance(axis, dict) else axis for axis in image["axes"])
    if len(axes) != array.ndim or sorted(set(axes)) != sorted(axes) or set(axes) - {*"tczyx"}:
        raise ValueError(
            f"expected {array.ndim} axes among t, c, z, y, x, received {', '.join(map(str, axes))}"
        )
    scales = [1.0] * len(axes)
    both = (level, image)  # of the level, and of all of them
    for transformation in (t for of in both for t in of.get("coordinateTransformations", ())):
        if transformation["type"] == "scale":
            factors = [float(factor) for factor in transformation["scale"]]
            if len(factors) != len(axes) or not all(0 < f < math.inf for f in factors):
                raise ValueError(
                    f"expected a scale of {len(axes)} positive numbers, received {factors}"
                )
            scales = [a * b for a, b in zip(scales, factors, strict=True)]
    units = [axis.get("unit") for axis in image["axes"] if isinstance(axis, dict)]
    spacing = tuple(scales[axes.index(name)] for name in _SPACE if name in axes)
    return Zarr(array, axes, spacing, next(filter(None, reversed(units)), None))


def fingerprint(folder: Path) -> list[int]:
    """Number of the files of a Zarr array, their bytes together, time of the newest (ns)."""
    status = [path.stat() for path in folder.rglob("*") if path.is_file()]
    newest = max((each.st_mtime_ns for each in status), default=0)
    return [len(status), sum(each.st_size for each in status), newest]


def create_array(
    path: Path, shape: Sequence[int], chunks: Sequence[int], dtype: Any, version: int
) -> Any:
    """A new Zarr array of zeros."""
    zarr = needed_zarr()
    path.parent.mkdir(parents=True, exist_ok=True)
    return zarr.create_array(
        str(path), shape=tuple(shape), chunks=tuple(chunks), dtype=dtype, zarr_format=version
    )


def write_image(
    folder: Path, levels: Sequence[tuple[str, float]], like: Zarr, *, labels: bool
) -> None:
    """Makes a folder of arrays an OME-Zarr image, of labels or of probabilities (c last).

    Args:
        folder: of the arrays.
        levels: name of each array, and how many times coarser than the image it is.
        like: the image.
    """
    names = [name for name in _SPACE if name in (like.axes or ())]
    unit = {"unit": like.unit} if like.unit else {}
    axes: list[dict[str, Any]] = [{"name": name, "type": "space", **unit} for name in names]
    more: list[float] = []
    if not labels:
        axes, more = [{"name": "c", "type": "channel"}, *axes], [1.0]
    spacing = like.spacing or (1.0,) * len(names)
    datasets = [
        {
            "path": name,
            "coordinateTransformations": [
                {"type": "scale", "scale": [*more, *(step * times for step in spacing)]}
            ],
        }
        for name, times in levels
    ]
    version = "0.5" if like.version == 3 else "0.4"
    image: dict[str, Any] = {"name": folder.name, "axes": axes, "datasets": datasets}
    content: dict[str, Any] = {"multiscales": [image]}
    if labels:
        content["image-label"] = {}
    if like.version == 3:
        group = {"ome": {"version": version, **content}}
        text = {"zarr_format": 3, "node_type": "group", "attributes": group}
        (folder / "zarr.json").write_text(json.dumps(text, indent=1))
        return
    image["version"] = version
    (folder / ".zattrs").write_text(json.dumps(content, indent=1))
    (folder / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
