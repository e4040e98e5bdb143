"""The figure of `diagnose`, with labels that are few and many."""

import itertools

import numpy as np
import pytest

from crfrnn.diagnosis.diagnose import diagnose

pytest.importorskip("matplotlib")
CRF = dict(theta_alpha=8, theta_beta=20, theta_gamma=2, bilateral_weight=5, spatial_weight=2)


def panels(labels):
    """Of a case in which a label is the larger the smaller its number is."""
    rng = np.random.default_rng(0)
    # 30 columns for each label, and for each the fewer rows the later it comes.
    sizes = np.arange(labels, 0, -1)
    truth = np.repeat(np.arange(labels), sizes)[:, None] * np.ones(30, int)
    image = truth * 200.0 / labels + rng.normal(0, 2, truth.shape)
    probs = 0.4 * np.eye(labels)[truth] + 0.6 * rng.dirichlet(np.ones(labels), truth.shape)
    figure = diagnose(image[..., None], probs, truth, **CRF).plot()
    figure.draw_without_rendering()
    return {axes.get_title(): axes for axes in figure.get_axes()}


@pytest.mark.parametrize(
    "labels, named",
    [(3, ["0", "1", "2"]), (10, [*map(str, range(10))]), (14, [*map(str, range(10)), "4 more"])],
)
def test_colours_are_named_however_many_labels_there_are(labels, named):
    legend = panels(labels)["before the CRF; white: truth"].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == named


@pytest.mark.parametrize("labels", [3, 10, 14])
def test_numbers_over_bars_do_not_touch(labels):
    panel = panels(labels)["share of each label; x: after / before"]
    boxes = [text.get_window_extent() for text in panel.texts]
    assert len(boxes) == min(labels, 10)
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))
    top = panel.get_window_extent().y1
    assert max(box.y1 for box in boxes) <= top
    assert ("the ten most frequent" in panel.get_xlabel()) == (labels > 10)


def test_titles_touch_nothing():
    """Those of the kernels are the longest."""
    found = panels(3)
    titles = [axes.title.get_window_extent() for title, axes in found.items() if title]
    labels = [axes.yaxis.label.get_window_extent() for axes in found.values()]
    touching = [
        (one, other)
        for number, one in enumerate(titles)
        for other in (*titles[number + 1 :], *labels)
        if one.overlaps(other)
    ]
    assert not touching
