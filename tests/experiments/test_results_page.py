"""The page of results: from made-up studies whose numbers are worked out in comments, and the
committed page against the committed results."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import publish as command
from experiments.show import condense, figures, pages, results, tables, verdicts
from experiments.show.curves import log_scale
from experiments.show.pages import Page
from tests.experiments.finished import CASES, ROWS, finished

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tiny():
    # As JSON has it: NaN as null, tuples as lists.
    return results.Results(json.loads(condense.dumps(condense.condensed(finished()))))


def line(table, start):
    return next(line for line in table.splitlines() if line.startswith(f"| {start} |"))


def test_scores_survive_condensing(tiny):
    setting = tiny.settings["made-up-5"]
    dice = setting.scores("plain", "dice")
    assert dice.shape == (3, CASES)
    np.testing.assert_array_equal(dice[1, 1:], np.arange(1, CASES) + 81)
    assert np.isnan(dice[:, 0]).all()
    # Means over the cases 1 to 11, which are 86 + seed.
    np.testing.assert_array_equal(setting.scores("plain", "dice_1"), [[86], [87], [88]])
    np.testing.assert_array_equal(setting.scores("offline", "unaries_dice"), [[86], [87], [88]])
    assert np.isnan(setting.scores("plain", "unaries_dice")).all()
    assert setting.choices("offline")[2]["search"]["off"] == 80
    assert [point["step"] for point in setting.crf("joint")[0]] == [100, 200]


def test_json_is_compact_and_the_same_numbers():
    content = condense.condensed(finished())
    text = condense.dumps(content)
    assert json.loads(text) == json.loads(json.dumps(content))
    assert max(text.count(key) for key in ("case11", "patient11")) == 2  # once per setting


def test_other_cases_are_refused():
    content = finished()
    content["settings"]["made-up-20"]["seeds"][1]["joint"]["cases"].reverse()
    with pytest.raises(ValueError, match="made-up-20: row 'joint' of seed 1 was tested on other"):
        condense.condensed(content)


def test_scores(tiny):
    setting = tiny.settings["made-up-5"]
    # Seeds 86, 87, 88; nothing changes.
    table = tables.scores(setting)
    assert line(table, "U-Net").startswith(
        "| U-Net | 87.00 ± 1.00 | 77.00 ± 1.00 | 5.00 ± 0.00 | -"
    )
    assert "| 0.25 ± 0.00 | 87.00 ± 1.00 |" in line(table, "offline CRF")
    assert "ECE" not in table  # which no row has
    assert tables.scores(setting, ["joint"], ["dice"]).count("\n") == 2
    assert "Dice % of label 1" in tables.scores(setting, columns=[])


def test_verdicts(tiny):
    words = [one.words for one in verdicts.differences(tiny.settings["made-up-5"])]
    assert words == ["equivalent within 0.5", "gain", "loss"]


def test_a_certain_gain_can_be_too_small_to_matter():
    content = condense.condensed(finished())
    for seed in content["settings"]["made-up-5"]["seeds"]:
        seed["again"]["dice"] = [v and v + 0.2 for v in seed["plain"]["dice"]]
        # One seed far off: the interval over both covers 0 on both sides, wide.
        far = 9 if seed is content["settings"]["made-up-5"]["seeds"][0] else -3
        seed["offline"]["dice"] = [v and v + far for v in seed["plain"]["dice"]]
    found = verdicts.differences(results.Results(content).settings["made-up-5"])
    assert found[0].words == "gain, within 0.5"
    assert found[1].words == "not decided"


def test_differences(tiny):
    setting = tiny.settings["made-up-5"]
    cells = line(tables.change(setting), "offline CRF vs. U-Net").split(" | ")
    change = 2 + np.cos(np.arange(1, CASES)[None] + np.arange(3)[:, None]).round(2) / 2
    assert cells[1] == f"{change.mean():+.2f}"
    assert cells[8] == " ".join(f"{seed:+.2f}" for seed in change.mean(axis=1))
    assert cells[3] == "gain"
    # 11 patients, all better: p = 2 / 2^11, times three comparisons; and boundary accuracy changes
    # as Dice does.
    assert cells[6] == "0.003" and cells[7] == "+1.00"
    assert cells[9] == f"{cells[1]} {cells[2]} |"


def test_choices_that_rows_share_are_shown_once(tiny):
    table = tables.choices(tiny.settings["made-up-5"])
    assert "| offline CRF | 2 | 80.00 | 82.00 | theta_alpha 8, theta_beta 0.1 / 0.2," in table
    assert "CRF-RNN" not in table


def test_published_numbers_need_their_row(tiny):
    setting = tiny.settings["made-up-5"]
    table = tables.published(setting, {"joint": (1.0, 2.0, 3.0)})
    assert line(table, "CRF-RNN") == (
        "| CRF-RNN | 1.00 | 50.00 ± 0.00 | 2.00 | 60.00 ± 0.00 | 3.00 | 70.00 ± 0.00 |"
    )
    with pytest.raises(ValueError, match=r"does not have: \['ours'\]"):
        tables.published(setting, {"ours": (1.0, 2.0, 3.0)})


def test_settings_and_provenance(tiny, monkeypatch):
    assert "| made-up-20 | 20 | 12 | 12 | 0.50 |" in tables.settings(tiny)
    assert tables.configuration(tiny) == "- `dataset`: made-up\n- `models`: none"
    text = tables.provenance(tiny)
    assert "--config experiments/studies/tiny.toml" in text
    assert "1.0 processor hours (half of that by the clock" in text
    assert "on a machine, 2 cores; Keras on jax" in text
    later = tiny.settings["made-up-20"]  # the other ran before there were these keys
    monkeypatch.setattr(later, "config", {**later.config, "crop": 64, "crf": []})
    assert tables.configuration(tiny).endswith("- `crf`: none")
    assert "| made-up-5 | 5 | 0 |" in tables.settings(tiny)


def test_names_that_are_not_there_are_refused(tiny):
    page = Page({"tiny": tiny}, "results")
    for call, message in {
        'scores("small", "made-up-5")': "No study 'small'",
        'scores("tiny", "made-up-6")': "No setting 'made-up-6' in tiny",
        'score("tiny", "made-up-5", "join")': "no row 'join'",
        'verdict("tiny", "made-up-5", "joint", "plain")': "does not compare 'joint' with 'plain'",
    }.items():
        with pytest.raises(ValueError, match=message):
            page.render("{{ " + call + " }}")


def test_numbers_in_marked_text(tiny):
    page = Page({"tiny": tiny}, "docs/results")
    marked = "<!-- table: {} -->{}<!-- /table -->"
    sentence = marked.format('score("tiny", "made-up-5", "plain")', "old")
    table = marked.format('scores("tiny", "made-up-5", ["plain"], ["dice"])', "\nold\n")
    text = page.fill(f"It has {sentence} now.\n\n{table}\n")
    assert "-->87.00 ± 1.00<!-- /table --> now." in text
    assert "-->\n|  | Dice % |\n| --- | ---: |\n| U-Net | 87.00 ± 1.00 |\n<!-- /table -->" in text
    assert page.fill(text) == text


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "docs").mkdir()
    template = "\n".join(
        [
            '{% if "tiny" in studies %}{{ rows("tiny") }}{% endif %}',
            '{% if "huge" in studies %}{{ rows("huge") }}{% else %}Not run yet.{% endif %}',
            '{{ dots("tiny", ["made-up-5", "made-up-20"]) }}',
            '{{ forest("tiny", ["made-up-5"]) }}',
            '{{ training_size("tiny", ["made-up-5", "made-up-20"], ["plain", "offline"]) }}',
            '{{ gains("tiny", "made-up-5", "offline", "plain") }}',
            '{{ crf_parameters("tiny", "made-up-5", "joint") }}',
        ]
    )
    (tmp_path / "docs" / "results.template.md").write_text(template)
    (tmp_path / "README.md").write_text(
        '<!-- table: verdict("tiny", "made-up-5", "offline", "plain") -->?<!-- /table -->'
    )
    path = tmp_path / "study.json"
    path.write_text(json.dumps(finished()))
    return tmp_path


def test_the_command(repository):
    arguments = [str(repository / "study.json")]
    assert command.main(arguments, repository) == 0
    text = (repository / "docs" / "results.md").read_text()
    assert "- CRF-RNN: what it is." in text and "Not run yet." in text
    assert "-->gain<!--" in (repository / "README.md").read_text()
    for name in ("dots-made-up-5-made-up-20", "forest-made-up-5", "crf_parameters-made-up-5-joint"):
        assert f"(results/tiny-{name}.png)" in text
        assert (repository / "docs" / "results" / f"tiny-{name}.png").stat().st_size > 5000
    assert command.main([], repository) == 0
    assert (repository / "docs" / "results.md").read_text() == text


def test_a_run_is_taken_in_as_it_is(tmp_path):
    content = finished()
    rows = {"rows": ROWS, "differences": content["study"]["differences"]}
    rows |= {"pictured": ["plain", "joint"], "change": ["joint", "plain"]}
    whole = {**content["settings"]["made-up-5"], "comparison": rows}
    path = tmp_path / "runs" / "day" / "results.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(whole))
    condense.take_in(path, tmp_path / "results")
    assert (tmp_path / "results" / "day.json").exists()
    day = results.load(tmp_path / "results")["day"]
    assert day.reference == "plain" and [*day.settings] == ["day"]
    assert "| U-Net | 87.00 ± 1.00 |" in tables.scores(day.settings["day"], ["plain"])[:200]
    assert day.settings["day"].pairs == [
        ("again", "plain"),
        ("offline", "plain"),
        ("joint", "offline"),
    ]


def test_committed_settings_that_were_run_elsewhere_stay(tmp_path):
    content, path = finished(), tmp_path / "study.json"
    kept = tmp_path / f"{content['study']['name']}.json"
    path.write_text(json.dumps(content))
    condense.take_in(path, tmp_path)
    before = json.loads(kept.read_text())["settings"]
    del content["settings"]["made-up-5"]
    content["settings"]["made-up-20"]["seconds"] = 1
    path.write_text(json.dumps(content))
    condense.take_in(path, tmp_path)
    found = json.loads(kept.read_text())["settings"]
    assert [*found] == ["made-up-5", "made-up-20"]
    assert found["made-up-5"] == before["made-up-5"] and found["made-up-20"]["seconds"] == 1

    content["study"]["rows"]["again"]["of"] = ["plain"]
    path.write_text(json.dumps(content))
    left = kept.read_bytes()
    with pytest.raises(ValueError, match=r"take the setting made-up-5 away.*rows again of it are"):
        condense.take_in(path, tmp_path)
    assert kept.read_bytes() == left


def test_cases_without_a_dice_are_not_counted_as_worse(tiny):
    # The first of the twelve cases has none; the offline CRF gains in the eleven others.
    figure = figures.gains(tiny.settings["made-up-5"], "offline", "plain")
    assert "100% of the cases better" in figure.axes[0].get_title()


def test_differences_are_of_what_is_kept_per_case(tiny):
    with pytest.raises(ValueError, match=r"dice or boundary_accuracy.*'hd95'"):
        tiny.settings["made-up-5"].comparison("joint", "plain", "hd95")


def test_parameters_are_drawn_from_the_search_on(tiny):
    figure = figures.crf_parameters(tiny.settings["made-up-5"], "joint")
    entries, weights, thetas = figure.axes[1:]
    spatial, bilateral = (weights.lines[index] for index in (0, len(weights.lines) // 2))
    assert [*spatial.get_xdata()] == [0, 100, 200] and [*spatial.get_ydata()] == [2, 1, 1]
    assert [*bilateral.get_ydata()] == [4, 5, 5]
    assert [*thetas.lines[0].get_ydata()] == [8, 7, 7]
    assert thetas.lines[4].get_ydata()[1] == pytest.approx(0.15)  # the mean of two channels
    np.testing.assert_array_equal(entries.lines[0].get_ydata(), 0)  # Potts, not moved


def test_a_row_without_a_crf_has_no_parameters_to_draw(tiny):
    with pytest.raises(ValueError, match="'plain' of setting made-up-5 has no trained CRF"):
        figures.crf_parameters(tiny.settings["made-up-5"], "plain")


def test_a_difference_far_from_all_others_is_a_number_at_the_side():
    content = copy.deepcopy(finished(train_cases=(5,)))
    for seed in content["settings"]["made-up-5"]["seeds"]:
        for case in seed["joint"]["cases"]:
            case["dice"] -= 60.0
    one = results.Results(condense.condensed(content))
    (axes,) = figures.forest([*one.settings.values()]).axes
    assert [text.get_text() for text in axes.texts if "\u2190" in text.get_text()]
    assert min(line.get_xdata().min() for line in axes.lines if len(line.get_xdata()) == 3) > -10


def test_one_seed_and_one_group_have_no_intervals():
    content = copy.deepcopy(finished(train_cases=(5,), seeds=1))
    for row in content["settings"]["made-up-5"]["seeds"][0].values():
        for case in row["cases"]:
            case["group"] = "a"
    one = results.Results(condense.condensed(content))
    table = tables.change(one.settings["made-up-5"])
    assert "| - | not decided | - | - | - |" in line(table, "offline CRF vs. U-Net")
    assert figures.forest([*one.settings.values()]).axes


def test_the_committed_pages_are_what_the_results_give():
    assert results.load(ROOT / "experiments" / "results")
    texts, drawings = pages.generated(ROOT)
    for path, text in texts.items():
        assert path.read_text("utf-8") == text, f"{path.name} is not up to date: make table"
    for name in drawings:
        assert (ROOT / "docs" / "results" / name).exists(), f"{name} is missing: make table"


@pytest.mark.parametrize("largest", [0.9, 40])  # within a decade, and over several
def test_numbers_on_logarithmic_axes_are_no_formulas(largest):
    axes = Figure().subplots()
    axes.plot([1, 2], [0.2, largest])
    log_scale(axes)
    axes.figure.draw_without_rendering()
    texts = [label.get_text() for label in axes.yaxis.get_ticklabels(which="both")]
    assert any(texts) and not any("$" in text for text in texts)
