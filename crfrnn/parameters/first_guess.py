"""A first guess of a CRF's parameters from images and probabilities: no labels, no trials."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.checks import Listed
from crfrnn.meanfield.parameters import declared
from crfrnn.native import library
from crfrnn.offline import inputs
from crfrnn.offline.inputs import per_case
from crfrnn.parameters.agreement import agreement, nearness
from crfrnn.parameters.formulas import formulas
from crfrnn.parameters.measures import statistics
from crfrnn.parameters.trust import NOTHING, Shown, reasons, weighed

# Images whose theta_beta differ by more than this factor are of different scales.
_ALIKE = 10.0


class Guess(dict[str, Any]):
    """Arguments of `refine` and `CRFRNN`, and what they rest on.

    Attributes:
        reasons: what was measured and what that suggests, for people to read.
        sure: whether the measurement speaks for a CRF of these weights; else labelled cases and
            `search` would tell.
    """

    def __init__(self, parameters: Mapping[str, Any], reasons: str, sure: bool):
        super().__init__(parameters)
        self.reasons = reasons
        self.sure = sure


@checks.renamed(masks="mask")
def first_guess(
    images: np.ndarray | Sequence[np.ndarray],
    probs: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    spacing: Any = None,
    mask: Any = None,
) -> Guess:
    """Proposes parameters of a CRF that suit the data, or none where they would rather do harm.

    Of the image it measures `noise` and contrast (standard deviation of the intensities, per
    channel); of the probabilities the `roughness` of their boundaries, and how much of the
    contrast the labels have `explained`. With the constants of `formulas`, in points:

        theta_alpha = alpha (noise / contrast)^-alpha_detail (1 + alpha_explained explained)
        theta_beta = beta contrast
        theta_gamma = gamma
        weights = trust (bilateral, spatial) (roughness / 0.1)^weight_rough

    The contrast of several channels is their mean. Where noise alone puts equal points further
    apart, at a distance of sqrt(2 sum(noise^2)), theta_beta is 0.62 of that. The bilateral kernel
    reaches far where regions are homogeneous and intensities tell the labels apart, else not. The
    weights are large where there is noise to mend, small where boundaries are clean and could only
    be spoilt. In volumes both lengths are raised to 2/3, unless the slices are far apart.

    Then it looks whether the image shows what the probabilities say: how well the labels of half of
    the points come back from those of the other half, along the bilateral kernel (`agreement`, a
    mean Dice over labels). `trust` rises from 0, no CRF, at an agreement of 0.85 to 1 at 0.9; where
    nearness alone would do nearly as well, from 0.93 to 0.98 (not for labels that are mostly
    noise). So thin and rare labels, which a CRF wipes out where the image does not show them, stay
    as they are. For a list each image has its own trust.

    The rule was chosen for "no harm first" on the outputs of small networks on six sets
    (experiments/first_guess.py), and held unchanged on networks made later. docs/parameters.md has
    the results, what to expect of sets never seen, and where the guess still loses: where the
    probabilities of thin or many labels are merely noisy it wins nothing, and single images lose.
    With labelled cases, `search` finds better parameters.

    Multiplying an image by c multiplies theta_beta by c, and nothing else; adding a constant
    changes nothing.

    Args:
        images: an image (*S, K) or (*S,), or a list of images, any real dtype; for a list, the
            medians over the images are proposed. Without `probs` an array of two axes is grey and
            one of three is (H, W, K): a grey volume needs its channel axis, `volume[..., None]`.
        probs: (*S, L), or a list: probabilities that are to be refined. Without them the guess is
            for maps of usual quality, at a fifth of the weights.
        spacing: distance of neighbouring points, a number or (S,), or a list of these, one per
            image; default 1. theta_alpha and theta_gamma are then in its unit, and a point is as
            long as its shortest side.
        mask: (*S) of bool, True for the points that count, or a list of these (None: all), one per
            image; or `masks`, as `search` calls it.

    Returns:
        A `Guess`: a dictionary of theta_alpha, theta_beta, theta_gamma, bilateral_weight,
        spatial_weight, num_iterations and normalization, for `refine` and `CRFRNN` alike (together
        with the same `spacing`).
        theta_beta is a number, or, where contrasts differ by more than a factor of 30, a list of
        K numbers, one per channel. Both weights are 0 where the CRF is left out. Its attribute
        `reasons` says why, `sure` whether the image speaks for a CRF.

    Raises:
        ValueError: no images, images that are not finite or differ in K, lists of different
            lengths, or of numbers.

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
    _check_no_numbers(images)
    if not isinstance(images, Sequence):  # one array
        probs = None if probs is None else [checks.array("probs", probs)]
        images = [checks.array("images", images)]
        spacing = [spacing] if np.ndim(spacing) else spacing
        mask = None if mask is None else [mask]
    for name, value in (("probs", probs), ("mask", mask)):
        Listed("arrays", optional=True).check(name, value, {})
    for image in images:
        if 0 in np.shape(image):
            raise ValueError(f"Expected images with points. Received shape {np.shape(image)}.")
    if not images or (probs is not None and len(probs) != len(images)):
        raise ValueError(
            "Expected at least one image, and as many probabilities as images. "
            f"Received {len(images)} images, {0 if probs is None else len(probs)} probs."
        )
    maps, masks = ([None] * len(images) if given is None else given for given in (probs, mask))
    if len(masks) != len(images):
        raise ValueError(f"Expected {len(images)} masks, or None. Received {len(masks)}.")
    cases = [_checked(*case) for case in zip(images, maps, masks, strict=True)]
    seen = [statistics(*case) for case in cases]
    spaces = per_case(spacing, len(images))
    for space, s in zip(spaces, seen, strict=True):
        checks.fit(declared("spacing"), {"spacing": space}, {"S": len(s.shape)})
    channels = sorted({len(s.contrast) for s in seen})
    if len(channels) > 1:
        raise ValueError(f"Expected images with equal numbers of channels. Received {channels}.")
    guesses = [formulas(s, spacing=space) for s, space in zip(seen, spaces, strict=True)]
    betas = np.array([guess["theta_beta"] for guess in guesses])
    if np.any(betas.max(0) > _ALIKE * betas.min(0)):
        warnings.warn(
            "The images are of different intensity scales: theta_beta would be "
            f"{betas.min():.3g} for one and {betas.max():.3g} for another. Bring all to one scale, "
            "for instance their 0.5 and 99.5 percentiles to 0 and 1.",
            stacklevel=checks.outside(),
        )
    shown = [
        _shown(*case, guess, space, measured.roughness)
        for case, guess, space, measured in zip(cases, guesses, spaces, seen, strict=True)
    ]
    trusted = [weighed(*pair) for pair in zip(guesses, shown, strict=True)]
    return Guess(together(trusted), *reasons(shown))


