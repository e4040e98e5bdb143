"""Who makes which trial of a study, where several processes, on one machine or many, share it.

A search of T trials has the slots 0..T-1, and a trial carries its slot from the moment it is there
for others to see. Of two trials with one slot the earlier counts; who has made the other gives it
up. While a trial is made it beats, like a heart; one that is silent belongs to a process that died,
and its slot is free again.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import optuna

_BEAT = 2.0  # seconds
_SILENCE = 10.0  # seconds without a beat, after which a process is taken for dead
_LOOK = 0.2  # seconds between looks


def complete(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The complete trials, in the order of their slots."""
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    return sorted(done, key=lambda trial: trial.user_attrs["slot"])


def next_trial(
    study: optuna.Study,
    count: int,
    queue: Sequence[Mapping[str, float]],
    seed: int,
) -> optuna.trial.Trial | None:
    """A trial that is this process's to make; None when all have been made.

    Waits for trials that other processes are still making, should they die.

    Args:
        study: new, or taken up by `settle`.
        count: how many trials the study is to have.
        queue: parameters of the first trials.
        seed: of the proposals for all others.
    """
    import optuna

    while True:
        holders = _holders(study)
        free = next((slot for slot in range(count) if slot not in holders), None)
        if free is None:
            if all(holders[slot].state.name == "COMPLETE" for slot in range(count)):
                return None
            settle(study)
            continue
        number = _add(study, free, queue[free] if free < len(queue) else {})
        holder = _holders(study).get(free)
        if holder is None or holder.number != number:
            _fail(study, number)
            continue
        study.sampler = _sampler(seed, free)
        # What `Study.ask` does with the trial that it has added. It would take one that waits as
        # well, which with SQLite two processes get at once.
        return optuna.trial.Trial(study, holder._trial_id)


@contextlib.contextmanager
def beating(trial: optuna.trial.Trial) -> Iterator[None]:
    """While it lasts, other processes see that the trial is being made."""
    ended = threading.Event()

    def beat() -> None:
        number = 0
        while not ended.is_set():
            try:
                trial.set_user_attr("beat", number)
            except RuntimeError:  # it has been given up by another process, or told
                return
            number += 1
            ended.wait(_BEAT)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def settle(study: optuna.Study) -> None:
    """Returns when each running trial has ended or beaten, or is given up as it did not."""
    silent = _beats(study)
    end = time.monotonic() + _SILENCE
    while silent and time.monotonic() < end:
        # A trial without a slot was none of `next_trial`, or was no longer wanted.
        if all(slot is None for slot, _ in silent.values()):
            break
        time.sleep(_LOOK)
        now = _beats(study)
        silent = {number: beat for number, beat in silent.items() if now.get(number) == beat}
    for number in silent:
        _fail(study, number)


def _beats(study: optuna.Study) -> dict[int, tuple[int | None, int | None]]:
    """Number -> slot and beat of each running trial."""
    running = [t for t in study.get_trials(deepcopy=False) if t.state.name == "RUNNING"]
    return {t.number: (t.user_attrs.get("slot"), t.user_attrs.get("beat")) for t in running}


def _holders(study: optuna.Study) -> dict[int, optuna.trial.FrozenTrial]:
    """Slot -> the trial that counts for it."""
    found: dict[int, optuna.trial.FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):  # by their numbers
        if trial.state.name != "FAIL" and "slot" in trial.user_attrs:
            found.setdefault(trial.user_attrs["slot"], trial)
    return found


def _add(study: optuna.Study, slot: int, parameters: Mapping[str, float]) -> int:
    """Adds a running trial with a slot, and maybe with parameters; returns its number."""
    import optuna

    name = uuid.uuid4().hex
    trial = optuna.trial.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        user_attrs={"slot": slot, "name": name},
        system_attrs={"fixed_params": dict(parameters)},
    )
    study.add_trial(trial)
    trials = study.get_trials(deepcopy=False)
    return next(t.number for t in trials if t.user_attrs.get("name") == name)


def _sampler(seed: int, slot: int) -> optuna.samplers.BaseSampler:
    """One for each trial: proposals depend on the trials before, not on interruptions."""
    import optuna

    (state,) = np.random.SeedSequence([seed, slot]).generate_state(1)
    return optuna.samplers.TPESampler(seed=int(state), multivariate=True)


def _fail(study: optuna.Study, number: int) -> None:
    import optuna

    # It has ended meanwhile, or just now.
    with contextlib.suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
        study.tell(number, state=optuna.trial.TrialState.FAIL)
