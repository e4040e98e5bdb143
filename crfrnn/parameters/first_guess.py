"""A first guess of a CRF's parameters from images and probabilities: no labels, no trials."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crfrnn import checks
from crfrnn.meanfield.parameters import declared
from crfrnn.native import library
from crfrnn.offline import inputs
from crfrnn.offline.inputs import per_case

# Single hot points are no contrast.
_PERCENTILES = (0.5, 99.5)

# Images whose theta_beta differ by more than this factor are of different scales.
_ALIKE = 10.0

# The same for the contrasts of channels: those of colours may differ by ten.
_ONE_SCALE = 30.0

# An axis whose points are this many times as far apart as the closest ones has no neighbours.
_FAR = 3.0

# theta_beta as a share of the distance that noise alone puts between equal points: at least this,
# or the bilateral kernel sees nothing but noise. Added after the study, out of the reach of what
# it chose: on its five sets the formula's theta_beta is 0.625 of that distance or more.
_ABOVE_NOISE = 0.62

# A bandwidth that spans most of the image tells no two places apart.
_LARGEST_SHARE = 1 / 4


class Constants(NamedTuple):
    """The constants of `first_guess`; see there. alpha and gamma are in points."""

    alpha: float
    alpha_detail: float
    alpha_explained: float
    beta: float
    gamma: float
    bilateral: float
    spatial: float
    weight_rough: float


# The best of 83 trials, to two digits: python -m experiments.first_guess fit
CONSTANTS = Constants(0.54, 0.58, 20.0, 0.31, 0.92, 7.4, 1.9, 0.88)

# Of maps of which nothing is known: about the middle of the study's.
_USUAL_ROUGHNESS = 0.1
_USUAL_EXPLAINED = 0.1


class Statistics(NamedTuple):
    """What `first_guess` knows of an image and its probabilities.

    contrast, noise: (K,) standard deviations of the intensities and of their noise, in the
    image's units. detail: noise over contrast, 0..1, mean over channels. explained, roughness:
    0..1, see there. shape: (S,).
    """

    contrast: np.ndarray
    noise: np.ndarray
    detail: float
    explained: float
    roughness: float
    shape: tuple[int, ...]


def first_guess(
    images: np.ndarray | Sequence[np.ndarray],
    probs: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    spacing: Any = None,
) -> dict[str, Any]:
    """Proposes parameters of a CRF that suit the data: where a search or a training may start.

    Of the image it measures `noise` and contrast (standard deviation of the intensities, per
    channel); of the probabilities the `roughness` of their boundaries, and how much of the
    contrast the labels have `explained`. With the constants of `CONSTANTS`, in points:

        theta_alpha = alpha (noise / contrast)^-alpha_detail (1 + alpha_explained explained)
        theta_beta = beta contrast
        theta_gamma = gamma
        weights = (bilateral, spatial) (roughness / 0.1)^weight_rough

    The contrast of several channels is their mean. Where noise alone puts equal points further
    apart, at a distance of sqrt(2 sum(noise^2)), theta_beta is 0.62 of that. The bilateral kernel
    reaches far where regions are homogeneous and intensities tell the labels apart, else not. The
    weights are large where there is noise to mend, small where boundaries are clean and could only
    be spoilt. In volumes both lengths are raised to 2/3, unless the slices are far apart. The
    constants were chosen on five sets of very different images (experiments/first_guess.py); the
    results on other cases, and those of constants chosen without the set in question, are in
    experiments/results/first_guess.json.

    Multiplying an image by c multiplies theta_beta by c, and nothing else; adding a constant
    changes nothing.

    Args:
        images: an image (*S, K) or (*S,), or a list of images, any real dtype; for a list, the
            medians over the images are proposed. Without `probs` an array of two axes is grey and
            one of three is (H, W, K): a grey volume needs its channel axis, `volume[..., None]`.
        probs: (*S, L), or a list: probabilities that are to be refined. Without them the guess is
            for maps of usual quality.
        spacing: distance of neighbouring points, a number or (S,), or a list of these, one per
            image; default 1. theta_alpha and theta_gamma are then in its unit, and a point is as
            long as its shortest side.

    Returns:
        theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight, num_iterations and
        normalization, for `refine` and `CRFRNN` alike (together with the same `spacing`).
        theta_beta is a number, or, where contrasts differ by more than a factor of 30, a list of
        K numbers, one per channel.

    Raises:
        ValueError: no images, images that are not finite or differ in K, or lists of different
            lengths.

    Warns:
        UserWarning: the images are of different intensity scales, so that no theta_beta suits all.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> image = np.repeat([0.0, 1.0], 40)[:, None] + rng.normal(0, 0.05, (80, 60))
    >>> guess = first_guess(image)
    >>> bright = first_guess(1000 * image)
    >>> round(bright["theta_beta"] / guess["theta_beta"])
    1000
    """
    if not isinstance(images, Sequence):  # one array
        probs = None if probs is None else [checks.array("probs", probs)]
        images = [checks.array("images", images)]
        spacing = [spacing] if np.ndim(spacing) else spacing
    if not images or (probs is not None and len(probs) != len(images)):
        raise ValueError(
            "Expected at least one image, and as many probabilities as images. "
            f"Received {len(images)} images, {0 if probs is None else len(probs)} probs."
        )
    maps = [None] * len(images) if probs is None else probs
    seen = [statistics(*_checked(image, map_)) for image, map_ in zip(images, maps, strict=True)]
    for space, s in zip(per_case(spacing, len(images)), seen, strict=True):
        checks.fit(declared("spacing"), {"spacing": space}, {"S": len(s.shape)})
    channels = sorted({len(s.contrast) for s in seen})
    if len(channels) > 1:
        raise ValueError(f"Expected images with equal numbers of channels. Received {channels}.")
    guesses = [
        formulas(s, spacing=space)
        for s, space in zip(seen, per_case(spacing, len(images)), strict=True)
    ]
    betas = np.array([guess["theta_beta"] for guess in guesses])
    if np.any(betas.max(0) > _ALIKE * betas.min(0)):
        warnings.warn(
            "The images are of different intensity scales: theta_beta would be "
            f"{betas.min():.3g} for one and {betas.max():.3g} for another. Bring all to one scale, "
            "for instance their 0.5 and 99.5 percentiles to 0 and 1.",
            stacklevel=2,
        )
    return together(guesses)


def formulas(
    seen: Statistics, constants: Constants = CONSTANTS, *, spacing: Any = None
) -> dict[str, Any]:
    """The formulas of `first_guess` for one image.

    Args:
        seen: what is known of the image.
        constants: see there.
        spacing: distance of neighbouring points, a number or (S,); default 1.
    """
    reach = (
        constants.alpha
        * seen.detail**-constants.alpha_detail
        * (1 + constants.alpha_explained * seen.explained)
    )
    longest = max(1.0, _LARGEST_SHARE * max(seen.shape))
    sides = np.broadcast_to(1.0 if spacing is None else spacing, len(seen.shape))
    side = float(sides.min())
    # In a volume a kernel has as many points within reach at a smaller bandwidth; but slices that
    # are far apart are out of reach and do not count.
    power = min(1.0, 2 / np.count_nonzero(sides < _FAR * side))
    strength = (seen.roughness / _USUAL_ROUGHNESS) ** constants.weight_rough
    return {
        "theta_alpha": side * min(reach**power, longest),
        "theta_beta": np.maximum(
            constants.beta * _scale(seen.contrast), _ABOVE_NOISE * _between_equals(seen)
        ).tolist(),
        "theta_gamma": side * constants.gamma**power,
        "bilateral_weight": constants.bilateral * strength,
        "spatial_weight": constants.spatial * strength,
    }


def _scale(contrast: np.ndarray) -> np.ndarray:
    """The contrast (K,) by which each channel is measured.

    Colours share a scale, on which a faint channel rightly counts less; channels of different
    units have each their own.
    """
    if contrast.max() > _ONE_SCALE * contrast.min():
        return contrast
    return np.full_like(contrast, contrast.mean())


def _between_equals(seen: Statistics) -> np.ndarray:
    """Distance of two points that differ by noise alone, for the channels' theta_beta (K,).

    With channels on one scale it is one number, root mean square. With a theta_beta per channel
    each channel gets an equal share of it.
    """
    variance = 2 * seen.noise**2
    if np.ptp(_scale(seen.contrast)) > 0:
        return np.sqrt(len(variance) * variance)
    return np.full_like(variance, np.sqrt(variance.sum()))


def together(guesses: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One guess for several images: the median of each parameter, ready for `refine`."""
    guess = {
        name: np.median([guess[name] for guess in guesses], axis=0).tolist() for name in guesses[0]
    }
    if len(set(guess["theta_beta"])) == 1:
        guess["theta_beta"] = guess["theta_beta"][0]
    return {**guess, "num_iterations": 5, "normalization": "after"}


