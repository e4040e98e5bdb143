"""The trials of a search in a file: Optuna's study, opened, taken up, kept quiet."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crfrnn.optional import needed

if TYPE_CHECKING:
    import optuna


# The estimator looks at all that came before: so many take days.
MOST_TRIALS = 100_000


def open_study(optuna: Any, storage: str | Path | None, identity: str) -> optuna.Study:
    """The study in a file, new or taken up; ValueError if it is that of another search."""
    with _naming(storage):
        backend = None if storage is None else _backend(optuna, Path(storage))
    with _naming(storage):
        study = optuna.create_study(
            study_name="crfrnn", direction="maximize", storage=backend, load_if_exists=True
        )
    digest = hashlib.sha256(identity.encode()).hexdigest()
    if study.user_attrs.setdefault("identity", digest) != digest:
        raise ValueError(
            f"{storage} holds a search of other cases or settings. Give another file, or delete it."
        )
    study.set_user_attr("identity", digest)
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    for trial in running:  # its process was killed
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


@contextlib.contextmanager
def alone(storage: str | Path | None) -> Iterator[None]:
    """Hold a storage, so that no other search works in it, whose trials would count as this one's.

    Raises:
        ValueError: another search does.
    """
    if storage is None:
        yield
        return
    filelock = needed("filelock", "Searches that are kept in a file", "search")
    path = Path(storage)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise ValueError(
            f"Another search is at work in {storage}. Wait until it has ended, or give another "
            "file."
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows deletes no file that is open
            os.unlink(lock.lock_file)
        lock.release()


def _backend(optuna: Any, path: Path) -> Any:
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        # Not as a part of an address, in which names with % or ? would mean others.
        connected = {"creator": lambda: sqlite3.connect(path)}
        return optuna.storages.RDBStorage("sqlite://", engine_kwargs=connected)
    journal = optuna.storages.journal
    return optuna.storages.JournalStorage(journal.JournalFileBackend(str(path)))


@contextlib.contextmanager
def _naming(storage: str | Path | None) -> Iterator[None]:
    """Whatever Optuna and SQLite say of a file of another kind, or a damaged one, names it."""
    try:
        yield
    except Exception as error:
        if storage is None or (isinstance(error, OSError) and error.filename is not None):
            raise
        raise ValueError(
            f"cannot read the trials in {storage}: {str(error).partition(chr(10))[0]}; it is "
            "damaged, or no file of a search. Give another file, or delete it."
        ) from error


def complete(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]


def digest_of(*lists: Sequence[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for arrays in lists:
        for array in map(np.ascontiguousarray, arrays):
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def needed_optuna() -> Any:
    try:
        import optuna
        import scipy  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"crfrnn.search needs {error.name}, which is not installed: "
            "pip install 'crfrnn[search]' (in a clone: '.[search]')"
        ) from error
    return optuna


@contextlib.contextmanager
def quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's line per trial and its notes on what is experimental."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