def _check_no_numbers(images: Any) -> None:
    """ValueError for nested lists of numbers, which may be one image or several."""
    inside = images
    while isinstance(inside, list | tuple) and inside:
        inside = inside[0]
    if images is not inside and np.isscalar(inside):
        raise ValueError(
            "Expected `images` to be an array, or a list of arrays. Received lists of numbers. Use "
            "np.asarray of each image."
        )


def together(guesses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One guess for several images: the median of each parameter, ready for `refine`."""
    guess = {
        name: np.median([guess[name] for guess in guesses], axis=0).tolist() for name in guesses[0]
    }
    if len(set(guess["theta_beta"])) == 1:
        guess["theta_beta"] = guess["theta_beta"][0]
    return {**guess, "num_iterations": 5, "normalization": "after"}


def _shown(
    image: np.ndarray,
    probs: np.ndarray | None,
    mask: np.ndarray | None,
    guess: Mapping[str, Any],
    spacing: Any,
    roughness: float,
) -> Shown:
    if probs is None:
        return NOTHING
    alpha, beta = guess["theta_alpha"], guess["theta_beta"]
    how = dict(theta_alpha=alpha, spacing=spacing, mask=mask)
    agrees = agreement(image, probs, theta_beta=beta, **how)
    return Shown(agrees, nearness(probs, **how), roughness)


def _checked(
    image: Any, probs: Any, mask: Any
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """An image (*S, K), its probabilities (*S, L), if any, which tell what S is, and mask (*S)."""
    image = checks.array("image", image)
    if probs is not None:
        mask = inputs.mask_of(mask, np.shape(probs)[:-1])
        return (*inputs.case(image, probs, mask), mask)
    if image.ndim < 3:
        image = image[..., None]
    if image.shape[-1] > library.MAX_FEATURES:
        raise ValueError(
            f"Expected an image (*S, K) of at most {library.MAX_FEATURES} channels. Received shape "
            f"{image.shape}. A grey volume gets its channel axis by volume[..., None]."
        )
    mask = inputs.mask_of(mask, image.shape[:-1])
    return inputs.finite_image(image, mask), None, mask
