"""What small networks say about real images: probabilities with the errors of real networks.

    python -m experiments.unaries runs/unaries    # about an hour; goes on where it was

Six data sets below $CRFRNN_DATA (data/README.md), five networks each, so that a rule for a CRF
meets weak networks as well as good ones:

- weak: a U-Net, 100 updates of four patches of 6 cases;
- good: a U-Net, 300 updates (of vnc_em, camvid and the hippocampus 150, for want of time) of two
  patches of 60 cases;
- coarse: a U-Net on images that are four times smaller (slices of the hippocampus: twice), whose
  logits are enlarged, as those of networks with an output stride are; 400 updates, 60 cases;
- fcn: an FCN-8s, segnet: a SegNet, 300 updates of two patches of 60 cases.

They are trained on patches (the hippocampus on slices) and applied to whole images. Kept are, as
float16, the probabilities of 8 validation and 20 test cases, which no network was trained on, with
images and labels, in one file per set and network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax
from tqdm import tqdm

import data
from data.case import Case
from experiments import runs

IGNORE = 255
SETS = ("wbc1", "nuclei_stain", "vnc_em", "hc18", "camvid", "hippocampus")
COUNTS = {"val": 8, "test": 20}


class Recipe(NamedTuple):
    """How a network is made.

    stride: it sees images that are so many times smaller, and its logits are enlarged.
    network: its name in `NETWORKS`.
    """

    updates: int
    cases: int
    batch: int
    stride: int = 1
    network: str = "unet"


NETWORKS: dict[str, dict[str, Any]] = {  # small ones, with what lets them learn in few updates
    "unet": dict(width=8, depth=3, dropout=0.0, normalization="group"),
    "fcn8s": dict(width=8, dropout=0.0, normalization="group"),
    "segnet": dict(width=8, normalization="group"),
}
RATE = 3e-3  # at first; it falls to 0 along half a cosine
QUALITIES = {
    "coarse": Recipe(400, 60, batch=4, stride=4),
    "good": Recipe(300, 60, batch=2),
    "weak": Recipe(100, 6, batch=4),
    "fcn": Recipe(300, 60, batch=2, network="fcn8s"),
    "segnet": Recipe(300, 60, batch=2, network="segnet"),
}
HURRIED = ("vnc_em", "camvid", "hippocampus")  # sets whose good networks have half the updates


class Size(NamedTuple):
    """How a set is brought to a size that is quick, and how it is learnt.

    patch: of which networks learn. shrink, then window: what whole images are made to.
    more: times as many patches in an update. stride: in place of the recipe's, if smaller.
    """

    patch: tuple[int, int]
    window: tuple[int, int] | None = None
    shrink: int = 1
    more: int = 1
    stride: int = 4


SIZES = {
    "wbc1": Size((96, 96)),
    "nuclei_stain": Size((96, 96), window=(224, 256)),
    "vnc_em": Size((96, 96), window=(256, 256)),
    "hc18": Size((128, 192), shrink=2),
    "camvid": Size((144, 192)),
    "hippocampus": Size((48, 56), more=3, stride=2),
}


class Unaries(NamedTuple):
    """Cases of one set and what a network says about them.

    images (*S, K), labels (*S) with 255 where nothing counts, probs (*S, L), spacing; one per case.
    background: the label that scores leave out, or None.
    """

    images: list[np.ndarray]
    labels: list[np.ndarray]
    probs: list[np.ndarray]
    spacing: list[tuple[float, ...]]
    background: int | None


def small(case: Case, size: Size) -> Case:
    """The case at the size that is worked on."""
    image, label = case.image, case.label
    if size.shrink > 1:
        image, label = shrunk(image, label, size.shrink)
    case = Case(image, label, case.spacing, case.id, case.group)
    return data.crop(case, size.window) if size.window else case


def shrunk(image: np.ndarray, label: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over blocks of an image (H, W, K), and the label in the middle of each block."""
    if factor == 1:
        return image, label
    pad = [(0, -size % factor) for size in label.shape]
    image = np.pad(image, [*pad, (0, 0)], mode="edge")
    label = np.pad(label, pad, mode="edge")
    height, width = (size // factor for size in label.shape)
    means = image.reshape(height, factor, width, factor, -1).mean((1, 3))
    return means, label[factor // 2 :: factor, factor // 2 :: factor]


def spread(cases: Sequence[Case], count: int) -> list[Case]:
    """So many of the cases, spread over all."""
    places = np.linspace(0, len(cases), min(count, len(cases)), endpoint=False).astype(int)
    return [cases[place] for place in places]


def standard(image: np.ndarray) -> np.ndarray:
    """An image with mean 0 and deviation 1, as networks like it."""
    axes = tuple(range(image.ndim - 1))
    return (image - image.mean(axes)) / (image.std(axes) + 1e-6)


def slices_of(case: Case) -> list[tuple[np.ndarray, np.ndarray]]:
    """Standardised pictures (H, W, K) with labels: the case, or the slices of a volume."""
    image = standard(case.image)
    if case.label.ndim == 2:
        return [(image, case.label)]
    return [(image[:, :, i], case.label[:, :, i]) for i in range(case.label.shape[2])]


def patch(
    picture: np.ndarray, label: np.ndarray, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random window, mirrored at random; what lies outside the picture is ignored."""
    pad = [(0, max(0, want - have)) for want, have in zip(shape, label.shape, strict=True)]
    picture = np.pad(picture, [*pad, (0, 0)])
    label = np.pad(label, pad, constant_values=IGNORE)
    y, x = (rng.integers(have - want + 1) for want, have in zip(shape, label.shape, strict=True))
    window = np.s_[y : y + shape[0], x : x + shape[1]]
    mirror = np.s_[:, :: rng.choice([-1, 1])]
    return picture[window][mirror], label[window][mirror]


def train(cases: Sequence[Case], labels: int, recipe: Recipe, size: Size) -> Any:
    """A trained network, from small pictures (B, H, W, K) to logits (B, H, W, L)."""
    import keras

    import unet

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    stride = min(recipe.stride, size.stride)
    pictures = [shrunk(*picture, stride) for case in cases for picture in slices_of(case)]
    shape = (size.patch[0] // stride, size.patch[1] // stride)
    if stride > 1:  # whole small pictures cost little
        shape = (shape[0] * 2 // 8 * 8, shape[1] * 2 // 8 * 8)
    channels = pictures[0][0].shape[-1]
    options = NETWORKS[recipe.network]
    model = unet.build(recipe.network, (None, None, channels), labels, **options)
    schedule = keras.optimizers.schedules.CosineDecay(RATE, recipe.updates)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORE)
    model.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), loss, jit_compile=False)
    for _ in tqdm(range(recipe.updates), mininterval=20):
        drawn = [
            patch(*pictures[rng.integers(len(pictures))], shape, rng)
            for _ in range(size.more * recipe.batch)
        ]
        model.train_on_batch(*(np.stack(part) for part in zip(*drawn, strict=True)))
    return model


def predict(model: Any, case: Case, stride: int) -> np.ndarray:
    """Probabilities (*S, L), float16, of a whole image or volume."""
    import keras
    from scipy import ndimage

    pictures = [shrunk(*picture, stride)[0] for picture in slices_of(case)]
    logits = keras.ops.convert_to_numpy(model(np.stack(pictures).astype("float32"), training=False))
    if stride > 1:
        factors = [1, *np.divide(case.label.shape[:2], logits.shape[1:3]), 1]
        logits = ndimage.zoom(logits, factors, order=1, grid_mode=True, mode="nearest")
    probs = softmax(logits, -1).astype("float16")
    return probs[0] if case.label.ndim == 2 else np.moveaxis(probs, 0, 2)


def make(name: str, quality: str, folder: Path) -> None:
    """Trains one network and writes what it says about validation and test cases."""
    recipe, size = QUALITIES[quality], SIZES[name]
    if quality == "good" and name in HURRIED:
        recipe = recipe._replace(updates=recipe.updates // 2)
    found, labels = data.load(name), len(data.labels(name))
    parts = data.split(found, val=COUNTS["val"], test=COUNTS["test"])
    model = train(
        [small(case, size) for case in spread(parts["train"], recipe.cases)], labels, recipe, size
    )
    for part, count in COUNTS.items():
        content: dict[str, np.ndarray] = {}
        for i, case in enumerate(small(case, size) for case in spread(parts[part], count)):
            content[f"image{i}"] = case.image.astype("float16")
            content[f"label{i}"] = case.label
            content[f"probs{i}"] = predict(model, case, min(recipe.stride, size.stride))
            content[f"spacing{i}"] = np.array(case.spacing)
        path = folder / f"{name}-{quality}-{part}.npz"
        runs.write(path, lambda file, content=content: np.savez_compressed(file, **content))


def load(name: str, quality: str, part: str, folder: Path) -> Unaries:
    """What `make` wrote."""
    with np.load(folder / f"{name}-{quality}-{part}.npz") as file:
        count = sum(key.startswith("image") for key in file)
        columns = {
            kind: [file[f"{kind}{i}"] for i in range(count)]
            for kind in ("image", "label", "probs", "spacing")
        }
    probs = [p.astype("float32") for p in columns["probs"]]
    return Unaries(
        [image.astype("float32") for image in columns["image"]],
        columns["label"],
        [p / p.sum(-1, keepdims=True) for p in probs],
        [tuple(map(float, s)) for s in columns["spacing"]],
        None if name == "camvid" else 0,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for quality in QUALITIES:
        for name in SETS:
            if not (options.folder / f"{name}-{quality}-test.npz").exists():
                make(name, quality, options.folder)


if __name__ == "__main__":
    main()
