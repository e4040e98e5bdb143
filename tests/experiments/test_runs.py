"""State of a run: damage is found, named, and mended when the user says so."""

import dataclasses
import io
import pickle
import zipfile

import numpy as np
import pytest

from experiments import compare, runs
from experiments.config import Config
from experiments.studies.main_job import comparison

ROW = {"cases": [{"id": "a", "dice": 81.25, "hd95": float("nan")}], "of": ("plain",)}


def folder_of_a_run(tmp_path):
    folder = tmp_path / "run"
    runs.write_json(folder / "run.json", {"config": {"width": 2}})
    for key in ("plain", "joint"):
        runs.write_json(folder / "seed-0" / f"{key}.json", ROW)
        runs.write_arrays(folder / "seed-0" / f"{key}.npz", {"00000": np.arange(90)})
    return folder


def changed(path, old, new):
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_what_was_written_is_read(tmp_path):
    folder = folder_of_a_run(tmp_path)
    runs.check(folder)
    read = runs.read_json(folder / "seed-0/plain.json")
    assert read.keys() == ROW.keys() and read["of"] == ["plain"]
    assert read["cases"][0]["dice"] == 81.25 and np.isnan(read["cases"][0]["hd95"])
    assert runs.read_json(folder / "none.json") is None


@pytest.mark.parametrize("old, new", [(b"81.25", b"91.25"), (b'"plain"', b'"plaim"'), (b"]", b"")])
def test_damaged_rows_are_named_and_made_again_when_the_user_says_so(tmp_path, old, new):
    folder = folder_of_a_run(tmp_path)
    path = folder / "seed-0/joint.json"
    if old == b"]":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        changed(path, old, new)
    for read in (runs.read_json, lambda path: runs.check(folder)):
        with pytest.raises(runs.Damaged, match=r"joint\.json is damaged: .*--repair"):
            read(path)
    runs.check(folder, repair=True)
    left = {path.name for path in folder.rglob("*.*")}
    assert left == {"run.json", "plain.json", "plain.npz", "joint.npz"}
    runs.check(folder)


def test_damaged_label_maps_take_their_row_with_them(tmp_path):
    folder = folder_of_a_run(tmp_path)
    changed(folder / "seed-0/plain.npz", np.arange(90)[40:42].tobytes(), bytes(16))
    with pytest.raises(runs.Damaged, match=r"plain\.npz is damaged"):
        runs.check(folder)
    runs.check(folder, repair=True)
    assert {path.name for path in folder.rglob("*.*")} == {"run.json", "joint.json", "joint.npz"}


def test_a_damaged_model_takes_its_row_with_it(tmp_path):
    folder = folder_of_a_run(tmp_path)
    path = folder / "seed-0/plain.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", "the weights")
    runs.check(folder)
    changed(path, b"the weights", b"the heights")
    with pytest.raises(runs.Damaged, match=r"plain\.keras is damaged: .*--repair"):
        runs.check(folder)
    runs.check(folder, repair=True)
    left = {path.name for path in folder.rglob("*.*")}
    assert left == {"run.json", "plain.npz", "joint.json", "joint.npz"}


def test_what_a_run_is_cannot_be_made_again(tmp_path):
    folder = folder_of_a_run(tmp_path)
    changed(folder / "run.json", b'"width": 2', b'"width": 3')
    with pytest.raises(runs.Damaged, match=r"run\.json is damaged: .*--force"):
        runs.check(folder, repair=True)
    assert (folder / "run.json").exists()


def test_files_of_older_runs_have_no_checksum(tmp_path):
    (tmp_path / "old.json").write_text('{"dice": 81.25}')
    (tmp_path / "seconds.json").write_text("12.5")
    runs.check(tmp_path)
    assert runs.read_json(tmp_path / "old.json") == {"dice": 81.25}
    assert runs.seconds(tmp_path) == 12.5
    runs.write_json(tmp_path / "seconds.json", {"seconds": 13.5})
    assert runs.seconds(tmp_path) == 13.5


def test_unfinished_files_of_a_process_that_was_killed_are_no_damage(tmp_path):
    (tmp_path / ".unfinished-plain.json").write_text("{")
    runs.check(tmp_path)


def test_a_run_of_before_there_was_a_setting_is_taken_up(tmp_path):
    folder, rows = tmp_path / "run", dataclasses.asdict(comparison())
    config = dataclasses.asdict(Config())
    earlier = {key: value for key, value in config.items() if key != "crop"}
    now = {"config": config, "comparison": rows, "backend": "jax"}
    runs.open_run(folder, {**now, "config": earlier})
    with pytest.raises(ValueError, match="crop is 0 there, 8 here"):
        runs.open_run(folder, {**now, "config": {**config, "crop": 8}})
    runs.open_run(folder, now)
    assert runs.read_json(folder / "run.json")["config"]["crop"] == 0


NOT_WRITTEN = {
    "empty": b"",
    "zeros": bytes(80),
    "null": b"null",
    "number": b"5",
    "list": b"[]",
    "nothing": b"{}",
    "deep": b"[" * 100_000,
    "other file": b"\x89PNG\r\n",
}


