"""What code written for pydensecrf does: its modules as arguments."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

NORMALIZATIONS = ["NO_NORMALIZATION", "NORMALIZE_BEFORE", "NORMALIZE_AFTER", "NORMALIZE_SYMMETRIC"]
KERNELS = ["CONST_KERNEL", "DIAG_KERNEL", "FULL_KERNEL"]
COMPATS = {  # asymmetric, for 3 labels
    "number": 3,
    "vector": np.array([-3, -1, -2], np.float32),
    "matrix": np.array([[-3, 0.5, 0.2], [0.1, -2, 0], [0.3, 0.7, -1]], np.float32),
}


def modules(package):
    return SimpleNamespace(
        dcrf=importlib.import_module(f"{package}.densecrf"),
        utils=importlib.import_module(f"{package}.utils"),
        eigen=importlib.import_module(f"{package}.eigen"),
    )


ours = modules("crfrnn.pydensecrf")


def photograph():
    """(100, 132, 3) uint8."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[40:140, 150:282])


def probabilities(image, labels=3, seed=0):
    """Noisy probabilities (L, *S) of the darker and brighter parts of an image (*S[, 3])."""
    rng = np.random.default_rng(seed)
    grey = image.mean(-1) if image.ndim == 3 and image.shape[-1] == 3 else image
    parts = np.digitize(grey, np.quantile(grey, np.arange(1, labels) / labels))
    logits = 1.5 * np.stack([parts == label for label in range(labels)])
    powers = np.exp(logits + rng.normal(0, 1, logits.shape))
    return powers / powers.sum(0)
