"""The figure of `Diagnosis.plot`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crfrnn.diagnosis import edges, paint
from crfrnn.diagnosis.record import Findings
from crfrnn.diagnosis.view import View, view_of
from crfrnn.optional import needed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


BEFORE, AFTER = "tab:gray", "tab:blue"
KERNELS = 3  # points whose kernel is shown
NAMED = 10  # labels, at most, that legends and bars have room for
_BESIDE = 5  # bars whose numbers have room beside each other
_SMALL = 8  # font size


def draw(
    findings: Findings,
    verdict: Sequence[str],
    slice_axis: int | None = None,
    index: int | None = None,
) -> Figure:
    """Draw a diagnosis; see `Diagnosis.plot`.

    Raises:
        ValueError: an image of one axis, or a slice that is not there.
        ImportError: Matplotlib is missing.
    """
    needed("matplotlib", "Figures", "plot")
    from matplotlib.figure import Figure

    view = view_of(findings, slice_axis, index)
    text = "\n".join(textwrap.fill(f"• {sentence}", 150) for sentence in verdict)
    lines = text.count("\n") + 1
    figure = Figure(figsize=(13, 9.6 + 0.2 * lines), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[0.35 + 0.2 * lines, 9.3])
    top, bottom = parts
    top.text(0.01, 0.5, text, fontsize=10, va="center", linespacing=1.35)
    panels = bottom.subplots(3, 4)
    _maps(panels[0], findings, view)
    _kernels(panels[1, :KERNELS], panels[0, 0], findings, view)
    _contrast(panels[1, 3], findings)
    _iterations(panels[2, 0], findings)
    _divergence(panels[2, 1], findings)
    _margins(panels[2, 2], findings)
    _shares(panels[2, 3], findings)
    for panel in panels.flat:
        panel.title.set_fontsize(9)
        panel.tick_params(labelsize=_SMALL)
        panel.xaxis.label.set_fontsize(_SMALL)
        panel.yaxis.label.set_fontsize(_SMALL)
    return figure


def _maps(panels: Any, d: Findings, view: View) -> None:
    where = "" if view.place is None else f" (slice {view.place[1]} across axis {view.place[0]})"
    panels[0].set_title(f"image{where}")
    truth = "" if view.truth is None else "; white: truth"
    panels[1].set_title(f"before the CRF{truth}")
    panels[2].set_title(f"after the CRF{truth}")
    for panel in panels:
        _picture(panel, view)
    colours = paint.palette(d.before.shape[-1])
    for panel, labels in ((panels[1], view.before), (panels[2], view.after)):
        panel.imshow(paint.paint(labels, colours), aspect=view.aspect, interpolation="nearest")
        if view.truth is not None:
            paint.outline(panel, view.truth)
    points = np.bincount(np.concatenate([view.before.ravel(), view.after.ravel()]))
    order = np.argsort(-points, kind="stable")[: np.count_nonzero(points)]
    named = {str(label): colours[label] for label in sorted(order[:NAMED])}
    if more := len(order) - len(named):
        named[f"{more} more"] = None
    paint.legend(panels[1], named)
    _changes(panels[3], view)


def _changes(panel: Any, view: View) -> None:
    if view.truth is None:
        panel.set_title("what changed in this slice" if view.place else "what changed")
        masks = {"changed": view.before != view.after}
    else:
        panel.set_title("what changed")
        paint.outline(panel, view.truth)
        masks = paint.changes(view.before, view.after, view.truth)
    colours = {"changed": "tab:red", **paint.CHANGES}
    paint.mark(panel, masks, colours, aspect=view.aspect)


def _kernels(panels: Any, picture: Any, d: Findings, view: View) -> None:
    """The bilateral kernel around some points, which are marked in the picture."""
    if d.edges is None:
        for panel in panels:
            panel.set_axis_off()
        panels[1].text(0.5, 0.5, "The bilateral kernel is off.", ha="center", fontsize=9)
        return
    scaled = d.image.astype(np.float64) / np.asarray(d.parameters["theta_beta"], np.float64)
    if d.mask is not None:
        scaled[~d.mask] = np.nan  # these have no part in any kernel
    points = _spread(view)
    for number, panel in enumerate(panels):
        if number >= len(points):
            panel.set_axis_off()
            continue
        row, column = point = points[number]
        if view.place is not None:
            point = np.insert(point, view.place[0], view.place[1])
        kernel, near, window = edges.kernel_around(scaled, d.edges.theta, point)
        if view.place is not None:
            axis, index = view.place
            kernel = np.take(kernel, index - window[axis].start, axis)
            window = window[:axis] + window[axis + 1 :]
        rows, columns = (
            slice(w.start, min(w.stop, size))
            for w, size in zip(window, view.before.shape, strict=True)
        )
        extent = (columns.start - 0.5, columns.stop - 0.5, rows.stop - 0.5, rows.start - 0.5)
        panel.imshow(kernel, cmap="magma", vmin=0, vmax=1, extent=extent, aspect=view.aspect)
        for label in np.unique(view.after)[1:]:
            where = (view.after == label)[rows, columns]
            paint.border(panel, where, (rows.start, columns.start), width=0.6)
        panel.set_xticks([])
        panel.set_yticks([])
        name = "ABC"[number]
        panel.plot(column, row, "+", color="cyan", markersize=9)
        there = np.isfinite(kernel)
        share = kernel[there].sum() / near[there].sum() if view.place is None else None
        kept = "" if share is None else f": {100 * share:.0f} % of the near points"
        panel.set_title(f"kernel at {name}{kept}")
        picture.plot(column, row, "+", color="cyan", markersize=8)
        height, width = view.before.shape
        inwards = (-10 if column > width / 2 else 3, -10 if row < height / 2 else 3)
        picture.annotate(name, (column, row), inwards, textcoords="offset points", color="cyan")


def _spread(view: View) -> np.ndarray:
    """Up to three points far from each other, of those that changed or else lie on boundaries."""
    for candidates in (view.before != view.after, edges.boundary(view.before)):
        places = np.argwhere(candidates & view.mask)
        if len(places):
            break
    else:
        places = np.argwhere(view.mask if view.mask.any() else ~view.mask)
        centre = np.floor_divide(view.mask.shape, 2)
        places = places[[np.abs(places - centre).max(-1).argmin()]]
    places = places[:: -(-len(places) // 2000)]
    chosen = [places[len(places) // 2]]
    while len(chosen) < min(KERNELS, len(places)):
        distances = np.min([np.abs(places - point).max(-1) for point in chosen], axis=0)
        chosen.append(places[distances.argmax()])
    return np.array(chosen)


def _contrast(panel: Any, d: Findings) -> None:
    panel.set_title("neighbour differences against theta_beta")
    if d.edges is None:
        panel.set_axis_off()
        return
    bins = np.linspace(0, max(4.0, float(np.percentile(d.edges.contrast, 99.9))), 60)
    counts, _ = np.histogram(d.edges.contrast, bins)
    panel.stairs(counts / d.edges.contrast.size, bins, fill=True, color=BEFORE, alpha=0.7)
    panel.set_yscale("log")
    panel.set_xlim(0, bins[-1])
    panel.set_xlabel("|difference| / theta_beta")
    panel.set_ylabel("share of neighbours")
    factor = panel.twinx()
    line = np.linspace(0, bins[-1], 400)
    factor.plot(line, np.exp(-0.5 * line**2), color=AFTER)
    factor.set_ylim(0, 1.05)
    factor.tick_params(labelsize=_SMALL, colors=AFTER)
    factor.set_ylabel("bilateral factor", color=AFTER, fontsize=_SMALL)
    if d.edges.range < bins[-1]:
        factor.axvline(d.edges.range, color="tab:green", linestyle=":", label="range of the image")
        factor.legend(fontsize=7, loc="center right")


def _iterations(panel: Any, d: Findings) -> None:
    panel.set_title("changes per iteration")
    steps = np.arange(1, len(d.changed) + 1)
    for values, label, style in (
        (d.max_change, "largest change of a probability", "C1.-"),
        (d.mean_change, "mean change of a probability", "C2.-"),
        (d.flips, "labels that change", "C3.-"),
        (d.changed, "labels that differ from the start", "C0.-"),
    ):
        panel.plot(steps, np.where(values > 0, values, np.nan), style, label=label)
    panel.set_yscale("log")
    panel.set_xlabel("iteration")
    panel.set_ylabel("share, or probability")
    panel.xaxis.get_major_locator().set_params(integer=True)
    low, high = panel.get_ylim()
    panel.set_ylim(low, high * (high / low) ** 0.5)  # room for the legend
    panel.legend(fontsize=6.5, loc="upper right")


def _divergence(panel: Any, d: Findings) -> None:
    panel.set_title("divergence from the CRF, nats per point")
    panel.plot(np.arange(len(d.kl)), d.kl, "C0.-")
    panel.set_xlabel("iteration")
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.ticklabel_format(axis="y", useOffset=False)


def _margins(panel: Any, d: Findings) -> None:
    panel.set_title("can messages overturn unaries?")
    bins = np.linspace(0, max(d.messages.margin.max(), d.messages.reach.max(), 1e-3), 50)
    size = d.messages.margin.size
    for values, label, colour in (
        (d.messages.margin, "margin of the unaries", BEFORE),
        (d.messages.reach, "reach of the messages", AFTER),
    ):
        counts, _ = np.histogram(values, bins)
        panel.stairs(counts / size, bins, fill=True, color=colour, alpha=0.5, label=label)
    panel.set_yscale("log")
    panel.set_xlabel("nats")
    panel.set_ylabel("share of the points")
    panel.legend(fontsize=7)


def _shares(panel: Any, d: Findings) -> None:
    panel.set_title("share of each label; x: after / before")
    present = np.flatnonzero(d.label_shares.any(-1))
    labels = present[np.argsort(-d.label_shares[present].max(-1))[:NAMED]]
    places = np.arange(len(labels))
    for offset, name, colour in ((-0.2, "before", BEFORE), (0.2, "after", AFTER)):
        shares = d.label_shares[labels, int(offset > 0)]
        panel.bar(places + offset, shares, 0.4, color=colour, label=name)
    for place, (before, after) in zip(places, d.label_shares[labels], strict=True):
        text = f"x {after / before:.2f}" if before else "new"
        upright = 90 * (len(labels) > _BESIDE)
        where = place, max(before, after)
        panel.text(*where, text, ha="center", va="bottom", fontsize=7, rotation=upright)
    panel.set_xticks(places, [str(label) for label in labels])
    panel.margins(y=0.12 if len(labels) <= _BESIDE else 0.3)
    panel.set_xlabel("label" if len(labels) == len(present) else "label (the ten most frequent)")
    panel.legend(fontsize=7)


def _picture(panel: Any, view: View) -> None:
    grey = view.image.shape[-1] == 1
    panel.imshow(
        view.image[..., 0] if grey else view.image,
        cmap="gray",
        vmin=0,
        vmax=1,
        aspect=view.aspect,
        interpolation="nearest",
    )
    panel.set_axis_off()
