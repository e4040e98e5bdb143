"""Labels that spread over an image by random walks, which its edges hold up."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from crfrnn.optional import needed
from crfrnn.parameters.scores import dice, nanmean
from data import Case

# Of images in [0, 1]; 130 is scikit-image's own.
BETAS = (30.0, 130.0, 600.0, 2000.0, 10000.0)


def best_beta(cases: Sequence[Case], weakened: Sequence[Case], num_labels: int, axis: int) -> float:
    """Of `BETAS` that with which the few labels of cases spread best to what they truly are.

    Args:
        cases: with their full labels.
        weakened: the same cases with few.
        num_labels, axis: of `propagated`.

    Returns:
        That of the largest mean Dice over cases and labels.
    """

    def score(beta: float) -> float:
        found = []
        for case, few in zip(cases, weakened, strict=True):
            spread = propagated(few, num_labels, axis, beta=beta).label
            found += [dice(*two) for two in case.masks(spread, num_labels)]
        return nanmean(found)

    return max(BETAS, key=score)


def propagated(case: Case, num_labels: int, axis: int = 0, *, beta: float) -> Case:
    """A case whose few labels have spread to every point, slice by slice.

    Each point gets the label whose points a random walk from it meets first; labelled ones keep
    theirs, and points that no walk leaves have none. Slices with one label alone have it
    everywhere, those with none keep none.

    Args:
        case: points without a label have its ``ignore``.
        num_labels: L.
        axis: of a volume, across which slices lie.
        beta: of `walked`.

    Raises:
        ImportError: scikit-image is missing.

    Example:
        >>> image = np.array([[0, 0, 0, 1, 1, 1]] * 2, "float32")[..., None]
        >>> label = np.full((2, 6), 255, "uint8")
        >>> label[0, [1, 5]] = 0, 1
        >>> propagated(Case(image, label, (1.0, 1.0), "a", "a", ignore=255), 2, beta=130).label[1]
        array([0, 0, 0, 1, 1, 1], dtype=uint8)
    """
    needed("skimage", "Labels that spread", "losses")
    label = case.label.copy()
    cut = label.ndim == 3
    slices = np.moveaxis(label, axis, 0) if cut else label[None]  # views, which are written to
    images = np.moveaxis(case.image, axis, 0) if cut else case.image[None]
    for image, inside in zip(images, slices, strict=True):
        known = np.ones(inside.shape, bool) if case.ignore is None else inside != case.ignore
        present = np.unique(inside[known])
        if not len(present):
            continue
        probs = np.full((*inside.shape, num_labels), 1 / num_labels)
        probs[known] = np.eye(num_labels)[inside[known]]
        found = ~known
        if len(present) > 1:
            probs = walked(image, probs, confidence=1.0, beta=beta)
            found &= np.ptp(probs, axis=-1) > 0
        np.copyto(inside, present[probs[..., present].argmax(-1)], where=found)
    return case.but(label=label)


def walked(image: np.ndarray, probs: np.ndarray, *, confidence: float, beta: float) -> np.ndarray:
    """Probabilities that a walk from a point meets each label's confident points first.

    Args:
        image: (H, W, K) in [0, 1].
        probs: (H, W, L).
        confidence: points whose largest probability is at least this are where walks end.
        beta: how strongly edges of the image hold up the walk, > 0.

    Returns:
        (H, W, L); as they were at points that no walk leaves, and everywhere if fewer than two
        labels have a confident point or all points are confident.

    Reference:
        L. Grady, "Random walks for image segmentation", TPAMI 2006, as scikit-image has it.

    Example:
        >>> sure, unsure = [0.99, 0.01], [0.5, 0.5]
        >>> probs = np.array([[sure, unsure, unsure, sure[::-1]]] * 3)
        >>> image = np.repeat([0.0, 1.0], [3, 1])[None, :, None] * np.ones((3, 1, 1))
        >>> walked(image, probs, confidence=0.9, beta=100.0).argmax(-1)[0]
        array([0, 0, 0, 1])
    """
    from skimage.segmentation import random_walker

    sure = probs.max(-1) >= confidence
    present = np.unique(probs.argmax(-1)[sure])
    if len(present) < 2 or sure.all() or not np.ptp(image):  # without edges it has no scale
        return probs
    seeds = np.where(sure, 1 + np.searchsorted(present, probs.argmax(-1)), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the solver, of which there are faster ones elsewhere
        reached = random_walker(
            image, seeds, beta=beta, mode="cg_j", return_full_prob=True, channel_axis=-1
        )
    result = np.zeros(probs.shape)
    # The solver stops a little before probabilities sum to 1, and where edges hold up every walk
    # before any of them is above 0.
    result[..., present] = np.moveaxis(reached, 0, -1).clip(0, 1)
    mass = result.sum(-1, keepdims=True)
    return np.divide(result, mass, where=mass > 0, out=probs.astype(float))
