"""Pages in pooled mean IoU: of made-up counts, whole and condensed."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from experiments.score import pooled
from experiments.show import condense, counted, pages
from experiments.show.results import Results
from tests.experiments.test_results_page import finished

LABELS, GROUPS = 5, 4


def content(strides=(4, 32)) -> dict:
    """A study as a run leaves it: rows differ by what they share with the truth."""
    made, rng = finished(train_cases=strides), np.random.default_rng(0)
    gains = {"plain": 0, "again": 0, "offline": 3, "joint": -20}
    for stride, setting in zip(strides, made["settings"].values(), strict=True):
        setting["config"]["output_stride"] = stride
        for seed in setting["seeds"]:
            noise = rng.integers(40, 60, (len(seed["plain"]["cases"]), LABELS))
            for row, gain in gains.items():
                for case, shared in zip(seed[row]["cases"], noise, strict=True):
                    case["group"] = f"drive{int(case['id'][4:]) % GROUPS}"
                    for label, points in enumerate(shared):
                        case[f"dice_{label}"] = 50.0
                        case[f"intersection_{label}"] = int(points + gain)
                        case[f"union_{label}"] = 100
    return made


@pytest.fixture(scope="module")
def study() -> Results:
    return Results(condense.condensed(content()))


def test_condensed_counts_are_those_of_the_cases(study):
    whole = content()
    row = whole["settings"]["made-up-4"]["seeds"][1]["offline"]
    expected = np.zeros((GROUPS, LABELS, 2))
    for case in row["cases"]:
        for label in range(LABELS):
            of_case = case[f"intersection_{label}"], case[f"union_{label}"]
            expected[int(case["group"][5:]), label] += of_case
    condensed = condense.condensed(whole)["settings"]["made-up-4"]["seeds"][1]["offline"]
    tested = condense.cases(whole["settings"]["made-up-4"])
    for one in (row, condensed):
        np.testing.assert_array_equal(condense.pooled(one, tested), expected)
        assert condense.metrics(one, tested)["pooled_iou"] == pooled.mean_iou(expected.sum(0))
    assert not any("intersection_0" in name for name in condensed["means"])


def test_differences_and_what_they_say(study):
    setting = study.settings["made-up-32"]
    assert counted.pooled_difference(setting, "offline", "plain") == "+3.00 [+3.00, +3.00]"
    table = counted.pooled_change(setting)
    verdicts = {line.split(" | ")[0]: line.split(" | ")[3] for line in table.splitlines()}
    assert verdicts["| U-Net again vs. U-Net"] == "equivalent within 1"
    assert verdicts["| offline CRF vs. U-Net"] == "gain"
    assert verdicts["| CRF-RNN vs. offline CRF"] == "loss"


def test_a_gain_may_be_shown_to_be_small():
    sure = pooled.Difference(0.4, (0.4, 0.4), (0.3, 0.5), (0.3, 0.5), (0.3, 0.5))
    unsure = sure._replace(over_both=(-1.2, 2.0))
    assert counted.verdict(sure, sure) == "gain, within 1"
    assert counted.verdict(unsure, unsure) == "not decided"


def test_gains_are_drawn_against_the_stride(study):
    pairs = [("offline", "plain"), ("joint", "offline")]
    figure = counted.gain_by_stride([*study.settings.values()], pairs)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["4", "32"]
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    for line, mean in zip(lines, (3, -23), strict=True):
        np.testing.assert_allclose(line.get_ydata(orig=False), mean)
        np.testing.assert_allclose(line.get_xdata(orig=False), [4, 32], rtol=0.05)


def test_a_page_shows_them(study):
    page = pages.Page({"made-up": study}, "results")
    shown = page.render(
        '{{ gain_by_stride("made-up", ["made-up-4", "made-up-32"], [["offline", "plain"]]) }}'
    )
    assert list(page.figures) == ["made-up-gain_by_stride-made-up-4-made-up-32-offline-plain.png"]
    assert "gain by stride" in shown
    assert "+3.00 [+3.00" in page.render(
        '{{ pooled_difference("made-up", "made-up-4", "offline", "plain") }}'
    )


def test_results_without_counts_are_named():
    older = copy.deepcopy(finished())
    setting = Results(condense.condensed(older)).settings["made-up-5"]
    with pytest.raises(
        ValueError, match="made-up-5: expected results of 'offline' and 'plain' with"
    ):
        counted.pooled_difference(setting, "offline", "plain")
