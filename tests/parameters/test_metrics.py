"""Metrics of all cases together, points that do not count, and labels that are not there."""

import itertools
import warnings

import numpy as np
import pytest

from crfrnn import refine
from crfrnn.parameters import pooled
from crfrnn.parameters.cases import Cases
from crfrnn.parameters.metrics import metric
from crfrnn.parameters.scores import label_map_score
from crfrnn.parameters.search import search

RNG = np.random.default_rng(0)
OFF = dict(bilateral_weight=0.0, spatial_weight=0.0)


def by_hand(pairs, labels, name):
    """Mean over the labels in the truth of their overlap, point by point."""
    overlaps = []
    for label in range(labels):
        both = true = found = 0
        for truth, prediction in pairs:
            for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
                both += t == label and p == label
                true += t == label
                found += p == label
        if true:
            whole = (true + found) / 2 if name == "mdice" else true + found - both
            overlaps.append(100 * both / whole)
    return np.mean(overlaps)


@pytest.mark.parametrize("name", pooled.METRICS)
def test_points_of_all_cases_are_counted_together(name):
    pairs = [RNG.integers(0, 4, (2, *shape)) for shape in ((5, 6), (3, 9), (4, 4))]
    pairs = [(np.minimum(truth, 2), prediction) for truth, prediction in pairs]  # 3 is invented
    some = metric(name)
    counts = np.array([some.case(t, 5, spacing=None, width=2.0, known=None)(p) for t, p in pairs])
    assert some.total(counts) == pytest.approx(by_hand(pairs, 5, name))
    many = np.stack([counts, counts[::-1], 0 * counts])
    both = by_hand(pairs, 5, name)
    np.testing.assert_allclose(some.total(many), [both, both, np.nan])


@pytest.mark.parametrize("name", pooled.METRICS)
def test_what_is_gained_by_exchanging_groups_in_all_ways(name):
    truths = RNG.integers(0, 3, (6, 40))
    before, after = (
        np.where(RNG.random(truths.shape) < share, RNG.integers(0, 3, truths.shape), truths)
        for share in (0.5, 0.4)
    )
    groups = np.array(list("aabbcd"))
    counts = [
        np.array([pooled.counter(t, 3)(p) for t, p in zip(truths, maps, strict=True)])
        for maps in (before, after)
    ]
    found = pooled.gain(*counts, groups, name)

    def gained(flips):
        flipped = np.isin(groups, [g for g, flip in zip("abcd", flips, strict=True) if flip])
        old, new = (np.where(flipped[:, None], x, y) for x, y in ((after, before), (before, after)))
        pairs = [list(zip(truths, maps, strict=True)) for maps in (old, new)]
        return by_hand(pairs[1], 3, name) - by_hand(pairs[0], 3, name)

    every = [abs(gained(flips)) for flips in itertools.product((0, 1), repeat=4)]
    assert found.mean == pytest.approx(gained((0, 0, 0, 0)))
    assert found.p_value == np.mean(np.array(every) >= every[0] - 1e-9)
    assert found.interval[0] < found.mean < found.interval[1] and found.groups == 4
    assert np.isnan(pooled.gain(*counts, "aaaaaa", name).p_value)
    many = pooled.gain(*(np.repeat(c, 3, 0) for c in counts), range(18), name)
    assert many.mean == pytest.approx(found.mean) and 0 < many.p_value < found.p_value


@pytest.mark.parametrize("name", ["dice", "iou", "boundary", "mdice", "miou"])
def test_points_that_are_not_known_do_not_count(name):
    truth = np.zeros((12, 16), int)
    truth[3:9, 4:11] = 1
    truth[5:7, 6:8] = 2
    prediction = np.where(RNG.random(truth.shape) < 0.2, RNG.integers(0, 3, truth.shape), truth)
    known = np.ones(truth.shape, bool)
    known[:, 11:] = False

    def measured(truth, prediction, known=None):
        some = metric(name)
        case = some.case(truth, 3, spacing=None, width=2.0, known=known)
        return some.total(np.array([case(prediction)]))

    spoilt = np.where(known, truth, 255), np.where(known, prediction, 2)
    expected = measured(truth[:, :11], prediction[:, :11])
    assert measured(*spoilt, known) == pytest.approx(expected)
    assert measured(truth, spoilt[1]) != pytest.approx(expected)


def test_where_known_points_end_is_no_boundary():
    truth = np.zeros((8, 12), int)
    truth[:, 4:] = 1
    known = np.indices(truth.shape)[1] < 8
    wrong_at_the_end = np.where(np.indices(truth.shape)[1] == 7, 0, truth)
    score = label_map_score(np.where(known, truth, 255), 2, "boundary", known=known)
    assert score(wrong_at_the_end) == 100


def many_labels(count=2, labels=21, shape=(26, 30)):
    """Pictures with two labels each, and maps with stray points of all labels.

    The picture does not show one of the two, a thin line: a strong CRF wipes it out.
    """
    rng = np.random.default_rng(0)
    images, probs, truths = [], [], []
    for number in range(count):
        truth = np.zeros(shape, int)
        truth[4:16, 5:22] = 1 + number
        image = 80.0 * np.sign(truth) + rng.normal(0, 5, shape)
        truth[20:22, 3:27] = 10 + number
        logits = 4.0 * np.eye(labels)[truth]
        for label in range(labels):
            row, column = rng.integers(0, np.array(shape) - 1)
            logits[row : row + 2, column : column + 2, label] += 5.0
        q = np.exp(logits)
        images.append(image)
        probs.append(q / q.sum(-1, keepdims=True))
        truths.append(truth)
    return images, probs, truths


GENTLE, STRONG = (
    dict(theta_alpha=4.0, theta_beta=20.0, theta_gamma=1.0, bilateral_weight=w, spatial_weight=w)
    for w in (1.5, 9.0)
)


def test_stray_points_of_absent_labels_do_not_decide():
    """The trap: "dice" of 21 labels is low until the last stray point is gone, at any price."""
    images, probs, truths = many_labels()

    def mean_iou(crf):
        maps = [refine(i, p, **crf).argmax(-1) for i, p in zip(images, probs, strict=True)]
        return by_hand(list(zip(truths, maps, strict=True)), 21, "miou")

    assert mean_iou(GENTLE) > mean_iou({**GENTLE, **OFF}) > mean_iou(STRONG)
    for name, best in (("dice", STRONG), ("mdice", GENTLE), ("miou", GENTLE)):
        cases = Cases(images, probs, truths, metric=name, normalization="symmetric")
        scores = [float(cases.metric.total(cases.scores(crf))) for crf in (GENTLE, STRONG)]
        cases.close()
        assert (scores[0] > scores[1]) == (best is GENTLE), (name, scores)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = search(images, probs, truths, trials=2, progress=False)
    assert found.metric == "mdice" and "mdice" in str(found) and found.baseline > 75
    with pytest.warns(UserWarning, match='do not occur in its truth.*metric="mdice"'):
        trapped = search(images, probs, truths, trials=2, metric="dice", progress=False)
    assert trapped.baseline < 20