def statistics(image: np.ndarray, probs: np.ndarray | None = None) -> Statistics:
    """What `first_guess` goes by: of an image (*S, K), and of probabilities (*S, L) if there are.

    The most extreme percent of the intensities does not count. A channel without contrast counts
    as one of the others' mean contrast: any theta_beta will do for it.
    """
    points = image.reshape(-1, image.shape[-1]).astype(np.float64)
    points = np.clip(points, *np.percentile(points, _PERCENTILES, axis=0))
    contrast = points.std(axis=0)
    varies = contrast > 0
    if not varies.any():
        contrast, varies = np.ones_like(contrast), ~varies
    contrast = np.where(varies, contrast, contrast[varies].mean())
    noisy = noise(image)
    detail = float(np.clip(noisy / contrast, 0.01, 1.0)[varies].mean())
    explains, rough = _USUAL_EXPLAINED, _USUAL_ROUGHNESS
    if probs is not None:
        explains = explained(points, probs.reshape(len(points), -1))
        rough = max(roughness(probs), 0.02)
    return Statistics(contrast, noisy, detail, explains, rough, image.shape[:-1])


def explained(points: np.ndarray, probs: np.ndarray) -> float:
    """Share of the variance of the intensities that the labels explain, mean over channels.

    Where each label has intensities of its own, equal intensities far away are evidence; where all
    labels look alike, they are none.

    Args:
        points: (N, K) intensities.
        probs: (N, L).

    Returns:
        0..1: variance between labels over total variance (eta squared of an analysis of variance).
        A channel without variance does not count.

    Example:

    >>> labels = np.eye(2)[[0, 0, 1, 1]]
    >>> explained(np.array([[1.0], [1.0], [4.0], [4.0]]), labels)
    1.0
    >>> explained(np.array([[1.0], [4.0], [1.0], [4.0]]), labels)
    0.0
    """
    centred = points - points.mean(axis=0)
    mass = np.maximum(probs.sum(axis=0, dtype=np.float64), 1e-9)  # (L,)
    means = (probs.T.astype(np.float64) @ centred) / mass[:, None]  # (L, K)
    between = (mass[:, None] * means**2).sum(axis=0)
    total = (centred**2).sum(axis=0)
    varies = total > 0
    return float(np.mean(between[varies] / total[varies])) if varies.any() else 0.0


