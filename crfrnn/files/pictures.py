"""Pictures: PNG, JPEG, TIFF, BMP, WebP."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.files import deep, sizes
from crfrnn.files.errors import Unfit, naming, real
from crfrnn.optional import needed

# Without their palette, transparency or other colour model, which the CRF has no use for.
_COLOUR = ("P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_GREY = ("1", "LA", "La")
_BANDS = {"F": 4, "I": 4, "I;16": 2, "I;16B": 2, "I;16L": 2}  # bytes of a point, of grey modes
_LOSSY = {"JPEG": "jpeg", "MPO": "jpeg"}  # and TIFF where it says so
_NODATA = 42113  # GDAL's tag
_ONE_AT_A_TIME = threading.Lock()


def read_picture(path: Path, *, classes: bool = False) -> np.ndarray:
    """Read a picture, upright; a TIFF of several pages is a volume.

    Transparency is dropped. A palette is read as its colours, or as indices where the values are
    classes. 16-bit and float pictures keep their values, bands beyond three are kept. Where the
    camera was turned, and says so (EXIF), the picture is turned back, as viewers do it. Points that
    a GeoTIFF says to be no data become NaN.

    Args:
        path: the file.
        classes: whether the values are classes: then one channel is expected.

    Returns:
        (H, W) grey, (H, W, K) colour or bands, or (D, H, W[, K]); uint8, uint16, int32 or float32.

    Raises:
        ValueError: a file that cannot be read, or colours or JPEG where classes are expected.
        ImportError: OpenCV or tifffile is missing, which deep colours and many bands need.

    Example:

    >>> read_picture(Path("a.png")).shape  # doctest: +SKIP
    (480, 640, 3)
    """
    return read_bands(path, classes=classes)[0]


def read_bands(path: Path, *, classes: bool = False) -> tuple[np.ndarray, bool]:
    """As `read_picture`; and whether the last axis is one of colours or bands."""
    needed("PIL", "Pictures", "cli")
    from PIL import Image, UnidentifiedImageError

    # Opened here: of a file that it opens itself Pillow turns the rows of some TIFFs wrongly.
    with naming(path), open(path, "rb") as content, _any_size():
        try:
            file = Image.open(content)
        except UnidentifiedImageError:
            if path.suffix.lower() not in (".tif", ".tiff") or classes:
                raise
            return real(deep.read_tiff(path)), True
        is_tiff = file.format == "TIFF"
        # Only TIFF: the further frames of a JPEG (MPO) or PNG are previews and animations.
        pages = getattr(file, "n_frames", 1) if is_tiff else 1
        if classes and "jpeg" in (file.info.get("compression"), _LOSSY.get(str(file.format))):
            raise Unfit(
                "expected classes as they were; received JPEG, which changes values; save them "
                "as .png."
            )
        _check_size(file, path, pages)
        if not classes and deep.is_deep_colour(file):
            values = deep.read_tiff(path) if is_tiff else deep.read_png(path)
            bands = values.ndim == (2 if pages == 1 else 3) + 1
        else:
            values, bands = _pillow(file, pages, classes)
        return _without_nodata(real(values), file if is_tiff and not classes else None), bands


def _pillow(file: Any, pages: int, classes: bool) -> tuple[np.ndarray, bool]:
    from PIL import ImageOps, ImageSequence

    def array(frame: Any) -> np.ndarray:
        if classes:
            if len(frame.getbands()) > 1:
                raise Unfit(
                    f"expected one channel whose values are classes; received mode {frame.mode}; "
                    "save the classes as grey values or as a palette."
                )
        elif frame.mode in _COLOUR:
            frame = frame.convert("RGB")
        elif frame.mode in _GREY:
            frame = frame.convert("L")
        return np.asarray(frame)

    if pages == 1:
        values = array(ImageOps.exif_transpose(file))
        return values, values.ndim == 3
    sheets = [array(page) for page in ImageSequence.Iterator(file)]
    if len(shapes := {sheet.shape for sheet in sheets}) > 1:
        raise Unfit(f"expected pages of one size; received {sorted(shapes)}; save one alone.")
    return np.stack(sheets), sheets[0].ndim == 3


def _without_nodata(values: np.ndarray, file: Any) -> np.ndarray:
    """NaN where a GeoTIFF has no data."""
    text = None if file is None else file.tag_v2.get(_NODATA)
    if text is None:
        return values
    try:
        nodata = float(str(text).strip(" \0"))
    except ValueError:
        return values
    missing = values == np.asarray(nodata).astype(values.dtype)
    return np.where(missing, np.float32(np.nan), values) if missing.any() else values


def _check_size(file: Any, path: Path, pages: int) -> None:
    points = float(file.width) * file.height * pages
    sizes.check(points * _BANDS.get(file.mode, len(file.getbands())))
    # At least a bit per point, or (JPEG) per 64 of them.
    if file.format in ("PNG", "BMP", "JPEG", "MPO"):
        sizes.check(points / 8, sizes.DEFLATE * sizes.on_disk(path))


@contextlib.contextmanager
def _any_size() -> Iterator[None]:
    """Without Pillow's own limit of 179 million points, which is below that of a scanned slide."""
    from PIL import Image

    with _ONE_AT_A_TIME:  # the limit is one for the whole process
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
