"""The files of the studies: what they may say, and what becomes of it."""

import json
import shutil
from pathlib import Path

import pytest

from experiments import compare, runs
from experiments.studies import plan

FILES = sorted(Path("experiments/studies").glob("*.toml"))

SMALL = """
title = "Small"
text = "Is it read?"
differences = [["joint", "plain"], ["thetas", "joint"]]
pictured = ["plain", "joint"]

[common]
seeds = 2
width = 3

[settings.a]
dataset = "phantom"
train_cases = 4

[settings.b]
width = 5
without = ["thetas"]

[rows.plain]
meaning = "alone"
kind = "network"

[rows.joint]
title = "with a CRF"
meaning = "together"
kind = "joint"
of = "plain"

[rows.thetas]
meaning = "bandwidths, too"
kind = "joint"
of = "plain"
trainable_thetas = true
"""


def read(tmp_path, text, **changes):
    path = tmp_path / "small.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return plan.read(path, changes)


def test_settings_and_rows(tmp_path):
    found = read(tmp_path, SMALL)
    assert (found.name, found.title) == ("small", "Small")
    assert [(s.config.width, s.config.train_cases) for s in found.tasks.values()] == [
        (3, 4),
        (5, None),
    ]
    assert found.comparison.rows["thetas"].settings == {"trainable_thetas": True}
    assert found.comparison.rows["joint"].of == ("plain",)
    left = found.tasks["b"].comparison
    assert [*left.rows] == ["plain", "joint"] and left.differences == [("joint", "plain")]


def test_options_change_every_setting(tmp_path):
    found = read(tmp_path, SMALL, width=7)
    assert {s.config.width for s in found.tasks.values()} == {7}


def test_a_study_on_the_base_of_another(tmp_path):
    (tmp_path / "whole.toml").write_text(SMALL)
    text = 'base = "whole.toml"\ntitle = "Large"\n[common]\nseeds = 9\n[settings.b]\nwidth = 6\n'
    found = read(tmp_path, f"{text}[rows.joint]\ncrf_window = 5\n")
    assert (found.name, found.title, found.text) == ("small", "Large", "Is it read?")
    seeds_and_widths = [(s.config.seeds, s.config.width) for s in found.tasks.values()]
    assert seeds_and_widths == [(9, 3), (9, 6)]
    assert found.tasks["a"].config.train_cases == 4
    assert found.comparison.rows["joint"].settings == {"crf_window": 5}
    assert found.comparison.rows["joint"].meaning == "together"
    (tmp_path / "whole.toml").write_text(f'base = "third.toml"\n{SMALL}')
    with pytest.raises(ValueError, match=r"small.toml: .*whole.toml has a base itself"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("width = 3", "widht = 3", "'widht'.*'width'"),
        ("trainable_thetas", "trainable_theta", "'trainable_theta'.*'trainable_thetas'"),
        ('kind = "network"', 'kind = "net"', "Unknown kind 'net'"),
        ('without = ["thetas"]', 'without = ["theta"]', "No such rows.*theta"),
        ('title = "Small"', 'name = "Small"', "'title' is missing"),
        ('text = "', 'txet = 1\ntext = "', "Unknown key 'txet'"),
        ('of = "plain"', 'of = "plane"', "stand before it"),
        ("seeds = 2", "seeds = ", "no TOML"),
        ('meaning = "alone"', "", "meaning"),
        ("[settings.b]", '[settings."../../b"]', "begin with no dot. Received: '../../b'"),
        ("[settings.b]", '[settings."b/c"]', "Received: 'b/c'"),
        ("[rows.plain]", '[rows."$plain$"]', r"Received: '\$plain\$'"),
        ("seeds = 2", "seeds = 2.5", "seeds must be a whole number. Received: 2.5"),
        ("seeds = 2", "scale = nan", "scale must be a finite number. Received: nan"),
        ('kind = "network"', 'kind = "network"\nscale = 0.5', "cannot have 'scale' of its own"),
        ('title = "Small"', "title = 3", "title must be a text. Received: 3"),
        ('meaning = "alone"', "meaning = []", "meaning of row 'plain' must be a text"),
        ("[settings.b]", "[settings]\nc = 1\n[settings.b]", "settings.c must be a table"),
        ('title = "Small"', 'title = "Small"\nbase = 1', "base must be a text. Received: 1"),
        ('title = "Small"', f"title = {1000 * '['}", "no TOML file: it is nested too deeply"),
        ('title = "Small"', "title = '\udcff'", "no TOML file: .*invalid start byte"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    assert old in SMALL
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, SMALL.replace(old, new))
    assert "small.toml" in str(caught.value)


def test_an_option_that_is_wrong_is_no_fault_of_the_file(tmp_path):
    with pytest.raises(ValueError, match=r"^width must be at least 1\. Received: -3$"):
        read(tmp_path, SMALL, width=-3)
    with pytest.raises(ValueError, match=r"small\.toml: width must be"):
        read(tmp_path, SMALL.replace("width = 3", "width = 0"), width=-3)
    mended = read(tmp_path, SMALL.replace("width = 3", "width = 0"), width=4)
    assert {task.config.width for task in mended.tasks.values()} == {4}


@pytest.mark.parametrize("place", ["width = 3", "trainable_thetas = true"])
def test_features_are_those_of_a_network(tmp_path, place):
    """Asked for in [common], or by the row that has none to compare."""
    text = SMALL.replace('of = "plain"\ntrainable', 'of = "joint"\ntrainable')
    assert read(tmp_path, text)
    with pytest.raises(ValueError, match=r"'thetas' compares features: .*'network'.*'joint'"):
        read(tmp_path, text.replace(place, f'{place}\nreference = "features"'))


def test_a_data_set_of_ones_own(tmp_path):
    (tmp_path / "mine").mkdir()
    found = read(tmp_path, SMALL.replace('"phantom"', f'"{tmp_path / "mine"}"'))
    assert found.tasks["a"].config.dataset == str(tmp_path / "mine")
    assert found.tasks["b"].config.dataset == "phantom"
    changed = read(tmp_path, SMALL, dataset=str(tmp_path / "mine"))
    assert {task.config.dataset for task in changed.tasks.values()} == {str(tmp_path / "mine")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_study_here_is_one(path):
    assert plan.read(path).tasks


def test_there_are_studies():
    assert len(FILES) >= 4


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
