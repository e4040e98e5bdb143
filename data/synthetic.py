"""The phantom: MRI-like images and volumes with known labels, generated from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import fft

from .case import Case, LazyCase
from .prepare import block_majority, block_mean, normalise

LABELS = ("background", "rim", "core", "cavity")


@dataclass(frozen=True)
class Difficulty:
    """How hard the phantom is. Lengths are in half shortest image sides (1 = 48 of 96 pixels).

    Attributes:
        contrasts: (K, 4) mean intensity of background, rim, core and cavity in each of K channels;
            0 is air, 1 bright. The default is ordered as in T1-weighted MR: cerebrospinal fluid <
            grey < white matter.
        contrast_spread: standard deviation of each mean between subjects.
        deformation: boundary displacement at large scale (length 0.5), as a share of the radius.
        detail, detail_scale: boundary displacement at small scale, as a share of the radius, and
            its correlation length (0.05 of 96 pixels is 2.4 pixels).
        rim: mean thickness of the rim as a share of the radius.
        clefts: half width of the clefts that cut into the rim; 0 = none.
        weak_edges: 0 to 1, how close the surroundings come to the rim's intensity.
        texture: standard deviation of the tissue's own intensity variation.
        bias: standard deviation of the logarithm of the bias field.
        noise: standard deviation of the noise in each of the two MR channels (real, imaginary).
        supersample: fine points per pixel and axis; 1 = no partial volume.

    Example:
        >>> Difficulty(noise=0.1).detail
        0.06
    """

    contrasts: Sequence[Sequence[float]] = ((0.30, 0.55, 0.80, 0.20),)
    contrast_spread: float = 0.04
    deformation: float = 0.15
    detail: float = 0.06
    detail_scale: float = 0.05
    rim: float = 0.3
    clefts: float = 0.025
    weak_edges: float = 0.5
    texture: float = 0.03
    bias: float = 0.1
    noise: float = 0.05
    supersample: int = 3

    def __post_init__(self):
        if np.ndim(self.contrasts) != 2 or np.shape(self.contrasts)[1] != len(LABELS):
            raise ValueError(
                f"contrasts must be (K, {len(LABELS)}), a mean for each channel and label "
                f"{LABELS}; received shape {np.shape(self.contrasts)}."
            )


def phantom(
    count: int = 120, shape: Sequence[int] = (96, 96), seed: int = 0, **difficulty
) -> list[Case]:
    """MRI-like phantom images (2-D) or volumes (3-D) with four nested labels, one per subject.

    The labels are 0 background, 1 rim, 2 core, 3 cavity: the cavity lies in the core and the core
    in the rim, as ventricle, white and grey matter do. No particular organ is imitated.

    Geometry, on a grid `supersample` times finer than the image. x is the position from the
    organ's centre, F_i(l) are independent Gaussian random fields of mean 0, variance 1 and
    correlation exp(-d^2 / 2 l^2), R a random rotation, r random radii, s = detail_scale:

        e(x)   = |(R x) / r|                                       1 on an ellipsoid
        g(x)   = e - 1 + deformation F_1(0.5) + detail F_2(s)
        organ  = g < 0, without the clefts |F_3(0.15)| < clefts |grad F_3| where g > -0.8 rim
        core   = organ where g + rim (1 + 0.4 F_4(0.3)) + detail F_5(s) < 0
        cavity = core where e - 0.42 + 0.15 F_6(0.3) + detail F_7(s) < 0

    so boundaries are smooth at large scale and irregular at small scale, clefts and parts of the
    rim are a few pixels thin, and label 0 reaches into the organ.

    Intensity: tissue t of channel k has the mean m_kt = contrasts[k][t] + contrast_spread n_kt,
    n_kt normal and drawn once per subject (scanners and sequences differ). The tissue around the
    organ (e < 1.7; label 0) is drawn towards the rim's mean by the weight
    w = weak_edges / (1 + exp(-4 F_8(0.3))), so that stretches of the outer edge are weak; beyond
    it is air, intensity 0. With I the intensity,

        partial volume   I <- mean of I over the supersample^d fine points of a pixel
        texture          I <- I (1 + texture F_9(0.05))
        bias field       I <- I exp(bias F_10(0.5)), smooth and multiplicative
        Rician noise     I <- |I + noise (n_1 + i n_2)|, n_1 and n_2 normal, independent per pixel

    (H. Gudbjartsson, S. Patz: The Rician distribution of noisy MRI data, Magn. Reson. Med. 34,
    1995.) `normalise` maps the result to [0, 1], as it does for real MR. A pixel's label is the
    most frequent label of its fine points. Channels share the geometry and the bias field.

    What it is not: there is no k-space, anatomy or pathology; noise is white; random fields are
    periodic, so opposite borders resemble each other.

    Args:
        count: number of subjects. Subject i is the same for every count > i.
        shape: (H, W) or (D, H, W), any size. Larger is a finer sampling of the same anatomy.
        seed: another seed, another population.
        **difficulty: see `Difficulty`.

    Returns:
        count cases, generated when first used: image (*S, K) float32 in [0, 1], label (*S) uint8
        in 0..3, spacing 1.0 per axis, id and group "phantom-<seed>-<index>" (a subject each).

    Raises:
        ValueError: count negative, shape neither 2-D nor 3-D, contrasts not (K, 4).
        TypeError: a name that `Difficulty` does not have.

    Example:
        >>> case = phantom(2, (64, 80), seed=1, noise=0.1)[0]
        >>> case.image.shape, case.label.max()
        ((64, 80, 1), np.uint8(3))
    """
    shape = tuple(shape)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ValueError(f"phantom expects shape (H, W) or (D, H, W); received {shape}.")
    if count < 0:
        raise ValueError(f"count must be 0 or more; received {count}.")
    read = partial(_subject, seed, shape, Difficulty(**difficulty))
    names = [f"phantom-{seed}-{index:04d}" for index in range(count)]
    return [LazyCase(partial(read, i), name, name) for i, name in enumerate(names)]


def _subject(seed: int, shape: tuple[int, ...], how: Difficulty, index: int):
    rng = np.random.default_rng([seed, index])
    fine = tuple(s * how.supersample for s in shape)
    tissue, ellipsoid = _anatomy(rng, fine, how)
    image = block_mean(_intensity(rng, tissue, ellipsoid, how), how.supersample, len(shape))
    image = _scan(rng, image, how)  # (*S, K)
    return normalise(image), block_majority(tissue, how.supersample), (1.0,) * len(shape)


def _anatomy(rng: np.random.Generator, shape: tuple[int, ...], how: Difficulty):
    """Label (*shape) uint8 and ellipsoidal radius e (*shape); equations in `phantom`."""
    axes = len(shape)
    unit = min(shape) / 2
    # An elongated image holds an elongated organ, so that any shape is filled.
    radii = rng.uniform(0.55, 0.7, axes) * np.array(shape) / min(shape)
    centre = rng.uniform(-0.1, 0.1, axes)
    rotation = _small_rotation(rng, axes)
    points = np.indices(shape).reshape(axes, -1).T + 0.5  # (N, axes)
    points = (points - np.array(shape) / 2) / unit - centre
    ellipsoid = np.linalg.norm(points @ rotation / radii, axis=1).reshape(shape)

    def small():
        return how.detail * random_field(rng, shape, how.detail_scale)

    outer = ellipsoid - 1 + how.deformation * random_field(rng, shape, 0.5) + small()
    crease = random_field(rng, shape, 0.15)
    slope = np.sqrt(sum(g**2 for g in np.gradient(crease, 1 / unit)))
    # |crease| / slope is the distance from the zero crossing to first order.
    cleft = (np.abs(crease) < how.clefts * slope) & (outer > -0.8 * how.rim)
    organ = (outer < 0) & ~cleft
    thickness = how.rim * (1 + 0.4 * random_field(rng, shape, 0.3))
    core = organ & (outer + thickness + small() < 0)
    cavity = core & (ellipsoid - 0.42 + 0.15 * random_field(rng, shape, 0.3) + small() < 0)
    # Nested masks: their sum is the label.
    return organ.astype("uint8") + core + cavity, ellipsoid


def _intensity(
    rng: np.random.Generator, tissue: np.ndarray, ellipsoid: np.ndarray, how: Difficulty
) -> np.ndarray:
    """Piecewise constant tissue intensities (*shape, K) on the fine grid."""
    means = np.array(how.contrasts, "float64")  # (K, L)
    means = np.maximum(means + how.contrast_spread * rng.standard_normal(means.shape), 0)
    weight = how.weak_edges / (1 + np.exp(-4 * random_field(rng, tissue.shape, 0.3)))
    around = means[:, 0] + weight[..., None] * (means[:, 1] - means[:, 0])  # (*shape, K)
    around *= (ellipsoid < 1.7)[..., None]
    return np.where((tissue == 0)[..., None], around, means.T[tissue])


def _scan(rng: np.random.Generator, image: np.ndarray, how: Difficulty) -> np.ndarray:
    """Texture, bias field and Rician noise on the pixel grid, (*S, K) to (*S, K)."""
    shape = image.shape[:-1]
    texture = 1 + how.texture * random_field(rng, shape, 0.05)
    field = np.exp(how.bias * random_field(rng, shape, 0.5))
    image = image * (texture * field)[..., None]
    real, imaginary = how.noise * rng.standard_normal((2, *image.shape))
    return np.hypot(image + real, imaginary)


def random_field(rng: np.random.Generator, shape: tuple[int, ...], length: float) -> np.ndarray:
    """Gaussian random field of mean 0, variance 1 and correlation exp(-d^2 / 2 length^2).

    White noise filtered in Fourier space by the square root of the correlation's spectrum.

    Args:
        rng: source of the noise.
        shape: size of the (periodic) grid.
        length: correlation length in half shortest sides of the grid.

    Returns:
        shape, float32.

    Example:
        >>> import numpy as np
        >>> random_field(np.random.default_rng(0), (8, 12), 0.2).shape
        (8, 12)
    """
    sigma = length * min(shape) / 2  # grid points
    frequency = [fft.fftfreq(s) for s in shape[:-1]] + [fft.rfftfreq(shape[-1])]
    squared = sum(np.square(f) for f in np.ix_(*frequency))
    # Spectrum exp(-(2 pi f sigma)^2 / 2); the filter is its square root.
    response = np.exp(-((np.pi * sigma) ** 2) * squared).astype("float32")
    response.flat[0] = 0  # mean 0
    spectrum = fft.rfftn(rng.standard_normal(shape, "float32")) * response
    field = fft.irfftn(spectrum, shape)
    return field / max(field.std(), np.finfo("float32").tiny)


def _small_rotation(rng: np.random.Generator, axes: int) -> np.ndarray:
    """Random rotation (axes, axes) by some 20 degrees: patients lie roughly straight."""
    tilt = 0.25 * rng.standard_normal((axes, axes))
    rotation, upper = np.linalg.qr(np.eye(axes) + tilt - tilt.T)
    return rotation * np.sign(np.diag(upper))