def roughness(probs: np.ndarray) -> float:
    """Share of the boundaries between most likely labels that a blur by 3 points wipes out.

    Noise makes islands and fringes that go at once; the outlines of objects stay. So this tells,
    without any truth, how much of a map is noise that neighbours could mend.

    Args:
        probs: (*S, L).

    Returns:
        0..1; 0 for a map without any boundary.

    Example:

    >>> halves = np.repeat([0.9, 0.1], 20)[:, None] * np.ones(30)
    >>> islands = np.where(np.random.default_rng(0).random((40, 30)) < 0.1, 1 - halves, halves)
    >>> [roughness(np.stack([1 - p, p], -1)) > 0.8 for p in (halves, islands)]
    [False, True]
    """
    before = _boundaries(probs)
    blurred = probs
    for axis in range(probs.ndim - 1):
        blurred = _box(blurred, axis)
    return float(max(0.0, 1.0 - _boundaries(blurred) / before)) if before else 0.0


def noise(image: np.ndarray) -> np.ndarray:
    """Standard deviation of the noise of an image, per channel.

    Neighbours differ by sqrt(2) times the noise wherever the picture itself is smooth, that is
    nearly everywhere, and a median does not care about the rest (Donoho's rule, applied to
    differences). Equal neighbours are left out: they are not free of noise but clipped, rounded or
    masked, as the black around an ultrasound fan.

    Args:
        image: (*S, K).

    Returns:
        (K,) in the image's units; 0 for a constant channel.

    Reference:
        D. Donoho, "De-noising by soft-thresholding", IEEE Trans. Information Theory 1995.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> step = np.repeat([0.0, 100.0], 50)[:, None, None]  # (100, 1, 1): an edge
    >>> noise(step + rng.normal(0, 3, (100, 80, 1))).round()
    array([3.])
    """
    image = image.astype(np.float64)
    found = []
    for channel in np.moveaxis(image, -1, 0):
        differences = np.concatenate(
            [np.abs(np.diff(channel, axis=axis)).ravel() for axis in range(channel.ndim)]
        )
        differences = differences[differences > 0]
        # 0.6745 is the median of |x| for a standard normal x.
        found.append(np.median(differences) / (0.6745 * np.sqrt(2)) if differences.size else 0.0)
    return np.array(found)


def _boundaries(probs: np.ndarray) -> int:
    """How many pairs of neighbours have different most likely labels."""
    labels = probs.argmax(-1)
    return sum(int(np.count_nonzero(np.diff(labels, axis=axis))) for axis in range(labels.ndim))


def _box(array: np.ndarray, axis: int) -> np.ndarray:
    """Sums of 3 points along an axis, the border repeated."""
    pad = [(0, 0)] * array.ndim
    pad[axis] = (1, 1)
    padded = np.moveaxis(np.pad(array, pad, mode="edge"), axis, 0)
    return np.moveaxis(padded[:-2] + padded[1:-1] + padded[2:], 0, axis)


def _checked(image: Any, probs: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """An image (*S, K) and its probabilities (*S, L), if any, which tell what S is."""
    image = checks.array("image", image)
    if probs is not None:
        return inputs.case(image, probs)
    if image.ndim < 3:
        image = image[..., None]
    if image.shape[-1] > library.MAX_FEATURES:
        raise ValueError(
            f"Expected an image (*S, K) of at most {library.MAX_FEATURES} channels. Received shape "
            f"{image.shape}. A grey volume gets its channel axis by volume[..., None]."
        )
    return inputs.finite_image(image), None