@pytest.mark.parametrize("content", NOT_WRITTEN.values(), ids=NOT_WRITTEN)
@pytest.mark.parametrize(
    "name", ["plain.json", "plain.npz", "plain.checkpoint.npz", "seconds.json"]
)
def test_what_was_never_written_is_damage(tmp_path, name, content):
    if name == "seconds.json" and content == b"5":
        content = b'"5"'  # a number it was in older runs
    path = folder_of_a_run(tmp_path) / "seed-0" / name
    path.write_bytes(content)
    with pytest.raises(runs.Damaged, match=f"{name} is damaged: .*--repair"):
        runs.check(tmp_path / "run")
    runs.check(tmp_path / "run", repair=True)
    assert not path.exists()


def npz(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


ARRAYS = {
    "one array": npz(lambda file: np.save(file, np.arange(3))),
    "no array": npz(lambda file: np.savez(file)),
    "objects": npz(lambda file: np.savez(file, a=np.array([None]))),
}


@pytest.mark.parametrize("content", ARRAYS.values(), ids=ARRAYS)
def test_numpy_files_that_are_no_state(tmp_path, content):
    (tmp_path / "plain.npz").write_bytes(content)
    with pytest.raises(runs.Damaged, match=r"plain\.npz is damaged: .*--repair"):
        runs.read_arrays(tmp_path / "plain.npz")


@pytest.mark.parametrize("name", ["plain.json", "plain.npz"])
def test_no_bit_is_changed_in_silence(tmp_path, name):
    path, rng = folder_of_a_run(tmp_path) / "seed-0" / name, np.random.default_rng(0)
    read = runs.read_json if path.suffix == ".json" else runs.read_arrays
    written, content = path.read_bytes(), repr(read(path))
    for _ in range(2000):
        damaged = bytearray(written)
        for place in rng.integers(len(written)) + np.arange(rng.choice([1, 16])):
            damaged[place % len(written)] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            assert repr(read(path)) == content  # there are bits that mean nothing
        except runs.Damaged as error:
            assert str(path) in str(error)


def test_damage_that_a_worker_finds_reaches_the_main_process(tmp_path):
    error = runs.Damaged(tmp_path / "plain.npz", ValueError("its end is missing."))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "plain.npz is damaged: its end is missing. --repair" in str(error)


def test_only_force_replaces_what_a_run_is(tmp_path):
    folder, rows = folder_of_a_run(tmp_path), dataclasses.asdict(comparison())
    identity = {"config": dataclasses.asdict(Config()), "comparison": rows, "backend": "jax"}
    (folder / "run.json").write_bytes(b"{")
    with pytest.raises(runs.Damaged) as caught:
        runs.open_run(folder, identity)
    assert "--repair" not in str(caught.value) and "--force repeats" in str(caught.value)
    runs.open_run(folder, identity, force=True)
    assert [path.name for path in folder.iterdir()] == ["run.json"]
    assert runs.read_json(folder / "run.json") == runs.as_read_back(identity)


STUDY = """
title = "Two"
text = "Two settings."
differences = []
pictured = ["plain"]
[common]
seeds = 2
train_cases = 2
validation_cases = 2
test_cases = 2
[settings.one]
[settings.two]
width = 2
[rows.plain]
meaning = "plain"
kind = "network"
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Runs a study, but for its networks; returns its status. Also the folder of its settings."""

    def made(_, work, jobs):
        for run, seed in work:
            for key, path in run.rows(seed).items():
                runs.write_json(path, {**ROW, "key": key, "seed": seed})
            yield run, seed

    def finish(run):
        rows = [runs.read_json(path) for path in run.rows(0).values()]
        (run.folder / "table.md").write_text("table")
        runs.write_json(run.folder / "results.json", {**run.identity, "seeds": rows})

    monkeypatch.setattr(compare, "side_by_side", made)
    monkeypatch.setattr(compare, "finish", finish)
    monkeypatch.setattr(compare, "_set_environment", lambda threads: None)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    (tmp_path / "study.toml").write_text(STUDY)
    command = ["--config", str(tmp_path / "study.toml"), "--runs", str(tmp_path)]
    return (lambda *more: compare.main([*command, *more])), tmp_path / "study"


def test_damaged_results_of_a_finished_run_are_written_again(study, capsys):
    start, folder = study
    assert start() == 0
    written = (folder / "one/results.json").read_bytes()
    changed(folder / "one/results.json", b'"width": 8', b'"width": 9')
    with pytest.raises(SystemExit):
        start()
    assert "one/results.json is damaged: its checksum" in capsys.readouterr().err
    assert start("--repair") == 0
    assert (folder / "one/results.json").read_bytes() == written


def test_damage_of_another_setting_is_said_without_a_traceback(study, capsys):
    start, folder = study
    assert start() == 0
    (folder / "two/results.json").write_bytes(b"")
    assert start("--settings", "one") == 1
    assert "two/results.json is damaged" in capsys.readouterr().err
    (folder / "study.json").write_bytes(b"{")  # of which each run makes a new one
    assert start("--repair") == 0
    assert {*runs.read_json(folder / "study.json")["settings"]} == {"one", "two"}
