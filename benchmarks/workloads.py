"""The four workloads A-D: deterministic images, unaries and parameters, nothing to download."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, zoom
from skimage.data import astronaut
from skimage.transform import resize

from crfrnn.meanfield.parameters import THETAS

# Part of a photograph, 319 x 319, enlarged for A and D. The astronaut is nearly free of noise;
# with that of a usual camera (5 grey levels) the bilateral lattices get as many vertices as those
# of the photograph measured with the older implementations: A 250 thousand, D 600 thousand.
CROP = np.s_[192:511, 0:319]
NOISE = 5.0


@dataclass(frozen=True)
class Workload:
    """One image with its unaries, and how its CRF is run.

    Attributes:
        image: (*S, K) uint8.
        unaries: (*S, L) float32 logits.
        theta_alpha, theta_gamma: spatial bandwidths in points; theta_beta in grey levels, 0..255.
    """

    name: str
    image: np.ndarray
    unaries: np.ndarray
    iterations: int
    theta_alpha: float
    theta_beta: float
    theta_gamma: float
    spatial_weight: float = 3.0
    bilateral_weight: float = 5.0

    @property
    def grid(self) -> tuple[int, ...]:
        return self.image.shape[:-1]

    @property
    def labels(self) -> int:
        return self.unaries.shape[-1]

    @property
    def probabilities(self) -> np.ndarray:
        """softmax(unaries), (*S, L) float32."""
        e = np.exp(self.unaries - self.unaries.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    @property
    def thetas(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in THETAS}


# name: grid, image channels K, labels L, iterations, theta_alpha / theta_beta / theta_gamma
_TABLE = {
    "A": ((500, 500), 3, 21, 10, (160.0, 3.0, 3.0)),
    "B": ((320, 320), 1, 2, 5, (80.0, 13.0, 3.0)),
    "C": ((64, 64, 64), 1, 3, 5, (40.0, 13.0, 3.0)),
    "D": ((1000, 1000), 3, 2, 5, (160.0, 3.0, 3.0)),
}
NAMES = "".join(_TABLE)


def load(name: str, scale: float = 1.0) -> Workload:
    """One of the workloads; its grid (not its bandwidths) times `scale` for a quick trial.

    | name |                     | N     | L  | iterations | theta alpha / beta / gamma |
    |------|---------------------|-------|----|------------|----------------------------|
    | A    | 500 x 500 RGB       | 250 k | 21 | 10         | 160 / 3 / 3                |
    | B    | 320 x 320 grey      | 102 k | 2  | 5          | 80 / 13 / 3                |
    | C    | 64 x 64 x 64 grey   | 262 k | 3  | 5          | 40 / 13 / 3                |
    | D    | 1000 x 1000 RGB     | 1 M   | 2  | 5          | 160 / 3 / 3                |
    """
    if name not in _TABLE:
        raise ValueError(f"Expected a workload of {', '.join(_TABLE)}. Received {name!r}.")
    grid, channels, labels, iterations, (alpha, beta, gamma) = _TABLE[name]
    grid = tuple(max(8, round(size * scale)) for size in grid)
    image = _photograph(grid, channels) if len(grid) == 2 else _volume(grid)
    unaries = _unaries(grid, labels)
    return Workload(name, image, unaries, iterations, alpha, beta, gamma)


def batch(workload: Workload, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Unaries (B, *S, L) and images (B, *S, K): the workload, shifted differently in each.

    Shifts, since a batch of equal images would flatter every cache.
    """
    step = max(1, workload.grid[0] // (size + 1))
    return tuple(
        np.stack([np.roll(array, i * step, axis=0) for i in range(size)])
        for array in (workload.unaries, workload.image.astype(np.float32))
    )


def _photograph(grid: tuple[int, ...], channels: int) -> np.ndarray:
    image = astronaut()[CROP] / 255.0
    image = image + NOISE / 255 * np.random.default_rng(2).normal(size=image.shape)
    if channels == 1:
        image = image.mean(-1, keepdims=True)
    image = resize(image, grid, order=1, anti_aliasing=False)  # (H, W, K)
    return np.clip(np.round(image * 255), 0, 255).astype(np.uint8)


def _volume(grid: tuple[int, ...]) -> np.ndarray:
    """Smooth structures of about 10 points under noise, as in MR of a small organ."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=grid), 3)
    image = 128 + 40 * smooth / smooth.std() + 4 * rng.normal(size=grid)
    return np.clip(image, 0, 255).astype(np.uint8)[..., None]


def _unaries(grid: tuple[int, ...], labels: int) -> np.ndarray:
    """6 blur(random label map) + noise: confident inside a region, unsure at its borders."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, labels, [10] * len(grid))
    factors = [size / 10 for size in grid]
    label_map = zoom(coarse, factors, order=0, grid_mode=True, mode="nearest")  # (*S,)
    logits = np.empty((*grid, labels), np.float32)
    for label in range(labels):
        logits[..., label] = 6 * gaussian_filter((label_map == label).astype(np.float32), 4)
    return logits + rng.normal(size=logits.shape).astype(np.float32)
