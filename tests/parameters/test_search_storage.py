"""Trials that are kept: interruptions, names, files of others."""

import contextlib
import itertools
import json
import re
import shutil
import sqlite3

import optuna
import pytest

from crfrnn.parameters.cases import Cases
from crfrnn.parameters.search import search
from tests.parameters.blocks import CASES, FOUND


@pytest.mark.parametrize("name", ["trials.log", "trials.db"])
def test_an_interrupted_search_goes_on_where_it_was(name, tmp_path, monkeypatch):
    calls = itertools.count()
    scores = Cases.scores

    def interrupted(self, crf):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return scores(self, crf)

    monkeypatch.setattr(Cases, "scores", interrupted)
    first = search(*CASES, trials=12, storage=tmp_path / name, progress=False)
    assert first.interrupted and first.trials == FOUND.trials[:4]
    # A process that was killed leaves a trial without end behind.
    first.study.ask()
    second = search(*CASES, trials=12, storage=tmp_path / name, progress=False)
    assert second.trials == FOUND.trials and not second.interrupted
    assert all(trial.state.is_finished() for trial in second.study.trials)
    assert next(calls) == 5 + 8  # none of the first four was made again

    with pytest.raises(ValueError, match="search of other cases"):
        search(*CASES, trials=12, seed=1, storage=tmp_path / name, progress=False)
    with pytest.raises(ValueError, match="search of other cases"):
        search(*(part[1:] for part in CASES), storage=tmp_path / name, progress=False)


def test_a_process_killed_between_queueing_and_making_a_trial_makes_it_later(tmp_path):
    path = tmp_path / "trials.log"
    calls = []

    def stop():
        calls.append(1)
        raise RuntimeError("after the first trial")

    with pytest.raises(RuntimeError, match="first trial"):
        search(*CASES, trials=12, storage=path, progress=False, callback=stop)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    study = optuna.load_study(study_name="crfrnn", storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == len(calls) == 1
    guess = FOUND.study.trials[1].params
    study.enqueue_trial(guess)
    assert search(*CASES, trials=12, storage=path, progress=False).trials == FOUND.trials


def test_ctrl_c_before_there_is_anything_to_return_is_ctrl_c(monkeypatch):
    def interrupted(self, crf):
        raise KeyboardInterrupt

    monkeypatch.setattr(Cases, "scores", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(*CASES, progress=False)


@pytest.mark.parametrize("name", ["a?b#%41 c.db", "a?b#%41 c.log"])
def test_trials_are_in_the_file_that_is_named(tmp_path, name):
    search(*CASES, trials=2, progress=False, storage=tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {name}
    again = search(*CASES, trials=3, progress=False, storage=tmp_path / name)
    assert len(again.study.get_trials()) == 3


def test_trials_in_sqlite_leave_no_connection_and_no_complaint(tmp_path, caplog, capfd):
    psutil = pytest.importorskip("psutil")
    path = tmp_path / "trials.db"
    search(*CASES, trials=12, progress=False, storage=path)
    assert not caplog.records and "Error" not in capfd.readouterr().err
    assert str(path) not in [file.path for file in psutil.Process().open_files()]


def test_a_storage_of_an_earlier_version_is_named(tmp_path, monkeypatch):
    path = tmp_path / "trials.log"
    found = search(*CASES, trials=2, progress=False, storage=path)
    found.study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(ValueError, match=r"trials\.log holds a search of an earlier version"):
        search(*CASES, trials=3, progress=False, storage=path)


def test_passwords_are_not_shown():
    with pytest.raises(ValueError, match=r"cannot read the trials in nothing://me:\*\*\*@there"):
        search(*CASES, trials=2, progress=False, storage="nothing://me:secret@there/crf")


@pytest.mark.parametrize("name", ["trials.log", "trials.db"])
def test_a_storage_that_is_none_is_named_and_left_alone(tmp_path, name):
    path = tmp_path / name
    path.write_text("Some notes\nof the user's\n" * 100)
    with pytest.raises(ValueError, match=rf"cannot read the trials in {path}: .*no file of a sea"):
        search(*CASES, trials=2, progress=False, storage=path)
    assert path.read_text() == "Some notes\nof the user's\n" * 100


@pytest.mark.parametrize("name", ["trials.log", "trials.db"])
def test_a_storage_that_was_changed_since_is_not_believed(tmp_path, name):
    path, kept = tmp_path / name, tmp_path / f"kept-{name}"
    search(*CASES, trials=2, progress=False, storage=path)
    shutil.copy(path, kept)
    for changed in ("value", "arguments", "scores"):
        shutil.copy(kept, path)
        change(path, changed)
        with pytest.raises(ValueError, match=rf"{name} is damaged: trial 1 is not as it was"):
            search(*CASES, trials=3, progress=False, storage=path)
    shutil.copy(kept, path)
    search(*CASES, trials=3, progress=False, storage=path)


def change(path, what):
    """A number that trial 1 has found is another one."""
    if path.suffix == ".db":
        with contextlib.closing(sqlite3.connect(path)) as file, file:
            if what == "value":
                file.execute("UPDATE trial_values SET value = value + 1 WHERE trial_id = 2")
            else:
                new = "replace(value_json, '.', '.9')"
                where = f"trial_id = 2 AND key = '{what}'"
                file.execute(f"UPDATE trial_user_attributes SET value_json = {new} WHERE {where}")
        return
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if what == "value" and line.get("values") and line["trial_id"] == 1:
            line["values"][0] += 1
        elif what in line.get("user_attr", {}) and line["trial_id"] == 1:
            line["user_attr"] = json.loads(
                re.sub(r"(\d)\.", r"\1.9", json.dumps(line["user_attr"]))
            )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_line_that_a_crash_has_cut_off_costs_its_trial_only(tmp_path, monkeypatch, share):
    monkeypatch.setattr("crfrnn.parameters.slots._SILENCE", 0.5)
    path = tmp_path / "trials.log"
    found = search(*CASES, trials=4, progress=False, storage=path)
    text = path.read_text()
    for cut in range(int(share * len(text)), int(share * len(text)) + 120, 17):
        path.write_text(text[:cut])
        assert search(*CASES, trials=4, progress=False, storage=path).trials == found.trials
    # What is no line of a study is left alone, and named.
    path.write_text("a line of the user's without an end")
    with pytest.raises(ValueError, match=r"cannot read the trials in .*trials\.log"):
        search(*CASES, trials=2, progress=False, storage=path)
    assert path.read_text() == "a line of the user's without an end"
    # Nor is a line in the middle dropped.
    lines = text.splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[3][:20] + "\n", *lines[4:]]))
    with pytest.raises(ValueError, match=r"cannot read the trials in .*trials\.log: .*damaged"):
        search(*CASES, trials=2, progress=False, storage=path)
