"""A comparison on a set with points without label and without background: pictures, refusals."""

import json

import numpy as np
import pytest

import data
from crfrnn.diagnosis import paint
from experiments import compare
from experiments.config import Config
from experiments.rows import Comparison, Row
from experiments.rows import search as row_search
from experiments.show import cases, pictures
from experiments.show.report import browser
from experiments.train import inputs

TRUTH = np.array([[0, 0, 1, 1], [9, 9, 2, 2], [9, 0, 2, 2]], "uint8")
PLAIN = np.array([[0, 1, 1, 1], [0, 1, 2, 2], [2, 2, 2, 0]], "uint8")
ROWS = {"plain": Row("plain", "", "network"), "largest": Row("", "", "largest", ("plain",))}
COMPARED = Comparison({"plain": ROWS["plain"]}, [], ("plain",), None)


def shown(background):
    case = data.Case(np.zeros((3, 4, 1)), TRUTH, (1, 1), "a", "a", ignore=9, background=background)
    ranked = cases.Ranked(case, 0.0, {"plain": PLAIN}, {"plain": {"dice": 1.0}})
    return cases.show(ranked, Config(), COMPARED)


def places(masks):
    return {name: {(int(y), int(x)) for y, x in np.argwhere(m)} for name, m in masks.items()}


def test_errors_are_of_labelled_points_and_of_one_kind_without_background():
    # Wrong at (0, 1): 1 for 0; at (2, 1): 2 for 0; at (2, 3): 0 for 2.
    kinds = places(pictures._wrong(shown(0), PLAIN))
    assert kinds == {"missed": {(2, 3)}, "invented": {(0, 1), (2, 1)}, "wrong label": set()}
    alone = places(pictures._wrong(shown(None), PLAIN))
    assert alone == {"missed": set(), "invented": set(), "wrong label": {(0, 1), (2, 1), (2, 3)}}


def test_points_without_label_are_black_and_label_0_has_a_colour_where_it_is_one():
    plain, known, every = (
        paint.palette(3),
        paint.palette(3, ignore=9),
        paint.palette(3, background=None, ignore=9),
    )
    np.testing.assert_array_equal(known[:3], plain)
    np.testing.assert_array_equal(every[:2], plain[1:])
    for colours in (known, every):
        assert colours.shape == (10, 4) and (colours[9] == (0, 0, 0, 1)).all()
    assert len({tuple(colour) for colour in every[:3]}) == 3 and (every[:3, 3] == 1).all()


@pytest.mark.parametrize("background", [0, None])
def test_they_have_no_outline_of_their_own(background):
    case = shown(background)
    assert np.array_equal(case.outlined, np.where(TRUTH == 9, 0, TRUTH))
    rows = {"plain": ROWS["plain"]}
    palette = (255 * paint.palette(3, background, 9)).astype("uint8")
    case = case._replace(scores={"plain": dict.fromkeys(browser.OF_A_RUN, 1.0)})
    found = browser._case(case, rows, palette)
    assert found["outline"] == browser.outline(case.outlined)
    pictures._figure(case, rows, changes=False)
    pictures._errors({"best": case}, rows)


def test_a_search_is_told_what_counts(monkeypatch):
    asked = []

    def search(images, probs, labels, **options):
        asked.append({**options, "labels": labels})
        raise StopIteration

    monkeypatch.setattr(row_search.crfrnn, "search", search)
    for ignore, background in ((9, None), (None, 0)):
        label = np.where(TRUTH == 9, 9 if ignore else 0, TRUTH)
        case = data.Case(np.zeros((3, 4, 1), "f"), label, (1, 1), "a", "a", ignore, background)
        slices = inputs._pad([case], [case], (3, 4), Config(depth=1))
        with pytest.raises(StopIteration):
            row_search.search(Config(), slices, [], [np.zeros((1, 3, 4, 3))], seed=0)
    assert [(one["metric"], one.get("unknown")) for one in asked] == [
        ("mdice", inputs.VOID),
        ("dice", None),
    ]
    np.testing.assert_array_equal(asked[0]["labels"][0][0] == inputs.VOID, TRUTH == 9)


def test_what_needs_a_background_is_refused_before_anything_is_trained(tmp_path, capsys):
    case = data.Case(np.zeros((4, 6, 1)), np.zeros((4, 6)), (1, 1), "a", "a", background=None)
    run = compare.Run(tmp_path, Config(dataset="streets"), Comparison(ROWS, [], (), None))
    with pytest.raises(ValueError, match=r"'largest', which needs a background.*without = "):
        compare._check_background(run, [case])
    compare._check_background(run, [case.but(background=0)])
    assert json.dumps(run.identity["comparison"])
