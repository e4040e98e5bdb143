"""`python docs/make_diagnose.py docs/diagnose.png`: the figure of command-line.md, and its text.

images/12.png, probs/12.npy and labels/12.png there are the phantom's case 12, with probabilities
that are blurred and noisy (`data.corruption`).
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from crfrnn.cli.commands import crfrnn

sys.path.insert(0, str(Path(__file__).parents[1]))
import data
from data.corruption import blurred

NUMBER = 12
CRF = dict(theta_alpha=20, theta_beta=900, theta_gamma=3, bilateral_weight=5, spatial_weight=3)


def main(output: Path) -> None:
    case = data.phantom(NUMBER + 1, (128, 112))[NUMBER]
    probs = blurred(case.label, len(data.LABELS), seed=NUMBER)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in CRF.items()]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Image.fromarray((255 * case.image[..., 0]).astype(np.uint8)).save("image.png")
        Image.fromarray(case.label).save("labels.png")
        np.save("probs.npy", probs)
        files = ["image.png", "probs.npy", "--labels", "labels.png", "-o", str(output)]
        crfrnn(["diagnose", *files, *options, "--overwrite"])


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
