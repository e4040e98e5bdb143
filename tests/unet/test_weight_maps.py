"""Weight maps against loops over pixels, written from the papers' equations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close
from unet import weight_maps

VOID = 255


def cells_map():
    """Three cells of labels 1, 2, 1 on 13 x 17 pixels, numbered 1 to 3."""
    cells = np.zeros((13, 17), int)
    cells[2:6, 1:6] = 1
    cells[3:9, 8:11] = 2
    cells[8:12, 2:7] = 3
    return np.array([0, 1, 2, 1])[cells], cells


def border_by_loops(labels, cells, balance, w0, sigma, spacing):
    """Equation 2 of the U-Net, pixel by pixel, from all distances to all pixels of all cells."""
    weights = np.zeros(labels.shape)
    for x in np.ndindex(labels.shape):
        if labels[x] == VOID:
            continue
        weights[x] = balance[labels[x]]
        if cells[x]:
            continue
        nearest = []
        for cell in set(cells[cells > 0].tolist()):
            distances = [
                math.sqrt(sum((s * (a - b)) ** 2 for s, a, b in zip(spacing, x, y, strict=True)))
                for y in np.ndindex(cells.shape)
                if cells[y] == cell
            ]
            nearest.append(min(distances))
        d1, d2 = sorted(nearest)[:2]
        weights[x] += w0 * math.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return weights


def test_border_weights():
    labels, cells = cells_map()
    balance = (0.5, 2.0, 3.0)
    found = weight_maps.border_weights(labels, balance=balance)
    assert found.dtype == np.float32
    expected = border_by_loops(labels, cells, balance, 10, 5, (1, 1))
    assert_close(found, expected, FLOAT32)


def test_border_weights_in_units_of_the_spacing_without_the_void():
    labels, cells = cells_map()
    labels[:, 14:] = VOID
    found = weight_maps.border_weights(
        labels, balance=(1, 1, 1), w0=4, sigma=3, spacing=(2.0, 0.7), ignore_class=VOID
    )
    expected = border_by_loops(labels, cells, (1, 1, 1), 4, 3, (2.0, 0.7))
    assert_close(found, expected, FLOAT32)


def test_border_weights_of_cells_that_touch():
    labels, cells = cells_map()
    cells[2:6, 3:6] = 4  # cuts the first cell in two
    found = weight_maps.border_weights(labels, cells=cells, balance=(1, 1, 1))
    assert_close(found, border_by_loops(labels, cells, (1, 1, 1), 10, 5, (1, 1)), FLOAT32)


def test_border_weights_of_a_volume():
    labels = np.zeros((4, 5, 7), int)
    labels[1, 1:3, 1:3] = labels[2:, 3, 5] = 1
    cells = labels.copy()
    cells[2:, 3, 5] = 2
    found = weight_maps.border_weights(labels, balance=(1, 1), sigma=2)
    assert_close(found, border_by_loops(labels, cells, (1, 1), 10, 2, (1, 1, 1)), FLOAT32)


@pytest.mark.parametrize("num_cells", [0, 1])
def test_without_two_cells_only_the_balance_remains(num_cells):
    labels = np.zeros((3, 4), int)
    labels[1, 1:3] = num_cells
    balance = weight_maps.class_weights([labels], num_cells + 1)
    assert_close(weight_maps.border_weights(labels), balance[labels], FLOAT32)


def test_edges_lie_where_labels_change():
    labels = np.zeros((24, 31), int)
    labels[4:16, 5:20] = 1
    labels[12:20, 14:26] = 2
    found = weight_maps.edge_weights(labels)
    assert set(np.unique(found)) == {1.0, 5.0}
    for row, column in np.ndindex(labels.shape):
        # Canny joins, within a pixel, what lies next to a change.
        around = labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        if found[row, column] == 5:
            assert (around != labels[row, column]).any(), (row, column)
        weights = found[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        right = labels[row, column] != labels[row, min(column + 1, 30)]
        below = labels[row, column] != labels[min(row + 1, 23), column]
        if right or below:
            assert (weights == 5).any(), (row, column)


def test_edges_know_nothing_of_the_void():
    labels = np.zeros((12, 15), int)
    labels[3:9, 4:8] = 1
    padded = np.full((20, 21), VOID)
    padded[:12, :15] = labels
    found = weight_maps.edge_weights(padded, weight=3.0, ignore_class=VOID)
    assert (found[padded == VOID] == 0).all()
    assert (found[0] <= 1).all() and (found[:, 14] <= 1).all()  # the border is no edge
    assert (found[2:10, 3:9] == 3).sum() >= 2 * (6 + 4) - 4  # the rectangle's outline is one


def test_edges_of_an_image_depend_on_neither_offset_nor_scale():
    image = np.zeros((14, 19, 3))
    image[5:10, 4:13] = (1, 2, 3)
    found = weight_maps.image_edge_weights(image)
    assert (found == 5).sum() > 20
    np.testing.assert_array_equal(weight_maps.image_edge_weights(7 * image - 90), found)
    np.testing.assert_array_equal(weight_maps.image_edge_weights(np.full((5, 6), 8)), 1)


MAPS = [np.array([[0, 0, 1], [0, VOID, 3]]), np.array([[0, 3, 3, 3]])]


def test_inverse_frequency():
    # 9 points with a label, three labels that occur: 9 / 3 points for each.
    expected = [3 / 4, 3 / 1, 0, 3 / 4]
    found = weight_maps.class_weights(MAPS, 4, ignore_class=VOID)
    assert_close(found, expected, FLOAT32)


def test_median_frequency():
    # Label 1 occurs in the first map only, which has 5 points with a label.
    frequency = [4 / 9, 1 / 5, 4 / 9]
    expected = [np.median(frequency) / f for f in frequency]
    found = weight_maps.class_weights(MAPS, 4, rule="median_frequency", ignore_class=VOID)
    assert_close(found, [expected[0], expected[1], 0, expected[2]], FLOAT32)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: weight_maps.edge_weights(np.zeros((2, 3, 4), int)), r"shape \(2, 3, 4\)"),
        (lambda: weight_maps.image_edge_weights(np.zeros(3)), r"shape \(3,\)"),
        (
            lambda: weight_maps.border_weights(np.zeros((2, 3), int), cells=np.zeros((3, 2), int)),
            r"shape of the labels, \(2, 3\). Received: shape \(3, 2\)",
        ),
        (lambda: weight_maps.class_weights([], 2, rule="none"), "rule='none'"),
        (lambda: weight_maps.class_weights(MAPS, 4), r"Expected 0\.\.3.*Received: 0\.\.255"),
        (
            lambda: weight_maps.border_weights(np.array([[0, 2, 0]]), balance=(1, 1)),
            r"Expected 0\.\.1.*Received: 0\.\.2",
        ),
    ],
    ids=["edges", "image", "cells", "rule", "labels", "balance"],
)
def test_errors_name_the_argument(function, message):
    with pytest.raises(ValueError, match=message):
        function()
