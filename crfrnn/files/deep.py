"""Pictures that Pillow cannot keep: 16-bit and float colour (OpenCV), many bands (tifffile)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.files import sizes
from crfrnn.files.errors import Unfit
from crfrnn.optional import needed

_BITS, _SAMPLES = 258, 277  # TIFF's tags


def is_deep_colour(file: Any) -> bool:
    """Whether an opened picture has colours of 16 bits, of which Pillow reads the upper 8."""
    if file.format == "PNG":
        # Of each part of a PNG Pillow keeps the mode of the raw bytes, such as "RGB;16B".
        return any(str(tile[3]).startswith(("RGB;16", "RGBA;16", "LA;16")) for tile in file.tile)
    if file.format != "TIFF":
        return False
    bits = file.tag_v2.get(_BITS, (8,))
    return file.tag_v2.get(_SAMPLES, 1) > 1 and max(np.ravel(bits)) > 8


def read_png(path: Path) -> np.ndarray:
    """A PNG of 16 bits, without transparency: (H, W[, 3]).

    Raises:
        Unfit: OpenCV cannot read it.
    """
    array = _opencv(path)
    if array is None:
        raise Unfit("OpenCV cannot read it; the file is damaged: fetch or export it again.")
    return array


def read_tiff(path: Path) -> np.ndarray:
    """A TIFF that Pillow cannot keep: (H, W, K), or pages of it; as it is stored, not turned."""
    return _tifffile(path) if (array := _opencv(path)) is None else array


def _opencv(path: Path) -> np.ndarray | None:
    cv2 = needed("cv2", "Pictures of 16-bit or float colour", "cli")
    level = cv2.utils.logging.setLogLevel(
        0
    )  # it tells on the standard error what we tell in our own words
    try:
        # Bytes, because names that are not ASCII do not reach OpenCV on Windows.
        content = np.frombuffer(path.read_bytes(), np.uint8)
        read, pages = cv2.imdecodemulti(content, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not read:
        return None
    pages = [_rgb(page) for page in pages]
    if len({page.shape for page in pages}) > 1:
        raise Unfit(f"expected pages of one size; received {[page.shape for page in pages][:4]}.")
    return pages[0] if len(pages) == 1 or path.suffix.lower() == ".png" else np.stack(pages)


def _rgb(page: np.ndarray) -> np.ndarray:
    """(H, W, 3) of OpenCV's blue, green, red and perhaps opacity; of two bands the first."""
    if page.ndim == 2:
        return page
    return page[..., 0] if page.shape[-1] < 3 else np.ascontiguousarray(page[..., 2::-1])


def _tifffile(path: Path) -> np.ndarray:
    tifffile = needed("tifffile", "TIFF files of many bands", "formats")
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        sizes.check(series.nbytes)
        try:
            array, axes = series.asarray(), series.axes
        except ValueError as error:  # "requires the 'imagecodecs' package"
            if "imagecodecs" in str(error):
                needed("imagecodecs", "TIFF files of this compression", "formats")
            raise
    if "S" not in axes:  # of the axes S are the bands, and Y and X the picture
        raise Unfit(f"expected bands; received a TIFF of the axes {axes}; convert it.")
    return np.moveaxis(array, axes.index("S"), -1)
