"""A made-up run on tiny images, with names as nobody should give them."""

import json

import numpy as np
from PIL import Image

from experiments.rows import Comparison, Row
from experiments.score.metrics import METRICS

# Names as nobody should give them.
DATASET, CASE, ROW = 'cells <i>"&', "x<u>'", "U-Net <b>$"
LABELS = ("background", "plasma", "<s>nucleus")
COMPARED = Comparison(
    {
        "plain": Row(ROW, "the reference", "network"),
        "joint": Row("U-Net & CRF", "both [here](http://example.org)", "joint", ("plain",)),
    },
    [("joint", "plain")],
    ("plain", "joint"),
    ("joint", "plain"),
)
GAINS = (1.0, 4.5, -2.0, 3.0, 0.0)  # of the test cases; Dice of U-Net is 80 + index


def make_data(folder):
    """Twelve RGB images of different sizes, two structures in each."""
    rng = np.random.default_rng(3)
    items = []
    for index in range(12):
        shape = (13 + index % 2, 18 - index % 3)
        label = np.zeros(shape, "uint8")
        label[3:9, 4:12] = 1
        label[4:7, 6:9] = 2
        image = (60 * label[..., None] + rng.integers(0, 99, (*shape, 3))).astype("uint8")
        item = {kind: f"{kind}s/{CASE}{index}.png" for kind in ("image", "label")}
        for array, path in ((image, item["image"]), (label, item["label"])):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / path)
        items.append(item)
    labels = {str(index): name for index, name in enumerate(LABELS)}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "training": items}))


def rows_of_seed(tested):
    def scores(dice):
        others = {metric: 1.0 for metric in METRICS}
        return [
            {"id": case.id, "group": case.group, "changed": 2.5, **others, "dice": float(value)}
            for case, value in zip(tested, dice, strict=True)
        ]

    plain = 80 + np.arange(len(tested))
    points = [{"step": step, "loss": 1 / step, "validation_dice": 80.0} for step in (10, 20)]
    best = {"theta_alpha": 5.0, "theta_beta": 0.1, "theta_gamma": 2.0}
    best |= {"bilateral_weight": 3.0, "spatial_weight": 1.0}
    crf = {"spatial": 1.0, "bilateral": 2.0, "compatibility": [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]}
    with_nan = scores(plain)
    with_nan[0]["hd95"] = np.nan
    return {
        "plain": {"cases": with_nan, "pretraining": points, "history": points},
        "joint": {
            "cases": scores(plain + GAINS),
            "history": [{**point, "crf": crf} for point in points],
            "search": {"best": best, "use": True},
        },
    }
