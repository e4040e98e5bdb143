"""`python -m tools.explorer.examples`: the pictures that the explorer's page has to show.

"coffee" (Rachel Michetti) and "chelsea" (Stefan van der Walt) are photographs of scikit-image,
dedicated to the public domain (CC0); the labels of the first are those of docs/make_picture.py. The
phantom is this project's own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import data
from crfrnn import files
from data.corruption import coarse

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "explorer" / "examples"


def save(name: str, array: np.ndarray, **how) -> None:
    EXAMPLES.mkdir(exist_ok=True)
    with files.replacing(EXAMPLES / name) as part:
        Image.fromarray(array).save(part, **how)


def main() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    import make_picture
    from skimage.data import chelsea, coffee

    photo = coffee()
    labels = make_picture.in_blocks(make_picture.drawn(photo.shape[:2]))
    save("coffee.jpg", photo, quality=85)
    save("coffee-labels.png", labels.astype(np.uint8), optimize=True)
    save("cat.jpg", chelsea(), quality=85)

    case = data.phantom(4, shape=(224, 192), seed=3)[1]
    probs = coarse(case.label, len(data.labels("phantom")), seed=1, stride=6)
    image = np.squeeze(case.image)
    scaled = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    save("phantom.png", scaled, optimize=True)
    save("phantom-labels.png", probs.argmax(-1).astype(np.uint8), optimize=True)
    save("phantom-truth.png", case.label.astype(np.uint8), optimize=True)


if __name__ == "__main__":
    main()
