"""`python docs/make_picture.py docs/coffee.jpg`: coarse labels, and what the CRF makes of them.

The photograph is scikit-image's "coffee", by Rachel Michetti, dedicated to the public domain (CC0).
Its labels are drawn here by hand, as ellipses, and then known in blocks of 25 pixels alone, as a
network sees them that has shrunk its image as often.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.data import coffee

import crfrnn
from crfrnn.diagnosis.paint import paint
from crfrnn.files import replacing

BLOCK = 25  # pixels
TABLE, CROCKERY, PORCELAIN, COFFEE = range(4)
COLOURS = np.array([[0, 0, 0, 0], [0, 90, 255, 255], [255, 220, 0, 255], [0, 190, 90, 255]]) / 255
GAP = 12  # pixels of white between the two


def ellipse(shape, x, y, a, b, degrees=0.0):
    """A mask: centre, half axes and turn of an ellipse."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    turn = np.exp(-1j * np.deg2rad(degrees))
    along = (columns - x + 1j * (rows - y)) * turn
    return (along.real / a) ** 2 + (along.imag / b) ** 2 < 1


def drawn(shape):
    """The labels, drawn by hand: a saucer and the outside of a cup, its inside, the coffee."""
    labels = np.full(shape, TABLE)
    labels[ellipse(shape, 278, 229, 202, 155, 6)] = CROCKERY
    labels[113:230, 178:398] = CROCKERY
    labels[ellipse(shape, 290, 113, 118, 94, 5)] = PORCELAIN
    labels[ellipse(shape, 288, 144, 82, 46, 5)] = COFFEE
    return labels


def in_blocks(labels):
    """The most frequent label of each block, in all of it."""
    height, width = (size // BLOCK for size in labels.shape)
    blocks = labels.reshape(height, BLOCK, width, BLOCK).swapaxes(1, 2).reshape(height, width, -1)
    most = np.eye(COFFEE + 1)[blocks].mean(2).argmax(-1)
    return most.repeat(BLOCK, 0).repeat(BLOCK, 1)


def main(path):
    image = coffee()
    coarse = in_blocks(drawn(image.shape[:2]))
    probs = crfrnn.probs_from_labels(coarse, len(COLOURS), confidence=0.6)
    crf = dict(theta_alpha=40.0, theta_beta=12.0, theta_gamma=3.0)  # pixels, grey levels, pixels
    weights = dict(bilateral_weight=8.0, spatial_weight=3.0)
    refined = crfrnn.refine(image, probs, **crf, **weights, num_iterations=10).argmax(-1)

    panels = []
    for labels in (coarse, refined):
        layer = paint(labels, COLOURS, opacity=0.6)
        panels += [image / 255 * (1 - layer[..., 3:]) + layer[..., :3] * layer[..., 3:]]
        panels += [np.ones((image.shape[0], GAP, 3))]
    picture = (255 * np.concatenate(panels[:-1], axis=1)).round().astype("uint8")
    with replacing(Path(path)) as unfinished:
        Image.fromarray(picture).save(unfinished, quality=90)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
