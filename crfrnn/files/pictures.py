"""Pictures: PNG, JPEG, TIFF, BMP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.files.errors import Unfit, naming, real
from crfrnn.optional import needed

# Without their palette, transparency or other colour model, which the CRF has no use for.
_COLOUR = ("P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_GREY = ("1", "LA", "La")


def read_picture(path: Path, *, classes: bool = False) -> np.ndarray:
    """Read a picture; a TIFF of several pages is a volume.

    Transparency is dropped. A palette is read as its colours, or as indices where the values are
    classes. 16-bit grey and 32-bit float pictures keep their values; of 16-bit colour Pillow reads
    the upper 8 bits, so that its values are 0..255 as well.

    Args:
        path: the file.
        classes: whether the values are classes: then one channel is expected.

    Returns:
        (H, W) grey, (H, W, 3) colour, or (D, H, W[, 3]); uint8, uint16, int32 or float32.

    Raises:
        ValueError: a file that cannot be read, or colours where classes are expected.

    Example:

    >>> read_picture(Path("a.png")).shape  # doctest: +SKIP
    (480, 640, 3)
    """
    needed("PIL", "Pictures", "cli")
    from PIL import Image, ImageSequence

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

    with naming(path), Image.open(path) as file:
        # Only TIFF: the further frames of a JPEG (MPO) or PNG are previews and animations.
        if file.format != "TIFF" or getattr(file, "n_frames", 1) == 1:
            return real(array(file))
        return real(np.stack([array(page) for page in ImageSequence.Iterator(file)]))
