"""What a CRF does to one case, and why; public as `crfrnn.diagnose`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crfrnn import checks
from crfrnn.checks import Whole
from crfrnn.diagnosis import edges, verdicts
from crfrnn.diagnosis.advice import Judge
from crfrnn.diagnosis.record import Findings, Messages
from crfrnn.meanfield.in_place import energies
from crfrnn.meanfield.logits import logits_from_probabilities
from crfrnn.meanfield.parameters import ITERATIONS
from crfrnn.offline import inputs
from crfrnn.offline.dense_crf import DenseCRF
from crfrnn.offline.unaries import probs_from_logits
from crfrnn.parameters.cases import known_points
from crfrnn.parameters.metrics import default, metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Diagnosis(Findings):
    """What `diagnose` found; `print` it, or `plot` it.

    Attributes:
        verdict: sentences in plain English, what is wrong or remarkable and what to change.

    The others: see `Findings`.
    """

    verdict: tuple[str, ...]

    def plot(self, slice_axis: int | None = None, index: int | None = None) -> Figure:
        """One figure of all this.

        Needs Matplotlib. Nothing is shown or saved: a notebook shows the figure it gets,
        `figure.savefig("why.png")` saves it.

        Args:
            slice_axis, index: which slice of a volume; default: across the axis with the largest
                spacing or the fewest slices, the one with the most changes.
        """
        from crfrnn.diagnosis.plot import draw

        return draw(self, self.verdict, slice_axis, index)

    def __str__(self) -> str:
        lines = [f"{'iteration':>10} {'largest change':>15} {'mean change':>12} {'changed':>10}"]
        for step, row in enumerate(
            zip(self.max_change, self.mean_change, self.changed, strict=True), 1
        ):
            largest, mean, changed = row
            lines.append(f"{step:>10} {largest:>15.2g} {mean:>12.2g} {changed:>10.2%}")
        if self.metrics:
            lines.append("")
        for name, (before, after) in self.metrics.items():
            lines.append(f"{name:>10} {before:.2f} -> {after:.2f} %")
        return "\n".join([*lines, "", *self.verdict])


@checks.door(num_iterations=ITERATIONS, unknown=Whole(None, optional=True))
def diagnose(
    image: np.ndarray,
    unaries: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    num_iterations: int = 5,
    unknown: int | None = None,
    **crf: Any,
) -> Diagnosis:
    """Says what a CRF does to one case, and why it does nothing or too much.

    Args:
        image: (*S,) or (*S, K), as for `refine`.
        unaries: (*S, L): probabilities, if they are not negative and sum to 1, else logits.
        labels: (*S) integers 0..L-1, or `unknown`: the truth, if it is known. Then the verdict
            goes by it: what would usually be advised is tried, and said only if it scores better.
        num_iterations: T, 0 or more.
        unknown: the value of points without a label, often 255, which do not count in scores.
        crf: the other arguments of `refine`: theta_alpha, theta_beta, theta_gamma,
            bilateral_weight, spatial_weight, and the optional ones but `coordinates`. Points
            outside a `mask` take no part in kernels, numbers and scores, and may be NaN.

    Returns:
        `Diagnosis`; `print` it, or `plot` it.

    Raises:
        ValueError, TypeError: as `refine`.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> truth = np.zeros((30, 40), int)
    >>> truth[8:22, 10:30] = 1
    >>> image = 100 * truth + rng.normal(0, 5, truth.shape)
    >>> p = np.clip(0.3 + 0.4 * truth + rng.normal(0, 0.2, truth.shape), 0.01, 0.99)
    >>> found = diagnose(image, np.stack([1 - p, p], -1), truth, theta_alpha=10, theta_beta=4000,
    ...                  theta_gamma=1, bilateral_weight=3, spatial_weight=0)
    >>> print(found.verdict[2])  # doctest: +ELLIPSIS
    theta_beta = 4000 is ... times the intensity range of the image: the CRF cannot see edges. ...
    """
    if crf.get("coordinates") is not None:
        raise ValueError("Expected an image on a grid. Received `coordinates`.")
    crf = checks.without_tensors(crf)
    image = checks.array("image", image)
    inputs.same_grid(image, checks.array("unaries", unaries))
    if not image.size:
        raise ValueError(f"Expected an image with points. Received shape {image.shape}.")
    mask = inputs.mask_of(crf.get("mask"), np.shape(unaries)[:-1])
    probs = _probabilities(unaries, mask)
    grid, num_labels = probs.shape[:-1], probs.shape[-1]
    image = inputs.finite_image(image.reshape(*grid, -1), mask)  # (*S, K)
    labels = None if labels is None else inputs.label_map(labels, num_labels, grid, unknown)

    model = _model(image, probs, crf)
    inside = ... if mask is None else mask
    start = model.labels()
    before = previous = model.probs()
    steps, kl = [], [model.kl()]
    for _ in range(num_iterations):
        model.step()
        q = model.probs()
        change = np.abs(q - previous)
        current = q.argmax(-1)[inside]
        flips = np.mean(current != previous.argmax(-1)[inside])
        changed_so_far = np.mean(current != start[inside])
        steps.append((change.max(), change[inside].mean(), flips, changed_so_far))
        kl.append(model.kl())
        previous = q
    largest, mean, flips, changed = np.array(steps, np.float64).reshape(-1, 4).T
    after = previous

    parameters = {"num_iterations": num_iterations, **crf}
    scores, metrics = None, {}
    if labels is not None:
        scores = _scorer(labels, num_labels, mask, unknown)
        both = [scores(q.argmax(-1)) for q in (before, after)]
        metrics = {name: (both[0][name], both[1][name]) for name in both[0]}
    rows = [np.ascontiguousarray(q[inside].reshape(-1, num_labels)) for q in (before, after)]
    shares = [np.bincount(q.argmax(-1), minlength=num_labels) for q in rows]
    found = Findings(
        before=before,
        after=after,
        max_change=largest,
        mean_change=mean,
        flips=flips,
        changed=changed,
        kl=np.array(kl) / len(rows[0]),
        label_shares=np.stack(shares, -1) / len(rows[0]),
        edges=edges.measure(image, before, mask=mask, **_for_edges(crf))
        if np.any(crf["bilateral_weight"])
        else None,
        messages=_messages(model, *rows),
        metrics=metrics,
        image=image,
        labels=labels,
        mask=mask,
        parameters=parameters,
    )
    if scores is None:
        return Diagnosis(**vars(found), verdict=verdicts.find(found))

    def otherwise(change: Mapping[str, Any]) -> dict[str, float]:
        given = {**parameters, **change}
        iterations = given.pop("num_iterations")
        other = _model(image, probs, given)
        other.step(iterations)
        return scores(other.labels())

    return Diagnosis(**vars(found), verdict=verdicts.find(found, _judge(metrics, otherwise)))


def _model(image: np.ndarray, probs: np.ndarray, crf: Mapping[str, Any]) -> DenseCRF:
    # The verdict says what these warnings say, and more.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = DenseCRF(image, probs.shape[-1], **crf)
    model.set_unary(probs=probs)
    return model


def _probabilities(unaries: Any, mask: np.ndarray | None) -> np.ndarray:
    """Probabilities (*S, L); which kind the values are is told by those inside the mask."""
    values = checks.array("unaries", unaries)
    if mask is not None and values.dtype.kind == "f":
        # Points that do not count may be NaN: to figures no label is likelier there.
        nothing = np.isnan(values).any(-1) & ~mask
        count = values.shape[-1]
        values = np.where(nothing[..., None], 1 / count if count > 1 else 0, values)
    inside = values if mask is None else values[mask]
    # Logits all of which are in [0, 1] do not occur; probabilities that do not sum to 1 do, and
    # have to be named.
    if values.shape[-1:] > (1,) and inside.min() >= 0 and inside.max() <= 1:
        return inputs.probabilities(values, mask=mask)
    return probs_from_logits(values if mask is None else np.where(mask[..., None], values, 0))


def _for_edges(crf: dict[str, Any]) -> dict[str, Any]:
    return {name: crf.get(name) for name in ("theta_alpha", "theta_beta", "spacing")}


def _kernel_messages(model: DenseCRF, q: np.ndarray) -> dict[str, np.ndarray]:
    """What each kernel adds to the logits (N, L) of the next iteration."""
    return {name: -energies(kernel, q) for name, kernel in model.kernels.items()}


def _messages(model: DenseCRF, before: np.ndarray, after: np.ndarray) -> Messages:
    """before, after: (N, L), of the points that take part."""
    logits = logits_from_probabilities(before)
    points = np.arange(len(logits))
    top, second = np.argsort(logits, axis=-1)[:, :-3:-1].T
    total = sum(_kernel_messages(model, before).values(), np.zeros_like(logits))
    old, new = before.argmax(-1), after.argmax(-1)
    moved = old != new
    pushes = {"bilateral": 0.0, "spatial": 0.0}
    if moved.any():
        for name, message in _kernel_messages(model, after).items():
            push = np.mean(message[moved, new[moved]] - message[moved, old[moved]])
            pushes[name] = max(0.0, float(push))
    total_push = sum(pushes.values()) or 1.0
    return Messages(
        margin=logits[points, top] - logits[points, second],
        reach=np.ptp(total, axis=-1),
        agreement=total[points, top] - total[points, second],
        shares={name: push / total_push for name, push in pushes.items()},
    )


def _scorer(
    labels: np.ndarray, num_labels: int, mask: np.ndarray | None, unknown: int | None
) -> Callable[[np.ndarray], dict[str, float]]:
    """A function of a label map (*S) to its scores, percent; the one that judges comes first."""
    known = known_points(labels, mask, unknown)
    judging = default(num_labels)
    some = {name: metric(name) for name in (judging, judging.replace("dice", "iou"))}
    measures = {
        name: one.case(labels, num_labels, spacing=None, width=2.0, known=known)
        for name, one in some.items()
    }
    points = ... if known is None else known

    def scores(map_: np.ndarray) -> dict[str, float]:
        found = {
            name: float(one.total(np.array([measures[name](map_)]))) for name, one in some.items()
        }
        return {**found, "correct": float(100 * np.mean(labels[points] == map_[points]))}

    return scores


def _judge(
    metrics: Mapping[str, tuple[float, float]], scores: Callable[[Mapping[str, Any]], Any]
) -> Judge:
    """Judges by the first score that is defined; scores: all of them, with other arguments."""
    name = next(name for name, values in metrics.items() if not np.isnan(values).any())
    words = "share of correct points" if name == "correct" else "mean Dice"
    return Judge(words, *metrics[name], score=lambda change: scores(change)[name])
