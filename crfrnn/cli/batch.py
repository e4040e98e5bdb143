"""Many cases: in parallel, to be interrupted and taken up again.

A folder of results has a record, one line of JSON for each finished case: with which settings, of
which files, and what came of it ("result": the parameters that were used, guessed ones too). A
result is complete if it exists, because it gets its name only then. One command at a time works in
it, which holds the lock in the folder of unfinished files.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crfrnn import files
from crfrnn.cli import refining, workers
from crfrnn.cli.cases import Paths
from crfrnn.cli.refining import Outcome, Settings

RECORD = "crfrnn-refine.jsonl"
_LATER = (
    *("logits", "labels_as_probs", "nan_outside"),
    *("upsample", "palette", "confidence", "packed", "agree_with"),
)


class Job(NamedTuple):
    """One case to do: its files, its output, and what the record says once it is done."""

    paths: Paths
    output: Path
    entry: dict[str, Any]
    part: Path  # the output before it is complete


def plan(
    cases: Sequence[Paths], folder: Path, ending: str, settings: Settings, overwrite: bool
) -> tuple[list[Job], int]:
    """What remains to be done in a folder of results.

    Args:
        cases: all of them.
        folder: for the results and the record; need not exist.
        ending: the extension of the results.
        settings: the same for all.
        overwrite: whether results of other settings or files are done again.

    Returns:
        The jobs, and how many cases are complete already.

    Raises:
        ValueError: a result would replace an input; or there are results of other settings or
            files, or of unknown ones, and `overwrite` was not asked for.
    """
    record = _read_record(folder / RECORD)
    jobs, stale = [], []
    for case in cases:
        name = f"{case.name}{ending}"
        output = folder / name
        job = Job(case, output, _entry(case, ending, settings), folder / files.WORKSHOP / name)
        # Path.exists would raise for a name that no folder takes: that case fails, by itself.
        there = os.path.exists(output)
        if there and record.get(output.relative_to(folder).as_posix()) == job.entry:
            continue
        jobs.append(job)
        if os.path.lexists(output):  # a link that leads nowhere is not ours to replace, either
            stale.append(output)
    _spare_inputs(stale, cases)
    if stale and not overwrite:
        named = ", ".join(path.name for path in stale[:3]) + (", ..." if len(stale) > 3 else "")
        raise ValueError(
            f"{folder} holds {len(stale)} results ({named}) that were not made with these "
            "parameters of these files. Choose another folder, or add --overwrite to replace them."
        )
    return jobs, len(cases) - len(jobs)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder of results, which is made, so that no other command works in it.

    Raises:
        ValueError: another command does, or it is a file.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise ValueError(f"{folder} is a file. Give a folder for the results.")
    workshop = folder / files.WORKSHOP
    workshop.mkdir(parents=True, exist_ok=True)
    with held(workshop / "lock", f"in {folder}", "folder"):
        try:
            for path in workshop.iterdir():  # what a killed command has left
                if path.name != "lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield
        finally:
            with workers.interrupts_later():
                shutil.rmtree(workshop, ignore_errors=True)


@contextlib.contextmanager
def held(path: Path, where: str, instead: str) -> Iterator[None]:
    """Hold the lock of this file; its folder exists.

    Raises:
        ValueError: another command holds it; where, and what to choose instead, is for the message.
    """
    from filelock import FileLock, Timeout  # here, since workers need none

    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(
            f"Another command is at work {where}. Wait until it has ended, or choose another "
            f"{instead}."
        ) from None
    try:
        yield
    finally:
        with workers.interrupts_later():
            lock.release()
            del lock  # in its finalizer a Ctrl-C would be lost


def run(
    jobs: Sequence[Job],
    folder: Path,
    settings: Settings,
    processes: int,
    *,
    at_most: bool = False,
) -> Iterator[tuple[Job, Outcome | str]]:
    """Do the jobs and record the finished ones, in the order in which they finish.

    An interruption (Ctrl-C) waits for the cases in work, keeps them, and is raised again.

    Args:
        jobs: from `plan`.
        folder: of the results; see `alone`.
        settings: the same for all.
        processes: how many at a time. One works here, in this process.
        at_most: whether fewer will do, where starting them takes longer than the work.

    Yields:
        Each job with its outcome, or with the text of the error that it failed with.
    """
    _end_last_line(folder / RECORD)
    work = functools.partial(_work, settings=settings)
    if processes == 1:
        outcomes = workers.here(work, jobs)
    elif at_most:
        outcomes = workers.as_many_as_pay(work, jobs, processes)
    else:
        outcomes = workers.beside(work, jobs, processes)
    try:
        for job, outcome in outcomes:
            with workers.interrupts_later():  # nor between the result and the caller's count of it
                if isinstance(outcome, Outcome):
                    _keep(job, folder, outcome)
                yield job, outcome
    finally:
        outcomes.close()  # the workers end before the unfinished files are deleted


def _keep(job: Job, folder: Path, outcome: Outcome) -> None:
    """Record the case, then give its result its name.

    In this order, because a process can be killed in between: a recorded case without a result is
    done again, but a result without a record would be taken for another command's. (For the same
    reason a result that is to be replaced goes first.)
    """
    job.output.unlink(missing_ok=True)
    kept = ("parameters", "guessed", "changed", "reasons", "sure")
    result = {name: getattr(outcome, name) for name in kept}
    with files.written(folder / RECORD), open(folder / RECORD, "a") as record:
        name = job.output.relative_to(folder).as_posix()
        record.write(json.dumps({"output": name, **job.entry, "result": result}) + "\n")
    os.replace(job.part, job.output)


def _work(job: Job, settings: Settings) -> Outcome | str:
    try:
        for path in (job.output, job.part):
            path.parent.mkdir(parents=True, exist_ok=True)
        return refining.run(job.paths, settings, job.part)
    except MemoryError:
        return refining.NO_MEMORY
    except (ValueError, OSError, ImportError) as error:
        return str(error)
    except Exception as error:  # one odd case must not end the others
        return f"{type(error).__name__}: {error}"


def _spare_inputs(outputs: Sequence[Path], cases: Sequence[Paths]) -> None:
    """ValueError where one of these outputs, which exist, is an input of any case."""
    inputs = {path.resolve() for case in cases for path in case.inputs()} if outputs else set()
    for output in outputs:
        if output.resolve() in inputs:
            raise ValueError(f"{output} is an input. Choose another folder for the results.")


def _entry(case: Paths, ending: str, settings: Settings) -> dict[str, Any]:
    # A list: the image and its probabilities may have one name, in two folders.
    inputs = []
    for path in case.inputs():
        try:
            status = path.stat()
            inputs.append([path.name, status.st_size, status.st_mtime_ns])
        except OSError:  # its case will say so
            inputs.append([path.name, None, None])
    # Records of earlier versions have not all settings.
    given = {k: v for k, v in settings._asdict().items() if v or k not in _LATER}
    entry = {"ending": ending, "settings": given, "inputs": inputs}
    return json.loads(json.dumps(entry))  # tuples become lists, as they are when read


def _end_last_line(record: Path) -> None:
    """What a crash has cut off would swallow the next entry."""
    if record.exists() and not record.read_bytes().endswith(b"\n"):
        with open(record, "a") as file:
            file.write("\n")


def _read_record(path: Path) -> dict[str, dict[str, Any]]:
    """The entry of each output, without its result; a line that a crash cut off is passed over."""
    record = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
            entry.pop("result", None)
            record[entry.pop("output")] = entry
        except (ValueError, KeyError):
            continue
    return record
