"""The files of the studies: what they may say, and what becomes of it."""

from pathlib import Path

import pytest

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
