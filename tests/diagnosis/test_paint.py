"""What label maps are painted with: colours, changes, and legends that hide nothing."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from crfrnn.diagnosis import paint


@pytest.mark.parametrize("count", [1, 2, 10, 11, 40])
def test_every_label_has_a_colour_of_its_own(count):
    colours = paint.palette(count)
    assert colours.shape == (count, 4)
    assert len(np.unique(colours, axis=0)) == count
    np.testing.assert_array_equal(colours[:, 3], [0] + [1] * (count - 1))
    assert colours.min() >= 0 and colours.max() <= 1


def test_painted_where_there_are_labels():
    labels = np.array([[0, 2, 1], [2, 2, 0]])
    colours = np.array([[0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0.5]])
    painted = paint.paint(labels, colours, opacity=0.4)
    assert painted.shape == (2, 3, 4)
    np.testing.assert_allclose(painted[0, 1], [0, 0, 1, 0.2])
    np.testing.assert_allclose(painted[..., 3], [[0, 0.2, 0.4], [0.2, 0.2, 0]])
    assert colours[1, 3] == 1  # what was given is as it was


def test_changes_by_hand():
    #                 mended, broken, other, right as before, wrong as before
    before = np.array([[0, 1, 0, 2, 0]])
    after = np.array([[1, 0, 2, 2, 0]])
    truth = np.array([[1, 1, 1, 2, 1]])
    masks = paint.changes(before, after, truth)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in masks.items()} == {
        "mended": [0],
        "broken": [1],
        "wrong either way": [2],
    }


def test_the_legend_hides_nothing_and_counts_points():
    figure = Figure(figsize=(4, 3))
    panel = figure.subplots()
    mask = np.zeros((5, 7), bool)
    mask[1, 2:5] = True
    paint.mark(panel, {"mended": mask, "broken": ~mask & False}, paint.CHANGES)
    figure.canvas.draw()
    legend = panel.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["mended 3"]
    assert legend.get_window_extent().y1 <= panel.get_window_extent().y0


def test_the_number_of_labels_may_come_from_a_label_map():
    labels = np.array([[0, 3]], np.uint8)
    np.testing.assert_array_equal(paint.palette(labels.max() + 1), paint.palette(4))
    assert paint.palette(labels.max() - np.uint8(2)).shape == (1, 4)


def test_an_outline_of_one_row_is_where_the_label_ends():
    for mask in (np.array([[0, 1, 1, 0]]) > 0, np.array([[0], [1], [1], [0]]) > 0):
        panel = Figure().subplots()
        paint.border(panel, mask, corner=(10, 20))
        (lines,) = panel.collections
        points = np.concatenate([path.vertices for path in lines.get_paths()])
        along = points[:, 0] - 20 if mask.shape[0] == 1 else points[:, 1] - 10
        assert set(along.round(6)) == {0.5, 2.5}
    paint.border(panel := Figure().subplots(), mask > 2)
    paint.border(panel, mask >= 0)
    assert not panel.collections
