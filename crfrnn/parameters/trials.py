"""The trials of a search in a file: Optuna's study, opened, taken up, kept quiet."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sqlite3
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crfrnn.parameters.seals import SEAL, is_whole
from crfrnn.parameters.slots import settle

if TYPE_CHECKING:
    import optuna


# The estimator looks at all that came before: so many take days.
MOST_TRIALS = 100_000

_FIRST = b'{"op_code":'  # of every line of a journal


def open_study(optuna: Any, storage: str | Path | None, identity: str) -> optuna.Study:
    """The study in a storage, new or taken up; ValueError if it is that of another search."""
    with _naming(storage):
        study = optuna.create_study(
            study_name="crfrnn",
            direction="maximize",
            storage=_backend(optuna, storage),
            load_if_exists=True,
        )
        # All of the file has been read then, and a damaged line was met.
        identity_there = study.user_attrs.get("identity")
        trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    digest = hashlib.sha256(identity.encode()).hexdigest()
    if identity_there not in (None, digest):
        raise ValueError(
            f"{_shown(storage)} holds a search of other cases or settings. Give another one, or "
            "delete it."
        )
    if not all({"slot", SEAL} <= trial.user_attrs.keys() for trial in trials):
        raise ValueError(
            f"{_shown(storage)} holds a search of an earlier version. Give another one, or delete "
            "it."
        )
    for trial in trials:
        if not is_whole(trial):
            raise ValueError(
                f"{_shown(storage)} is damaged: trial {trial.number} is not as it was written. "
                "Give another file, or delete it."
            )
    study.set_user_attr("identity", digest)
    settle(study)  # a process may have been killed
    return study


@contextlib.contextmanager
def _naming(storage: str | Path | None) -> Iterator[None]:
    """Whatever Optuna and SQLite say of a file of another kind, or a damaged one, names it."""
    try:
        yield
    except Exception as error:
        if storage is None or (isinstance(error, OSError) and error.filename is not None):
            raise
        said = f"cannot read the trials in {_shown(storage)}: {str(error).partition(chr(10))[0]}"
        if not is_url(storage):
            said += "; it is damaged, or no file of a search. Give another file, or delete it."
        raise ValueError(said) from error


def _shown(storage: str | Path | None) -> str:
    """A storage in words, without the password that a URL may have."""
    if not is_url(storage):
        return str(storage)
    from sqlalchemy.engine import make_url

    return make_url(str(storage)).render_as_string(hide_password=True)


def is_url(storage: Any) -> bool:
    """Whether a storage is the URL of a database, not a file."""
    return "://" in str(storage)


def _backend(optuna: Any, storage: str | Path | None) -> Any:
    """The storage as Optuna takes it."""
    if storage is None:
        return None
    if is_url(storage):
        return _database(optuna, str(storage))
    path = Path(storage)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        from sqlalchemy.pool import NullPool

        # Not as a part of an address, in which names with % or ? would mean others. That SQLAlchemy
        # takes for a database in memory, whose few connections threads would have to share.
        connect = functools.partial(sqlite3.connect, path, timeout=60)
        return _database(optuna, "sqlite://", creator=connect, poolclass=NullPool)
    journal = optuna.storages.journal
    lock = journal.JournalFileSymlinkLock(str(path))
    if path.is_file():
        lock.acquire()
        try:
            _drop_half_line(path)
        finally:
            lock.release()
    return optuna.storages.JournalStorage(journal.JournalFileBackend(str(path), lock_obj=lock))


def _drop_half_line(path: Path) -> None:
    """What a crash has cut off, to which the next line would be joined, and then nothing is read.

    Its trial is made again. ValueError for the file of something else, to which a line would be
    added as well.
    """
    with open(path, "rb+") as file:
        start = file.read(len(_FIRST))
        if not _FIRST.startswith(start):
            raise ValueError("its first line is none of a search")
        end, size = file.seek(0, 2), 1
        while size < end:
            size = min(2 * size, end)
            file.seek(end - size)
            if (newline := file.read().rfind(b"\n")) >= 0:
                file.truncate(end - size + newline + 1)
                return
        file.truncate(0)


def _database(optuna: Any, url: str, **options: Any) -> Any:
    from sqlalchemy.exc import DBAPIError

    for _ in range(3):
        with contextlib.suppress(DBAPIError):  # another process is just making the tables
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
        time.sleep(1)
    return optuna.storages.RDBStorage(url, engine_kwargs=options)


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
