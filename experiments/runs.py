"""The folder of a run: atomic files, what belongs to the run, and when it may be overwritten.

runs/<name>/
  run.json            settings and Keras backend, written first: the identity of the run
  seed-0/...          one folder per repetition: checkpoints, and one result per row
  results.json        everything a table needs, written last: a run with it is finished
  table.md, curves.png, pictures/
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from crfrnn.cores import num_cores
from experiments.rows import compared

PACKAGES = ("crfrnn", "keras", "tensorflow", "jax", "torch", "numpy", "scipy", "optuna")
MAKES_A_ROW = ("kind", "of", "settings")  # the rest of a row are words


class OtherNetwork(ValueError):
    """Rows cannot be added to a run, because its networks cannot be made again as they were."""


def write(path: Path, write_to: Callable[[BinaryIO], Any]) -> None:
    """Write a file so that it is either complete or absent, however the process ends.

    Args:
        path: the file; its folder is made.
        write_to: gets the open binary file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "a", "b.txt")
        >>> write(path, lambda file: file.write(b"text"))
        >>> path.read_text()
        'text'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id: another process writing the same file must not share the unfinished one.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    with open(unfinished, "wb") as file:
        write_to(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def write_json(path: Path, content: Any, compact: bool = False) -> None:
    """Write JSON atomically; floats keep every bit; compact = in one line without spaces."""
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 1}
    text = json.dumps(content, default=_plain, **layout)
    write(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """Read JSON; None if there is no such file."""
    return json.loads(path.read_text()) if path.exists() else None


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays atomically as one .npz; read with ``read_arrays``."""
    write(path, lambda file: np.savez(file, **arrays))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what ``write_arrays`` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def open_run(folder: Path, identity: Mapping[str, Any], force: bool = False) -> None:
    """Make the folder of a run, or take up the one that is there.

    Rows may be added to a run that is there, and words about its rows changed.

    Args:
        folder: where the run lives.
        identity: ``config``, its settings; ``comparison``, its rows; ``backend``, Keras's: the same
            settings give other last digits on another one.
        force: delete the run that is there and start anew.

    Raises:
        ValueError: if the folder holds something else: a run of other settings, with rows that
            were made otherwise, or of another backend, or files that are no run at all (which
            ``force`` does not delete either).
    """
    identity = as_read_back(identity)
    found = read_json(folder / "run.json")
    if found is None and folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} exists and is no run of this program. Give another --name.")
    if found is not None and force:
        shutil.rmtree(folder)
        found = None
    elif found is not None and (differences := _differences(found, identity)):
        raise ValueError(
            f"{folder} holds a run with other settings: {', '.join(differences)}. "
            "Give another --name, or --force to delete that run and start anew."
        )
    if found != identity:
        write_json(folder / "run.json", identity)


def as_read_back(content: Any) -> Any:
    """As ``write_json`` and then ``read_json`` would give it: tuples as lists.

    Example:
        >>> as_read_back({"of": ("plain",)})
        {'of': ['plain']}
    """
    return json.loads(json.dumps(content))


def environment() -> dict[str, Any]:
    """Versions, commit and machine, for the results.

    Returns:
        ``python``, ``packages`` (name to version, those installed), ``commit``, ``machine``,
        ``cores``.
    """
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "packages": packages,
        "commit": commit(),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        "cores": num_cores(),
    }


def stop_if_orphaned() -> None:
    """End a worker whose main process was killed, and so could not end it.

    Two runs in one folder would be in each other's way.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit("The main process is gone.")


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What of a run that is there cannot stay."""
    old, new = ({**run["config"], "backend": run["backend"]} for run in (found, wanted))
    differences = [
        f"{key} is {old.get(key)!r} there, {new.get(key)!r} here"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    rows, wanted_rows = (compared(run).rows for run in (found, wanted))
    for key, row in rows.items():
        if key not in wanted_rows:
            differences.append(f"row {key!r} is there, not here")
            continue
        pairs = {
            part: (getattr(row, part), getattr(wanted_rows[key], part)) for part in MAKES_A_ROW
        }
        differences += [
            f"{part!r} of row {key!r} is {there!r} there, {here!r} here"
            for part, (there, here) in pairs.items()
            if there != here
        ]
    return differences


def commit() -> str | None:
    """The commit of this code, with "+" if files have changed since; None outside a clone."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    # platform.processor() is empty on most Linux systems.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"Cannot write {type(value)} as JSON")
