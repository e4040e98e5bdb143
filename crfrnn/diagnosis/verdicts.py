"""Sentences that tell why a CRF does nothing, or too much, and what to change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from crfrnn.diagnosis.advice import LABELS_WOULD_TELL, Advice, Judge, said
from crfrnn.diagnosis.record import Findings
from crfrnn.diagnosis.words import number, percent, ratio
from crfrnn.meanfield.parameters import WEIGHTS
from crfrnn.parameters.first_guess import first_guess

# What is too little or too much. A verdict names its numbers, so that a reader can judge.
FEW = 1e-3  # of the points: less is nothing
MANY = 0.2  # of the points: more is no refinement
BLIND = 1.0  # range of the intensities over theta_beta: exp(-1/2), a kernel weakened to 0.6 at most
WEAK = 0.1  # of the near points that edges keep out
ALONE = 1.0  # neighbours that the kernel finds for a point
NOISY = 3.0  # noise over theta_beta: of one region 1 / sqrt(1 + 2 * 9) = 0.23 of the kernel is left
SURE = 0.01  # of the points can be overturned: the boundaries alone are more
LOST = 0.8  # of the points of a label
ONE_KERNEL = 0.8  # of what moved labels
DROWNED = 5.0  # messages over margins


def find(findings: Findings, judge: Judge | None = None) -> tuple[str, ...]:
    """The verdict on a CRF.

    Args:
        findings: what it did.
        judge: the truth, if it is known: it overrules whatever the numbers suggest.

    Returns:
        Sentences: first what the CRF does, then what is wrong with the kernels, the unaries, the
        result and the iteration, and what to change.
    """
    effect = list(_effect(findings, judge))
    wrong = [
        *_off(findings),
        *_edges(findings),
        *_strength(findings),
        *_repelling(findings),
        *_uncoupled(findings),
        *_result(findings, judge),
        *_iteration(findings),
    ]
    sentences = [said(item, judge) if isinstance(item, Advice) else item for item in wrong]
    if not sentences:
        sentences += _agreement(findings)
    if judge is None:
        sentences.append(LABELS_WOULD_TELL)
    return (*effect, *sentences)


def _effect(d: Findings, judge: Judge | None) -> Iterator[str]:
    changed = d.changed[-1] if len(d.changed) else 0.0
    if changed:
        yield f"The CRF changes the label of {percent(changed)} of the points."
    else:
        yield "The CRF changes no label."
    if judge is not None:
        if np.isnan(d.metrics.get("dice", 0.0)).any():
            yield "There is no foreground in the labels, so that Dice is not defined."
        gain = judge.gain
        word = "rises to" if gain > 0 else "falls to" if gain < 0 else "stays at"
        yield (
            f"The {judge.name} was {judge.before:.2f} % and {word} {judge.after:.2f} %"
            f"{': the CRF helps here' * (gain > 0)}."
        )


def _off(d: Findings) -> Iterator[str]:
    if not np.any(d.parameters["bilateral_weight"]) and not np.any(d.parameters["spatial_weight"]):
        yield "Both weights are 0: the CRF returns what it gets."
    elif not d.parameters["num_iterations"]:
        yield "There are 0 iterations: the CRF returns what it gets."


def _edges(d: Findings) -> Iterator[str | Advice]:
    if d.edges is None:
        return
    theta_beta = f"theta_beta = {number(d.parameters['theta_beta'])}"
    if d.edges.range == 0:
        yield "The image is constant, so that the bilateral kernel has no edges to follow."
    elif d.edges.without_edges < ALONE:
        yield _instead(
            d,
            "theta_alpha",
            f"theta_alpha is {number(d.edges.theta)} points: the bilateral kernel hardly reaches "
            "a neighbour.",
        )
    elif d.edges.range < BLIND:
        yield _instead(
            d,
            "theta_beta",
            f"{theta_beta} is {ratio(1 / d.edges.range)} times the intensity range of the image: "
            "the CRF cannot see edges.",
        )
    elif d.edges.neighbours < ALONE:
        noise = (
            f", {ratio(1 / d.edges.noise)} times the noise of the image" if d.edges.noise else ""
        )
        yield _instead(
            d,
            "theta_beta",
            f"{theta_beta}{noise}, is so small that hardly any two points are alike to the "
            f"bilateral kernel: of {d.edges.without_edges:.0f} near points it finds "
            f"{d.edges.neighbours:.2g}, and it does nothing.",
        )
    elif d.edges.noise > NOISY:
        yield _instead(
            d,
            "theta_beta",
            f"{theta_beta} is only {ratio(1 / d.edges.noise)} times the noise of the image: "
            "points of one region look different to the bilateral kernel, and it follows the noise "
            "in place of the edges.",
        )
    elif d.edges.strength < WEAK:
        fact = (
            f"With {theta_beta} the edges near the boundaries keep out only "
            f"{percent(d.edges.strength)} of the near points: the bilateral kernel smooths nearly "
            "as if there was no image."
        )
        if np.mean(_guess(d)["theta_beta"]) < np.mean(d.parameters["theta_beta"]):
            yield _instead(d, "theta_beta", fact)
        else:
            yield f"{fact} The image itself has weak edges there."


def _instead(d: Findings, name: str, fact: str) -> Advice:
    """A fact, and the advice to try what the first guess says."""
    guess = _guess(d)[name]
    return Advice(fact, f"Try about {number(guess)}.", {name: guess})


def _guess(d: Findings) -> Mapping[str, Any]:
    spacing = d.parameters.get("spacing")
    return first_guess([d.image], [d.before], spacing=spacing, mask=[d.mask])


def _strength(d: Findings) -> Iterator[str | Advice]:
    margin, reach = d.messages.margin, d.messages.reach
    most = reach.max()
    if not most:
        return
    reachable = np.mean(reach > margin)
    median = np.median(margin)
    if reachable < SURE:
        factor = max(1.5, np.percentile(margin, 10) / np.median(reach))
        yield Advice(
            f"The unaries are so sure (median margin {median:.2g}, in nats) that messages of at "
            f"most {most:.2g} can overturn only {percent(reachable)} of them. Softer probabilities "
            "would leave them more.",
            f"Raise the weights about {ratio(factor)} times.",
            _weights(d, factor),
        )
        yield from _hard(d)
    elif np.median(reach) > DROWNED * np.percentile(margin, 95):
        fact = (
            f"The messages (median {np.median(reach):.2g} nats) drown the unaries (median margin "
            f"{median:.2g})."
        )
        if d.parameters.get("normalization") == "none":
            yield Advice(
                f'{fact} With normalization="none" they grow with the number of neighbours.',
                'Use "symmetric".',
                {"normalization": "symmetric"},
            )
        else:
            factor = np.median(reach) / max(median, 1e-3)
            remedy = f"Lower the weights about {ratio(factor)} times."
            yield Advice(fact, remedy, _weights(d, 1 / factor))


def _weights(d: Findings, factor: float) -> Mapping[str, Any]:
    return {name: np.multiply(d.parameters[name], factor) for name in WEIGHTS}


def _hard(d: Findings) -> Iterator[str]:
    share = np.mean(d.before[... if d.mask is None else d.mask].max(-1) > 0.9999)
    if share >= 0.95:
        yield (
            f"{percent(share)} of the probabilities are above 0.9999: if they are a label map, "
            "use crfrnn.probs_from_labels with a lower confidence."
        )


def _repelling(d: Findings) -> Iterator[Advice]:
    compatibility = d.parameters.get("compatibility", "potts")
    if isinstance(compatibility, str):
        return
    matrix = np.asarray(compatibility, np.float64)
    others = (matrix.sum() - np.trace(matrix)) / (matrix.size - len(matrix))
    if np.trace(matrix) / len(matrix) > others:
        yield Advice(
            "With this compatibility equal labels repel each other: its diagonal is larger than "
            "the rest. Potts is minus the identity here.",
            "Change its sign.",
            {"compatibility": -matrix},
        )


def _uncoupled(d: Findings) -> Iterator[str]:
    """Spatial kernels that are shorter than the distance of slices."""
    if not np.any(d.parameters["spatial_weight"]):
        return
    spacing = d.parameters.get("spacing")
    axes = d.before.ndim - 1
    theta = np.broadcast_to(d.parameters["theta_gamma"], axes)
    steps = theta / (1.0 if spacing is None else np.broadcast_to(spacing, axes))
    # At distance 1 a Gaussian of 0.4 is exp(-3.1) = 0.04.
    for axis in np.flatnonzero(steps < 0.4):
        yield (
            f"theta_gamma is {steps[axis]:.2g} of the distance of neighbours along axis {axis}: "
            "the spatial kernel does not couple them."
        )


def _result(d: Findings, judge: Judge | None) -> Iterator[str | Advice]:
    changed = d.changed[-1] if len(d.changed) else 0.0
    if changed < FEW:
        return
    lost = list(_swallowed(d))
    yield from lost
    gain = np.nan if judge is None else judge.gain
    if gain < 0:
        yield f"It does harm here. {_culprit(d)}"
    elif changed > MANY and not gain > 0:
        yield f"{percent(changed)} is much for a refinement. {_culprit(d)}"
    elif lost and not gain > 0:
        yield _culprit(d)
    elif d.edges is not None and d.messages.shares["spatial"] > ONE_KERNEL:
        yield Advice(
            f"{percent(d.messages.shares['spatial'])} of what moved labels came from the spatial "
            "kernel, which does not see the image.",
            "For results that follow edges, raise bilateral_weight or lower spatial_weight.",
        )


def _swallowed(d: Findings) -> Iterator[str]:
    before, after = d.before.argmax(-1), d.after.argmax(-1)
    for label, (was, is_) in enumerate(d.label_shares):
        if was * (before.size if d.mask is None else d.mask.sum()) < 10 or is_ > (1 - LOST) * was:
            continue
        others = np.bincount(after[before == label], minlength=label + 1)
        others[label] = 0
        yield (
            f"Label {label} lost {percent(1 - is_ / was)} of its points, most of them to label "
            f"{others.argmax()}."
        )


def _culprit(d: Findings) -> str:
    """Which kernel did it, and what to lower."""
    name, share = max(d.messages.shares.items(), key=lambda item: item[1])
    if share < 2 / 3:
        return "Both kernels did it: lower bilateral_weight and spatial_weight."
    theta = {"bilateral": "theta_alpha, or theta_beta", "spatial": "theta_gamma"}[name]
    return f"The {name} kernel did {percent(share)} of it: lower {name}_weight, or {theta}."


def _iteration(d: Findings) -> Iterator[Advice]:
    if not len(d.flips):
        return
    rises = np.flatnonzero(np.diff(d.kl) > 0.01 * np.ptp(d.kl)) + 1
    exact = d.parameters.get("normalization", "symmetric") in ("symmetric", "none")
    if len(rises) and exact and d.changed[-1] > 0:
        yield Advice(
            f"The divergence from the CRF rises in iteration {rises[0]}: the updates overshoot.",
            "Halve the weights.",
            _weights(d, 0.5),
        )
    if d.flips[-1] > FEW:
        yield Advice(
            f"{percent(d.flips[-1])} of the labels still change in the last iteration.",
            f"Do {2 * len(d.flips)} in place of {len(d.flips)}.",
            {"num_iterations": 2 * len(d.flips)},
        )


def _agreement(d: Findings) -> Iterator[str]:
    reachable = d.messages.reach > d.messages.margin
    if reachable.any():
        yield (
            f"Nothing looks wrong. The kernels could overturn the label of "
            f"{percent(reachable.mean())} of the points and support it at "
            f"{percent(np.mean(d.messages.agreement[reachable] > 0))} of these."
        )
