"""Several processes that search one study: together the trials asked for, and one result."""

import multiprocessing
import time

import numpy as np
import optuna
import pytest

from crfrnn.parameters import slots
from crfrnn.parameters.cases import Cases
from crfrnn.parameters.search import search
from crfrnn.parameters.trials import open_study

TRIALS = 14
SPAWN = multiprocessing.get_context("spawn")


def cases():
    rng = np.random.default_rng(5)
    truths = [np.kron(rng.integers(0, 2, (4, 3)), np.ones((7, 9), int)) for _ in range(2)]
    images = [truth + rng.normal(0, 0.3, truth.shape) for truth in truths]
    p = [np.clip(0.4 + 0.2 * t + rng.normal(0, 0.2, t.shape), 0, 1) for t in truths]
    return images, [np.stack([1 - one, one], -1) for one in p], truths


def searched(storage, results, hanging_at=None):
    """A process that searches; of its trials number `hanging_at` never ends."""
    scores, calls = Cases.scores, []

    def counted(self, crf):
        calls.append(crf)
        if len(calls) == hanging_at:
            results.put("hangs")
            time.sleep(600)
        time.sleep(0.05)  # so that no process makes all of them before the other has started
        return scores(self, crf)

    Cases.scores = counted
    found = search(*cases(), trials=TRIALS, storage=storage, workers=1, progress=False)
    results.put((found.trials, found.best, found.baseline, len(calls)))


@pytest.fixture
def started():
    """Starts processes, and ends them."""
    running = []

    def start(*arguments):
        running.append(SPAWN.Process(target=searched, args=arguments))
        running[-1].start()
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.join()


@pytest.mark.parametrize("kind", ["journal", "database"])
def test_two_processes_make_the_trials_together(tmp_path, started, kind):
    place = tmp_path / "trials.log" if kind == "journal" else f"sqlite:///{tmp_path}/trials.sqlite"
    results = SPAWN.Queue()
    for _ in range(2):
        started(place, results)
    one, other = (results.get(timeout=60) for _ in range(2))
    assert one[:3] == other[:3]
    assert len(one[0]) == TRIALS
    assert one[3] > 0 and other[3] > 0
    # Of two that took one slot at once, one has given it up before it did any work.
    assert one[3] + other[3] == TRIALS
    alone = search(*cases(), trials=2, progress=False)
    assert one[0][:2] == alone.trials and one[2] == alone.baseline


@pytest.mark.nightly  # 20 s: the one that is left waits for signs of life
def test_the_trial_of_a_process_that_is_killed_is_made_by_the_other(tmp_path, started):
    results = SPAWN.Queue()
    hanging = started(tmp_path / "trials.log", results, 3)
    assert results.get(timeout=60) == "hangs"
    started(tmp_path / "trials.log", results)
    time.sleep(2)
    hanging.kill()
    trials, *_, calls = results.get(timeout=60)
    assert len(trials) == TRIALS and calls == TRIALS - 2


# ---- What may happen between the processes, one step at a time -----------------------------------


def study_of(path=None):
    return open_study(optuna, path, "identity")


def finished(study, trial):
    trial.set_user_attr("arguments", {})
    study.tell(trial, 1.0)


def test_of_two_trials_with_one_slot_the_earlier_counts(monkeypatch):
    study = study_of()
    holders = slots._holders
    others = slots._add(study, 0, {})
    seen = iter([{}])  # first it looks free, since the other has just seen the same
    monkeypatch.setattr(slots, "_holders", lambda study: next(seen, holders(study)))
    mine = slots.next_trial(study, 2, [], seed=0)
    assert (others, mine.number, mine.user_attrs["slot"]) == (0, 2, 1)
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "FAIL", "RUNNING"]


def test_a_trial_that_beats_is_left_alone_and_a_silent_one_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(slots, "_BEAT", 0.05)
    monkeypatch.setattr(slots, "_SILENCE", 2.0)
    study = study_of(tmp_path / "trials.log")
    silent, beats = (slots.next_trial(study, 2, [], seed=0) for _ in range(2))
    with slots.beating(beats):
        again = slots.next_trial(study_of(tmp_path / "trials.log"), 2, [], seed=0)
    assert silent.user_attrs["slot"] == again.user_attrs["slot"] == 0
    states = [trial.state.name for trial in study.trials]
    assert states == ["FAIL", "RUNNING", "RUNNING"]
    finished(study, again)
    finished(study, beats)
    assert slots.next_trial(study, 2, [], seed=0) is None
    assert [trial.number for trial in slots.complete(study)] == [2, 1]


def test_what_is_told_of_a_trial_that_was_given_up_is_dropped(tmp_path, monkeypatch):
    """Of a process that was taken for dead, for its machine slept."""
    scores, calls = Cases.scores, []

    def slept(self, crf):
        if not calls:
            backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "trials.log"))
            storage = optuna.storages.JournalStorage(backend)
            study = optuna.load_study(study_name="crfrnn", storage=storage)
            study.tell(0, state=optuna.trial.TrialState.FAIL)
        calls.append(crf)
        return scores(self, crf)

    monkeypatch.setattr(Cases, "scores", slept)
    found = search(*cases(), trials=4, storage=tmp_path / "trials.log", progress=False)
    assert len(found.trials) == 4 and len(calls) == 5
    assert calls[0] == calls[1] == {k: v for k, v in found.trials[0].items() if k != "score"}
