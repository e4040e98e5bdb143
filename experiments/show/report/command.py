"""The command that makes a run, worked out from what its folder says."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path

from experiments import config as configuration
from experiments import runs
from experiments.config import Config
from experiments.rows import Comparison, compared
from experiments.studies import main_job, plan

ROOT = Path(__file__).parents[3]
RUNS = Path("runs")  # the default of --runs


def command(folder: Path) -> str:
    """The command that makes a run, or finishes it, as a line for a shell in the repository's root.

    Of a study whose file is not among ``experiments/studies``, or has changed since, STUDY.toml
    stands for the file.
    """
    folder, run = folder.resolve(), runs.read_json(folder / "run.json")
    config, rows = configuration.make(run["config"]), compared(run)
    if _same(rows, main_job.comparison(config.models, config.network)):
        home = folder.parent
        arguments = [*_main_job(config), "--name", folder.name]
    else:
        home = folder.parent.parent
        file, arguments = _study(config, rows, folder.name)
        if file.stem != folder.parent.name:
            arguments += ["--name", folder.parent.name]
    if home != RUNS.resolve():
        arguments += ["--runs", str(home)]
    backend = "" if run["backend"] == "tensorflow" else f"KERAS_BACKEND={run['backend']} "
    return backend + shlex.join(["python", "-m", "experiments.compare", *arguments])


def _main_job(config: Config) -> list[str]:
    def arguments(quick: bool) -> list[str]:
        preset = main_job.task(config.dataset, quick, {}).config
        start = ["--dataset", config.dataset, *(["--quick"] if quick else [])]
        return start + _options(config, preset)

    return min(arguments(quick=False), arguments(quick=True), key=len)


def _study(config: Config, rows: Comparison, name: str) -> tuple[Path, list[str]]:
    found = []
    for path in sorted((ROOT / "experiments/studies").glob("*.toml")):
        task = plan.read(path).tasks.get(name)
        if task and _same(task.comparison, rows):
            found.append((path.relative_to(ROOT), _options(config, task.config)))
    # A study and its full preset have the same rows: the one that differs least.
    file, options = min(found, key=lambda one: len(one[1]), default=(Path("STUDY.toml"), []))
    return file, ["--config", str(file), "--settings", name, *options]


def _options(config: Config, base: Config) -> list[str]:
    """What turns one configuration into another, as the command line has it."""
    words = []
    for key, value in dataclasses.asdict(config).items():
        if value != getattr(base, key):
            values = value if isinstance(value, tuple) else [value]
            words += [f"--{key.replace('_', '-')}", *map(str, values)]
    return words


def _same(one: Comparison, other: Comparison) -> bool:
    # As JSON, where lists and tuples are one.
    return json.dumps(dataclasses.asdict(one)) == json.dumps(dataclasses.asdict(other))
