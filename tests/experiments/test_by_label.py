"""Differences of Dice by label in the tables of studies, of results whole, condensed and older."""

import json

import numpy as np

from experiments.show import condense, results, tables
from tests.experiments.finished import finished
from tests.experiments.test_results_page import line


def many_labels():
    """The offline CRF gains 4 in each of four labels, and invents the fifth in the first case."""
    content = finished(train_cases=(5,))
    for seed, one in enumerate(content["settings"]["made-up-5"]["seeds"]):
        for name, row in one.items():
            gain = 4.0 if name == "offline" else 0.0
            for index, case in enumerate(row["cases"]):
                case |= {f"dice_{label}": 60.0 + seed + gain for label in (1, 2, 3, 4)}
                case["dice_5"] = 50.0 + seed if index else 0.0 if gain else np.nan
    return content


def test_differences_by_label():
    content = many_labels()
    kept = json.loads(condense.dumps(condense.condensed(content)))
    cells = []
    for one in (content, kept):
        setting = results.Results(one).settings["made-up-5"]
        text = tables.change(setting)
        head = text.splitlines()[0].split(" | ")
        cells.append(
            line(text, "offline CRF vs. U-Net").split(" | ")[head.index("of Dice by label %")]
        )
        # The fifth label: 11 of 12 cases, of 50 to 52, where the network has all of its 11.
        change = (4 * 4 + np.mean([11 / 12 * dice - dice for dice in (50, 51, 52)])) / 5
        assert cells[-1].startswith(f"{change:+.2f} [")
        reversed_ = tables.difference(setting, "plain", "offline", "label_dice")
        assert reversed_.startswith(f"{-change:+.2f} [")
    assert cells[0] == cells[1]

    for seed in kept["settings"]["made-up-5"]["seeds"]:
        for row in seed.values():
            del row["by_label"]  # as it was before
    older = results.Results(kept).settings["made-up-5"]
    assert tables.difference(older, "offline", "plain", "label_dice") == f"{change:+.2f} -"
    whole = setting.by_label("offline", "plain")
    found = older.by_label("offline", "plain")
    np.testing.assert_allclose(found.per_seed, whole.per_seed, atol=1e-3)
    np.testing.assert_allclose(found.over_seeds, whole.over_seeds, atol=1e-2)
    assert np.isnan(found.over_groups).all() and np.isnan(found.over_both).all()


def test_few_labels_have_no_differences_by_label():
    setting = results.Results(condense.condensed(finished())).settings["made-up-5"]
    assert "by label" not in tables.change(setting)
