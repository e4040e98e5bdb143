"""The largest piece of foreground, against a flood from point to point."""

import numpy as np

from experiments.rows.largest import largest_piece


def flooded(points):
    """The connected pieces of a set of (z, y, x)."""
    pieces, points = [], set(points)
    while points:
        piece, front = set(), [points.pop()]
        while front:
            one = front.pop()
            piece.add(one)
            near = {p for p in points if max(abs(a - b) for a, b in zip(one, p, strict=True)) == 1}
            points -= near
            front += near
        pieces.append(piece)
    return pieces


def test_of_the_foreground_the_largest_piece_is_left():
    random = np.random.default_rng(0)
    # Rare enough foreground to fall into pieces, over three slices.
    score = random.normal(size=(3, 9, 14, 4)) + [3.0, 0, 0, 0]
    labels = score.argmax(-1)
    found = largest_piece(score)
    left = set(zip(*np.nonzero(found.argmax(-1)), strict=True))
    pieces = flooded(set(zip(*np.nonzero(labels), strict=True)))
    assert len(pieces) > 3
    assert len(left) == max(map(len, pieces)) > 1
    assert left in pieces
    # Labels and all certainties there stay; elsewhere the background is as certain as they were.
    kept = labels * (found.argmax(-1) > 0)
    np.testing.assert_array_equal(found.argmax(-1), kept)
    np.testing.assert_array_equal(np.sort(found, -1), np.sort(score, -1))
    np.testing.assert_array_equal(found[kept == labels], score[kept == labels])
    # Nothing there, or one piece: nothing to do.
    for one in (score * [1, 0, 0, 0] + [9.0, 0, 0, 0], found):
        np.testing.assert_array_equal(largest_piece(one), one)
