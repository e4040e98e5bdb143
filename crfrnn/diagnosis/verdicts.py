"""Sentences that tell why a CRF does nothing, or too much, and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from crfrnn.diagnosis.record import Findings
from crfrnn.parameters.first_guess import first_guess

# What is too little or too much. A verdict names its numbers, so that a reader can judge.
FEW = 1e-3  # of the points: less is nothing
MANY = 0.2  # of the points: more is no refinement
BLIND = 1.0  # range of the intensities over theta_beta: exp(-1/2), a kernel weakened to 0.6 at most
WEAK = 0.1  # of the near points that edges keep out
ALONE = 1.0  # neighbours that the kernel finds for a point
NOISY = (
    3.0  # noise over theta_beta: of one region, 1 / sqrt(1 + 2 * 9) = 0.23 of the kernel is left
)
SURE = 0.01  # of the points can be overturned: the boundaries alone are more
LOST = 0.8  # of the points of a label
ONE_KERNEL = 0.8  # of what moved labels
DROWNED = 5.0  # messages over margins


def find(findings: Findings) -> tuple[str, ...]:
    """The verdict on a CRF.

    Args:
        findings: what it did.

    Returns:
        Sentences: first what the CRF does, then what is wrong with the kernels, the unaries, the
        result and the iteration.
    """
    sentences = [
        *_effect(findings),
        *_off(findings),
        *_edges(findings),
        *_strength(findings),
        *_repelling(findings),
        *_uncoupled(findings),
        *_result(findings),
        *_iteration(findings),
    ]
    if len(sentences) == 1 + bool(findings.metrics):
        sentences += _agreement(findings)
    return tuple(sentences)


def _effect(d: Findings) -> Iterator[str]:
    changed = d.changed[-1] if len(d.changed) else 0.0
    if changed:
        yield f"The CRF changes the label of {_percent(changed)} of the points."
    else:
        yield "The CRF changes no label."
    if d.metrics:
        before, after = d.metrics["dice"]
        if np.isnan([before, after]).any():
            yield "There is no foreground in the labels, so that Dice is not defined."
        else:
            change = round(after - before, 2)
            word = "rises to" if change > 0 else "falls to" if change < 0 else "stays at"
            yield f"Mean Dice of the foreground was {before:.2f} % and {word} {after:.2f} %."


def _off(d: Findings) -> Iterator[str]:
    if not np.any(d.parameters["bilateral_weight"]) and not np.any(d.parameters["spatial_weight"]):
        yield "Both weights are 0: the CRF returns what it gets."
    elif not d.parameters["num_iterations"]:
        yield "There are 0 iterations: the CRF returns what it gets."


def _edges(d: Findings) -> Iterator[str]:
    if d.edges is None:
        return
    theta_beta = f"theta_beta = {_number(d.parameters['theta_beta'])}"
    if d.edges.range == 0:
        yield "The image is constant, so that the bilateral kernel has no edges to follow."
    elif d.edges.without_edges < ALONE:
        yield (
            f"theta_alpha is {_number(d.edges.theta)} points: the bilateral kernel hardly reaches "
            f"a neighbour. Try about {_guess(d, 'theta_alpha')}."
        )
    elif d.edges.range < BLIND:
        yield (
            f"{theta_beta} is {_ratio(1 / d.edges.range)} times the intensity range of the image: "
            f"the CRF cannot see edges. Try about {_guess(d, 'theta_beta')}."
        )
    elif d.edges.neighbours < ALONE:
        noise = (
            f", {_ratio(1 / d.edges.noise)} times the noise of the image" if d.edges.noise else ""
        )
        yield (
            f"{theta_beta}{noise}, is so small that hardly any two points are alike to the "
            f"bilateral kernel: of {d.edges.without_edges:.0f} near points it finds "
            f"{d.edges.neighbours:.2g}, and it does nothing. Try about {_guess(d, 'theta_beta')}."
        )
    elif d.edges.noise > NOISY:
        yield (
            f"{theta_beta} is only {_ratio(1 / d.edges.noise)} times the noise of the image: "
            "points of one region look different to the bilateral kernel, and it follows the noise "
            f"in place of the edges. Try about {_guess(d, 'theta_beta')}."
        )
    elif d.edges.strength < WEAK:
        yield (
            f"With {theta_beta} the edges near the boundaries keep out only "
            f"{_percent(d.edges.strength)} of the near points: the bilateral kernel smooths nearly "
            f"as if there was no image. {_lower(d, 'theta_beta')}"
        )


def _strength(d: Findings) -> Iterator[str]:
    margin, reach = d.messages.margin, d.messages.reach
    most = reach.max()
    if not most:
        return
    reachable = np.mean(reach > margin)
    median = np.median(margin)
    if reachable < SURE:
        yield (
            f"The unaries are so sure (median margin {median:.2g}, in nats) that messages of at "
            f"most {most:.2g} can overturn only {_percent(reachable)} of them. Raise the weights "
            f"about {_ratio(max(1.5, np.percentile(margin, 10) / np.median(reach)))} times, or "
            f"soften the probabilities.{_hard(d)}"
        )
    elif np.median(reach) > DROWNED * np.percentile(margin, 95):
        hint = (
            ' normalization="none" makes them grow with the number of neighbours: use "symmetric".'
            if d.parameters.get("normalization") == "none"
            else ""
        )
        yield (
            f"The messages (median {np.median(reach):.2g} nats) drown the unaries (median margin "
            f"{median:.2g}).{hint} Lower the weights about "
            f"{_ratio(np.median(reach) / max(median, 1e-3))} times."
        )


def _hard(d: Findings) -> str:
    share = np.mean(d.before.max(-1) > 0.9999)
    if share < 0.95:
        return ""
    return (
        f" {_percent(share)} of the probabilities are above 0.9999: if they are a label map, use "
        "crfrnn.probs_from_labels with a lower confidence."
    )


def _repelling(d: Findings) -> Iterator[str]:
    compatibility = d.parameters.get("compatibility", "potts")
    if isinstance(compatibility, str):
        return
    matrix = np.asarray(compatibility, np.float64)
    others = (matrix.sum() - np.trace(matrix)) / (matrix.size - len(matrix))
    if np.trace(matrix) / len(matrix) > others:
        yield (
            "With this compatibility equal labels repel each other: its diagonal is larger than "
            "the rest. Potts is minus the identity here; change the sign."
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


def _result(d: Findings) -> Iterator[str]:
    changed = d.changed[-1] if len(d.changed) else 0.0
    if changed < FEW:
        return
    lost = list(_swallowed(d))
    yield from lost
    gain = np.subtract(*d.metrics["dice"][::-1]) if d.metrics else np.nan
    if gain < 0:
        yield f"It does harm here. {_culprit(d)}"
    elif changed > MANY and not gain > 0:
        yield f"{_percent(changed)} is much for a refinement. {_culprit(d)}"
    elif lost:
        yield _culprit(d)
    elif d.edges is not None and d.messages.shares["spatial"] > ONE_KERNEL:
        yield (
            f"{_percent(d.messages.shares['spatial'])} of what moved labels came from the spatial "
            "kernel, which does not see the image. For results that follow edges, raise "
            "bilateral_weight or lower spatial_weight."
        )


def _swallowed(d: Findings) -> Iterator[str]:
    before, after = d.before.argmax(-1), d.after.argmax(-1)
    for label, (was, is_) in enumerate(d.label_shares):
        if was * before.size < 10 or is_ > (1 - LOST) * was:
            continue
        others = np.bincount(after[before == label], minlength=label + 1)
        others[label] = 0
        yield (
            f"Label {label} lost {_percent(1 - is_ / was)} of its points, most of them to label "
            f"{others.argmax()}."
        )


def _culprit(d: Findings) -> str:
    """Which kernel did it, and what to lower."""
    name, share = max(d.messages.shares.items(), key=lambda item: item[1])
    if share < 2 / 3:
        return "Both kernels did it: lower bilateral_weight and spatial_weight."
    theta = {"bilateral": "theta_alpha, or theta_beta", "spatial": "theta_gamma"}[name]
    return f"The {name} kernel did {_percent(share)} of it: lower {name}_weight, or {theta}."


def _iteration(d: Findings) -> Iterator[str]:
    if not len(d.flips):
        return
    rises = np.flatnonzero(np.diff(d.kl) > 0.01 * np.ptp(d.kl)) + 1
    exact = d.parameters.get("normalization", "symmetric") in ("symmetric", "none")
    if len(rises) and exact and d.changed[-1] > 0:
        yield (
            f"The divergence from the CRF rises in iteration {rises[0]}: the updates overshoot. "
            "Lower the weights."
        )
    if d.flips[-1] > FEW:
        yield (
            f"{_percent(d.flips[-1])} of the labels still change in the last iteration: do more "
            f"than {len(d.flips)}."
        )


def _agreement(d: Findings) -> Iterator[str]:
    reachable = d.messages.reach > d.messages.margin
    if reachable.any():
        yield (
            f"Nothing looks wrong. The kernels could overturn the label of "
            f"{_percent(reachable.mean())} of the points and support it at "
            f"{_percent(np.mean(d.messages.agreement[reachable] > 0))} of these."
        )


def _guess(d: Findings, name: str) -> str:
    return _number(first_guess([d.image], [d.before], spacing=d.parameters.get("spacing"))[name])


def _lower(d: Findings, name: str) -> str:
    guess = first_guess([d.image], [d.before], spacing=d.parameters.get("spacing"))[name]
    lower = np.mean(guess) < np.mean(d.parameters[name])
    return f"Try about {_number(guess)}." if lower else "The image itself has weak edges there."


def _number(value: Any) -> str:
    numbers = np.unique(np.round(np.asarray(value, np.float64), 12))
    shown = numbers if len(numbers) == 1 else np.ravel(value)
    return ", ".join(f"{float(f'{number:.3g}'):g}" for number in shown)


def _ratio(value: Any) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def _percent(share: Any) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
