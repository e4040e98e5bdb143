"""The gradient of the image through the lattice, against that of the exact filter.

    python -m benchmarks.image_gradient

Crops of 36 x 40 points of scikit-image's photographs, and embeddings made of one of them; noisy
unaries of 3 labels, 5 iterations, cross entropy. Of all points and channels: relative L2 error,
length against the exact gradient's, and the share of right signs among the numbers above a tenth of
the largest. On TensorFlow; writes JSON.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks import measure

CROPS = {1: (60, 180), 4: (20, 30)}  # corner, where every n-th pixel is taken
CASES = [  # photograph, every n-th pixel, channels of the embedding or None, thetas
    ("camera", 1, None, (80, 13, 5)),
    ("camera", 4, None, (160, 3, 3)),
    ("astronaut", 1, None, (20, 10, 3)),
    ("astronaut", 1, None, (40, 13, 5)),
    ("astronaut", 1, None, (160, 3, 3)),
    ("astronaut", 4, None, (8, 6, 3)),
    ("astronaut", 4, None, (160, 3, 3)),
    *(
        ("astronaut", 1, channels, thetas)
        for channels in (1, 2, 4, 8)
        for thetas in ((20, 0.3, 3), (40, 0.5, 3), (160, 0.2, 3))
    ),
]


def crop(photograph: str, every: int) -> np.ndarray:
    """(36, 40, K) float32, 0..255."""
    import skimage.data

    image = getattr(skimage.data, photograph)()[::every, ::every].astype(np.float32)
    top, left = CROPS[every]
    image = image[top : top + 36, left : left + 40]
    return image if image.ndim == 3 else image[..., None]


def embedding(image: np.ndarray, channels: int) -> np.ndarray:
    """tanh of random mixtures of the colours, (H, W, channels)."""
    rng = np.random.default_rng(channels)
    mixture = rng.normal(size=(image.shape[-1], channels)) / np.sqrt(image.shape[-1])
    return np.tanh(2 * (image / 255 - 0.4) @ mixture).astype(np.float32)


def gradient(image: np.ndarray, compared: np.ndarray, thetas: tuple, method: str) -> np.ndarray:
    """Of the mean cross entropy with respect to what the CRF compares points by."""
    import tensorflow as tf

    import crfrnn

    grey = image.mean(-1)
    labels = np.digitize(grey, np.quantile(grey, [1 / 3, 2 / 3]))
    noise = np.random.default_rng(0).normal(size=(*labels.shape, 3))
    unaries = tf.constant((2 * np.eye(3)[labels] + 1.5 * noise)[None], tf.float32)
    names = ("theta_alpha", "theta_beta", "theta_gamma")
    x = tf.constant(compared[None])
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = crfrnn.mean_field(
            unaries, x, **dict(zip(names, thetas, strict=True)), spatial_weight=1.0,
            bilateral_weight=2.0, num_iterations=5, method=method, image_gradient=True,
        )  # fmt: skip
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[None], logits)
        loss = tf.reduce_mean(loss)
    return tape.gradient(loss, x).numpy()


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=len(CASES), help="the first so many")
    measure.add_run_options(parser)
    parser.set_defaults(device="cpu", backend="tensorflow")
    options = parser.parse_args(arguments)
    path = measure.output_path(options, "image_gradient")
    result: dict[str, Any] = {
        "circumstances": measure.circumstances("cpu", "tensorflow"),
        "cases": [],
    }
    for photograph, every, channels, thetas in CASES[: options.cases]:
        image = crop(photograph, every)
        compared = image if channels is None else embedding(image, channels)
        exact, found = (gradient(image, compared, thetas, m) for m in ("exact", "lattice"))
        matters = np.abs(exact) > 0.1 * np.abs(exact).max()
        result["cases"].append(
            {
                "photograph": photograph,
                "every": every,
                "embedding": channels,
                "thetas": thetas,
                "error": float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
                "length": float(np.linalg.norm(found) / np.linalg.norm(exact)),
                "right_signs": float(np.mean((found * exact > 0)[matters])),
            }
        )
        measure.write_json(path, result)
    rows = [[str(value) if i < 4 else value for i, value in enumerate(one.values())]
            for one in result["cases"]]  # fmt: skip
    measure.print_table([*result["cases"][0]], rows)
    return result


if __name__ == "__main__":
    main()
