"""The folder of a run: atomic files, what belongs to the run, and when it may be overwritten.

runs/<name>/
  run.json            settings and Keras backend, written first: the identity of the run
  seed-0/...          one folder per repetition: checkpoints, and one result per row
  results.json        everything a table needs, written last: a run with it is finished
  table.md, curves.png, pictures/
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from crfrnn.cores import num_cores
from crfrnn.files import replacing
from experiments.config import Config
from experiments.rows import compared

PACKAGES = ("crfrnn", "keras", "tensorflow", "jax", "torch", "numpy", "scipy", "optuna")
IDENTITY = "run.json"
MAKES_A_ROW = ("kind", "of", "settings")  # the rest of a row are words
_SECONDS = "seconds.json"


class OtherNetwork(ValueError):
    """A run cannot go on, because its networks cannot be made again as they were."""


class Damaged(ValueError):
    """A file is not as it was written."""

    def __init__(self, path: Path, reason: Any):
        super().__init__(path, str(reason))  # as it is made again when a worker hands it on

    def __str__(self) -> str:
        path, reason = self.args
        words = f"{path} is damaged: {reason.rstrip('.')}. "
        if path.name == IDENTITY:
            return words + "What the run is stands there alone: --force repeats the whole run."
        return words + (
            "--repair deletes such files and makes again what was in them; --force repeats the "
            "whole run."
        )


def write(path: Path, write_to: Callable[[BinaryIO], Any]) -> None:
    """Write a file so that it is either complete or absent, whatever ends the process, or power.

    Its folder is made; ``write_to`` gets the open binary file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, open(unfinished, "wb") as file:
        write_to(file)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, content: Mapping[str, Any], compact: bool = False) -> None:
    """Write JSON and its checksum; floats keep every bit; compact = in one line without spaces."""
    content = {**content, "checksum": _checksum(content)}
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 1}
    text = json.dumps(content, default=_plain, **layout)
    write(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """Read JSON, None if there is no such file; Damaged if it is not as it was written."""
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes().decode())
    except (ValueError, RecursionError) as error:
        raise Damaged(path, error) from None
    if isinstance(content, float | int) and path.name == _SECONDS:
        return content  # of older runs
    if not isinstance(content, dict) or not content:
        raise Damaged(path, "expected an object with keys")
    written = content.pop("checksum", None)
    # Files of older runs have none; of those that had one, its name may be what was changed.
    if any(isinstance(v, str) and re.fullmatch("[0-9a-f]{64}", v) for v in content.values()):
        raise Damaged(path, "its checksum has another name")
    if written is not None and written != _checksum(content):
        raise Damaged(path, "its checksum is of another content")
    return content


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays atomically as one .npz, with their checksum; read with ``read_arrays``."""
    # First: what is cut off the list of a damaged file is its end.
    content = {"checksum": np.array(_checksum_of_arrays(arrays)), **arrays}
    write(path, lambda file: np.savez(file, **content))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what ``write_arrays`` wrote; raises Damaged."""
    content = io.BytesIO(path.read_bytes())
    try:
        with np.load(content, allow_pickle=False) as file:
            arrays = dict(file)
        written = arrays.pop("checksum", None)  # which files of older runs have not
        if not arrays or not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("expected arrays")
        if written is not None and str(written) != _checksum_of_arrays(arrays):
            raise ValueError("its checksum is of another content")
    except Exception as error:  # of bytes that are there already: whatever it is, they are to blame
        raise Damaged(path, error) from None
    return arrays


def check_model(path: Path) -> None:
    """Read a saved model to its end, as Keras does not always; raises Damaged."""
    content = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(content) as file:
            if changed := file.testzip():
                raise ValueError(f"{changed} in it has another checksum")
            if "config.json" not in file.namelist():
                raise ValueError("expected a model of Keras's")
    except Exception as error:  # as above
        raise Damaged(path, error) from None


def seconds(folder: Path) -> float:
    """Processor time of a repetition so far."""
    kept = read_json(folder / _SECONDS) or 0
    return kept["seconds"] if isinstance(kept, dict) else kept  # a number in older runs


def check(folder: Path, repair: bool = False) -> None:
    """Read all state of a run, so that no damage enters its results, or ends it hours later.

    Raises Damaged; with ``repair``, what is damaged is deleted, and so will be made again, but for
    run.json, which only --force replaces.
    """
    read = {".json": read_json, ".npz": read_arrays, ".keras": check_model}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in read):
        if path.name.startswith("."):  # of a process that was killed as it wrote
            continue
        try:
            read[path.suffix](path)
        except Damaged:
            if not repair or path.name == IDENTITY:
                raise
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)  # a row without the rest of it


def open_run(folder: Path, identity: Mapping[str, Any], force: bool = False) -> None:
    """Make the folder of a run, or take up the one that is there.

    Rows may be added to a run that is there, and words about its rows changed. A folder with
    something else is a ValueError: a run of other settings, with rows that were made otherwise, or
    of another backend, unless ``force`` deletes it; or files that are no run, which are kept.

    Args:
        folder: where the run lives.
        identity: "config", its settings; "comparison", its rows; "backend", Keras's, on another one
            of which the same settings give other last digits.
        force: delete the run that is there and start anew.
    """
    identity = as_read_back(identity)
    try:
        found = read_json(folder / IDENTITY)
    except Damaged:
        if not force:
            raise
        found = {}
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
        write_json(folder / IDENTITY, identity)


def as_read_back(content: Any) -> Any:
    """As ``write_json`` and then ``read_json`` would give it: tuples as lists."""
    return json.loads(json.dumps(content))


def environment() -> dict[str, Any]:
    """What results may depend on: "python", "packages", "commit", "machine", "cores"."""
    packages = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    return {
        "python": platform.python_version(),
        "packages": packages,
        "commit": commit(),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        "cores": num_cores(),
    }


def commit() -> str | None:
    """The commit of this code, with "+" if files have changed since; None outside a clone."""

    def git(*arguments: str) -> str:
        command = ("git", "-C", str(Path(__file__).parent), *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What of a run that is there cannot stay."""

    def changes(old: Mapping[str, Any], new: Mapping[str, Any], of: str) -> list[str]:
        return [
            f"{key}{of} is {old.get(key)!r} there, {new.get(key)!r} here"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]

    # Settings that came later had their default in earlier runs.
    defaults = as_read_back(dataclasses.asdict(Config()))
    old, new = ({**defaults, **run["config"], "backend": run["backend"]} for run in (found, wanted))
    differences = changes(old, new, "")
    rows, wanted_rows = (compared(run).rows for run in (found, wanted))
    for key, row in rows.items():
        if key not in wanted_rows:
            differences.append(f"row {key!r} is there, not here")
            continue
        old, new = (
            {repr(part): getattr(one, part) for part in MAKES_A_ROW}
            for one in (row, wanted_rows[key])
        )
        differences += changes(old, new, f" of row {key!r}")
    return differences


def _processor() -> str:
    # platform.processor() is empty on most Linux systems.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def _checksum(content: Any) -> str:
    """Of what JSON knows of it."""
    return hashlib.sha256(json.dumps(content, default=_plain).encode()).hexdigest()


def _checksum_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name, array in arrays.items():
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return found.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"Cannot write {type(value)} as JSON")
