"""The command of the report, and the command that finishes a run."""

import dataclasses
import shlex
import shutil

import pytest

from experiments import compare, report, runs
from experiments.rows import Comparison
from experiments.show.report.command import command
from experiments.studies import plan
from tests.experiments.report.made_up import COMPARED


def test_command_of_the_main_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, name in (
        ("--dataset hippocampus --quick --width 5 --normalization none --flips true", "h"),
        ("--dataset phantom --models unet segnet+crfrnn --search-theta-alpha 1 2.5", "my run"),
    ):
        parser = compare.make_parser()
        options = parser.parse_args([*words.split(), "--name", name])
        made = compare._single(options)
        identity = {
            "config": dataclasses.asdict(made.config),
            "comparison": dataclasses.asdict(made.comparison),
            "backend": "jax",
        }
        runs.open_run(made.folder, identity)
        found = shlex.split(command(made.folder))
        assert found[:4] == ["KERAS_BACKEND=jax", "python", "-m", "experiments.compare"]
        assert len(found[4:]) == len([*words.split(), "--name", name])
        again = compare._single(parser.parse_args(found[4:]))
        assert again == made


@pytest.mark.parametrize("name", ["controlled", "controlled-full"])  # of the same rows
def test_command_of_a_study(tmp_path, name):
    file = f"experiments/studies/{name}.toml"
    setting = plan.read(file).tasks["wbc1-10"]
    identity = {
        "config": dataclasses.asdict(dataclasses.replace(setting.config, seeds=9)),
        "comparison": dataclasses.asdict(setting.comparison),
        "backend": "tensorflow",
    }
    folder = tmp_path / "mine" / "wbc1-10"
    runs.open_run(folder, identity)
    assert command(folder) == (
        f"python -m experiments.compare --config {file} "
        f"--settings wbc1-10 --seeds 9 --name mine --runs {tmp_path}"
    )
    other = Comparison(COMPARED.rows, [], ("plain",), None)
    runs.open_run(folder, {**identity, "comparison": dataclasses.asdict(other)}, force=True)
    assert "--config STUDY.toml --settings wbc1-10" in command(folder)


def test_written(run, capsys):
    assert report.main([str(run)]) == 0
    assert [path.name for path in run.glob("report*")] == ["report.html"]
    assert str(run / "report.html") in capsys.readouterr().out
    assert (run / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_a_study_has_a_page_per_finished_setting(run, tmp_path, capsys):
    for name in ("one", "two", "three"):
        shutil.copytree(run, tmp_path / name, ignore=shutil.ignore_patterns("*.html"))
    (tmp_path / "three" / "results.json").unlink()
    assert report.main([str(tmp_path), "--cases", "1"]) == 0
    assert [path.parent.name for path in sorted(tmp_path.glob("*/report.html"))] == ["one", "two"]
    assert "three is not finished" in capsys.readouterr().err


def spoil(folder, how):
    if how == "unfinished":
        (folder / "results.json").unlink()
    elif how == "no maps":
        (folder / "seed-0" / "joint.npz").unlink()
    elif how == "no run":
        shutil.rmtree(folder)
    elif how == "no data":
        change(folder, lambda results: results["config"].update(dataset="/not/there"))
    elif how == "other data":
        change(folder, lambda results: results["seeds"][0]["plain"]["cases"][1].update(id="y"))


def change(folder, edit):
    results = runs.read_json(folder / "results.json")
    edit(results)
    runs.write_json(folder / "results.json", results)


@pytest.mark.parametrize(
    "how, message",
    [
        ("unfinished", "is not finished. This finishes it:\n\n    python -m experiments.compare"),
        ("no maps", "has no label maps of joint"),
        ("no run", "is no run: expected a folder with run.json"),
        ("no data", "The page shows images of the run's data set, '/not/there': expected"),
        ("other data", "the test cases are no longer those of the run"),
        ("no case", "--cases must be at least 1. Received: 0"),
        ("study", "has 2 finished settings, and --output names one page"),
    ],
)
def test_errors(run, tmp_path, capsys, how, message):
    folder = tmp_path / "made-up"
    shutil.copytree(run, folder)
    spoil(folder, how)
    more = ["--cases", "0"] if how == "no case" else []
    if how == "study":
        shutil.copytree(run, tmp_path / "other")
        folder, more = tmp_path, ["-o", str(tmp_path / "x.html")]
    with pytest.raises(SystemExit):
        report.main([str(folder), *more])
    assert message in capsys.readouterr().err
