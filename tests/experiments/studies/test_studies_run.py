"""Studies run setting by setting, go on, and take rows that are added to them."""

import json
import shutil

import pytest

from experiments import compare, runs

TINY = """
title = "Tiny"
text = "Does it run?"
differences = [["offline", "plain"]]
pictured = ["plain", "offline"]

[common]
seeds = 1
width = 2
depth = 1
train_cases = 2
validation_cases = 2
test_cases = 3
pretrain_steps = 2
further_steps = 2
search_trials = 2
pictures = 1

[settings.one]

[settings.other]
labels = "points"

[rows.plain]
meaning = "alone"
kind = "network"

[rows.offline]
meaning = "refined"
kind = "offline"
of = "plain"
"""


def test_a_study_runs_setting_by_setting(tmp_path, capsys):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    arguments = ["--config", str(path), "--runs", str(tmp_path / "runs"), "--jobs", "1"]
    assert compare.main([*arguments, "--settings", "one"]) == 0
    assert "as far as it has run" in capsys.readouterr().out
    half = json.loads((tmp_path / "runs/tiny/study.json").read_text())
    assert [*half["settings"]] == ["one"]
    finished = (tmp_path / "runs/tiny/one/results.json").read_bytes()
    assert compare.main(arguments) == 0
    assert (tmp_path / "runs/tiny/one/results.json").read_bytes() == finished
    results = json.loads((tmp_path / "runs/tiny/study.json").read_text())
    assert results["study"]["name"] == "tiny" and [*results["settings"]] == ["one", "other"]
    other = results["settings"]["other"]
    assert other["rows"] == ["plain", "offline"] and other["config"]["labels"] == "points"
    assert len(other["seeds"][0]["offline"]["cases"]) == 3
    assert len(other["seeds"][0]["offline"]["unaries_dice"]) == 3


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A study, run; its folder of runs."""
    parent = tmp_path_factory.mktemp("grown")
    path = parent / "tiny.toml"
    path.write_text(TINY)
    arguments = ["--config", str(path), "--runs", str(parent / "runs"), "--jobs", "1"]
    assert compare.main([*arguments, "--settings", "one"]) == 0
    return parent / "runs"


def changed(tmp_path, runs_folder, text):
    """Arguments for the study with another text."""
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    return ["--config", str(path), "--runs", str(runs_folder), "--jobs", "1", "--settings", "one"]


def test_rows_may_be_added_to_a_study_and_words_changed(grown, tmp_path, capsys):
    shutil.copytree(grown / "tiny", tmp_path / "runs/tiny")
    folder = tmp_path / "runs/tiny/one"
    times = {p.name: p.stat().st_mtime_ns for p in (folder / "seed-0").glob("*.json")}
    more = TINY.replace("alone", "lonely").replace(
        "[rows.offline]",
        '[rows.bias]\nmeaning = "shifted"\nkind = "bias"\nof = "plain"\n\n[rows.offline]',
    )
    arguments = changed(tmp_path, tmp_path / "runs", more)
    assert compare.main(arguments) == 0
    output = capsys.readouterr().out
    assert "lonely" in output and "finished before" not in output
    results = runs.read_json(folder / "results.json")
    assert [*results["seeds"][0]] == ["plain", "bias", "offline"]
    # What was there has been kept, and the new row is of the same network.
    for name in ("plain.json", "offline.json"):
        assert (folder / "seed-0" / name).stat().st_mtime_ns == times[name]
    assert compare.main([*arguments, "--name", "anew"]) == 0
    fresh = runs.read_json(tmp_path / "runs/anew/one/results.json")
    assert fresh["seeds"] == results["seeds"]


@pytest.mark.parametrize("seeds", [1, 2])  # here, and in a process of its own
def test_rows_are_added_to_the_same_networks_only(tmp_path, capsys, seeds):
    one = TINY.replace("[settings.other]", f"seeds = {seeds}\n\n[settings.other]")
    arguments = changed(tmp_path, tmp_path / "runs", one)
    assert compare.main(arguments) == 0
    path = tmp_path / "runs/tiny/one/seed-0/plain.json"
    made = runs.read_json(path)
    made["history"][-1]["loss"] += 1e-6  # as other versions would
    runs.write_json(path, made)
    finished = (tmp_path / "runs/tiny/one/results.json").read_bytes()
    more = f'{one}\n[rows.bias]\nmeaning = "shifted"\nkind = "bias"\nof = "plain"\n'
    assert compare.main(changed(tmp_path, tmp_path / "runs", more)) == 1
    assert "network of row 'plain', trained again for an added row" in capsys.readouterr().err
    assert (tmp_path / "runs/tiny/one/results.json").read_bytes() == finished


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'kind = "offline"',
            'kind = "bias"',
            "'kind' of row 'offline' is 'offline' there, 'bias' here",
        ),
        (
            'meaning = "refined"',
            'meaning = "refined"\nkernels = "spatial"',
            "'settings' of row 'offline'",
        ),
        ("width = 2", "width = 3", "width is 2 there, 3 here"),
        ("[rows.offline]", "[rows.crf]", "row 'offline' is there, not here"),
    ],
)
def test_rows_made_otherwise_do_not_overwrite_a_study(grown, tmp_path, capsys, old, new, message):
    text = TINY.replace(old, new)
    if "rows.crf" in new:
        text = text.replace('"offline"', '"crf"').replace('kind = "crf"', 'kind = "offline"')
    with pytest.raises(SystemExit):
        compare.main(changed(tmp_path, grown, text))
    assert message in capsys.readouterr().err


def test_results_of_before_rows_were_kept_are_of_the_rows_of_then(grown, tmp_path, capsys):
    folder = tmp_path / "tiny/one"
    shutil.copytree(grown / "tiny/one", folder)
    for name in ("run.json", "results.json"):
        content = runs.read_json(folder / name)
        del content["comparison"]
        runs.write_json(folder / name, content)
    with pytest.raises(SystemExit):
        compare.main(changed(tmp_path, tmp_path, TINY))
    assert "row 'joint' is there, not here" in capsys.readouterr().err
