"""The main job: U-Net, U-Net + offline CRF and U-Net + CRF-RNN, compared fairly; and the studies.

    python -m experiments.compare                                  the phantom, minutes
    python -m experiments.compare --dataset hippocampus --quick    real volumes, a first look
    python -m experiments.compare --dataset hippocampus            real volumes, hours
    python -m experiments.compare --models fcn8s unet unet+crfrnn  other networks, a row for each
    python -m experiments.compare --config experiments/studies/controlled.toml     a study, hours

Writes runs/<name>/: table.md, results.json, curves.png, pictures/; of a study, one such folder per
setting, and study.json. May be interrupted at any time (Ctrl-C, power cut): the same command goes
on where it was and ends with the same table.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import logging
import multiprocessing
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from crfrnn.cores import num_cores
from experiments import config as configuration
from experiments import inputs, presets, runs, study
from experiments.config import Config
from experiments.rows import CRF, Comparison, compared, comparison
from experiments.show import curves, pictures, run_table
from experiments.study import Study


class Run(NamedTuple):
    """A folder and what is compared there."""

    folder: Path
    config: Config
    comparison: Comparison

    @property
    def finished(self) -> bool:
        results = runs.read_json(self.folder / "results.json")
        if results is None:
            return False
        made, asked = (
            runs.as_read_back(dataclasses.asdict(rows))
            for rows in (compared(results), self.comparison)
        )
        return made == asked

    def rows(self, seed: int) -> dict[str, Path]:
        """Where the results of one repetition are, or will be, by row."""
        return {key: self.folder / f"seed-{seed}" / f"{key}.json" for key in self.comparison.rows}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison from command line arguments; returns the exit status."""
    parser = make_parser(__doc__)
    parser.add_argument("--config", type=Path, metavar="FILE", help="of a study, see study.py")
    parser.add_argument("--settings", nargs="+", metavar="NAME", help="of the study; default: all")
    options = parser.parse_args(arguments)
    folders = open_runs(parser, options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: ends the workers too
    finished = all(run.finished for run in folders)
    try:
        compare(folders, options.jobs)
    except KeyboardInterrupt:
        places = folders[0].folder if len(folders) == 1 else folders[0].folder.parent
        print(f"\nInterrupted. The same command goes on from the last checkpoint in {places}.")
        return 130
    except runs.OtherNetwork as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    for run in folders:
        print((run.folder / "table.md").read_text("utf-8"))
        print(f"Table, results, learning curves and pictures: {run.folder}")
        print(f"All on one page: python -m experiments.report {shlex.quote(str(run.folder))}\n")
    if options.config:
        path = study.collect(read_study(options), folders[0].folder.parent)
        print(f"Results of the study, as far as it has run: {path}")
    if finished:
        print("This run was finished before. --force repeats it.")
    return 0


def compare(folders: Sequence[Run], jobs: int | None = None) -> None:
    """Make all repetitions of all runs, and write results, table, curves and pictures of each.

    Args:
        folders: the runs; what is finished there is kept.
        jobs: repetitions side by side; None = as many as the cores allow. The results do not
            depend on it.
    """
    left = [run for run in folders if not run.finished]
    work = [
        (run, seed)
        for run in left
        for seed in range(run.config.seeds)
        if not all(path.exists() for path in run.rows(seed).values())
    ]
    missing = collections.Counter(run.folder for run, _ in work)
    for run in left:
        if not missing[run.folder]:  # killed after its last repetition
            finish(run)
    if not work:
        return
    jobs = jobs or max(1, min(len(work), num_cores() // work[0][0].config.threads))
    for run in _side_by_side(work, jobs) if len(work) > 1 else map(_here, work):
        missing[run.folder] -= 1
        if not missing[run.folder]:
            finish(run)


def finish(run: Run) -> None:
    """Write results, table, curves and pictures of a run whose repetitions are done."""
    folder, numbers = run.folder, range(run.config.seeds)
    seeds = [
        {key: runs.read_json(path) for key, path in run.rows(number).items()} for number in numbers
    ]
    times = [runs.read_json(folder / f"seed-{number}" / "seconds.json") or 0 for number in numbers]
    commits = dict.fromkeys(row.get("commit") for seed in seeds for row in seed.values())
    results = {
        "config": dataclasses.asdict(run.config),
        "comparison": dataclasses.asdict(run.comparison),
        "backend": os.environ["KERAS_BACKEND"],
        **runs.environment(),
        # Of the processor, all repetitions together.
        "seconds": round(sum(times)),
        "commit": ", ".join(filter(None, commits)) or None,  # of the rows
        "seeds": seeds,
    }
    run_table.write(results, folder)
    curves.draw(results, folder)
    pictures.draw(run.config, run.comparison, results, folder)
    # Left by a process that was killed.
    for pattern in ("*.unfinished", "unfinished-*", "*.checkpoint.npz"):
        for left in folder.rglob(pattern):
            left.unlink()
    # Last: its presence says that everything is there.
    runs.write_json(folder / "results.json", results)


def repeat(run: Run, seed: int) -> None:
    """Make and evaluate all rows of one seed; see ``repetition.run``."""
    # Not news: each row has a model, and each model is traced for each size of images.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # Imported here: Keras reads its backend and the number of threads when it is imported, and
    # the process that only waits for others needs none.
    from experiments import repetition

    repetition.run(run.config, run.comparison, seed, run.folder)


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Options for the choice of a run and for every setting."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer seeds, cases and updates")
    parser.add_argument("--name", help="of the folder; default: the data set, and -quick")
    parser.add_argument("--runs", default="runs", help="where runs live (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="delete the run that is there")
    parser.add_argument("--jobs", type=int, help="seeds side by side (default: as cores allow)")
    configuration.add_arguments(parser)
    return parser


def open_runs(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Run]:
    """Check that the data are there, and make or take up the folders of the runs.

    What is wrong with the arguments ends the program with a message and status 2.
    """
    try:
        asked = _of_study(options) if getattr(options, "config", None) else [_single(options)]
        _set_environment(asked[0].config.threads)
        for run in asked:
            _check_names(run)
            _check_energy(run)
            inputs.split(run.config, seed=0)
        for run in asked:
            identity = {
                "config": dataclasses.asdict(run.config),
                "comparison": dataclasses.asdict(run.comparison),
                "backend": os.environ["KERAS_BACKEND"],
            }
            runs.open_run(run.folder, identity, options.force)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    return asked


def _single(options: argparse.Namespace) -> Run:
    dataset = getattr(options, "dataset", Config.dataset)
    preset = presets.preset(dataset, options.quick)
    config = configuration.from_arguments(preset, options)
    name = options.name or "-".join(
        [Path(dataset).name, *config.models, *(["quick"] if options.quick else [])]
    )
    return Run(Path(options.runs, name), config, comparison(config.models, config.network))


def _of_study(options: argparse.Namespace) -> list[Run]:
    asked = read_study(options)
    wanted = options.settings or [*asked.settings]
    if unknown := [name for name in wanted if name not in asked.settings]:
        raise ValueError(f"No setting {unknown[0]!r}. Expected some of {', '.join(asked.settings)}")
    folder = Path(options.runs, options.name or asked.name)
    return [Run(folder / name, *asked.settings[name]) for name in wanted]


def read_study(options: argparse.Namespace) -> Study:
    """The study of ``--config``, with the settings given as options changed everywhere."""
    if options.quick:
        raise ValueError(
            "--quick is of the main job. Of a study, change settings by their options."
        )
    return study.read(options.config, configuration.given(options))


def _check_names(run: Run) -> None:
    rows = run.comparison.rows.values()
    named = {run.config.network, *(row.settings.get("network", Config.network) for row in rows)}
    if named == {Config.network}:
        return
    import unet  # not above: it imports Keras, which the waiting process does not need otherwise

    for name in sorted(named):
        if name not in unet.names():
            raise ValueError(
                f"Unknown network {name!r}. Expected one of {', '.join(unet.names())}, in --models "
                f"also with {CRF} behind it."
            )


def _check_energy(run: Run) -> None:
    for key, row in run.comparison.rows.items():
        weight = row.settings.get("energy_weight", run.config.energy_weight)
        if weight and row.kind == "network" and not row.of:
            raise ValueError(
                f"energy_weight of row {key!r} is {weight}, but the row rests on no other one, "
                "whose search would give the energy its bandwidths. Give such rows an "
                "energy_weight and `of` in a study's file."
            )


def _here(one: tuple[Run, int]) -> Run:
    repeat(*one)
    return one[0]


def _side_by_side(work: Sequence[tuple[Run, int]], jobs: int) -> Iterator[Run]:
    """Repeat in processes, ``jobs`` at a time; yields the run of each repetition when it is done.

    Each has a process of its own: TensorFlow keeps the graphs of models that are gone, about a
    gigabyte for the rows of one repetition.
    """
    # Spawned, not forked: a fork of a process with running threads (TensorFlow's) may hang.
    spawn = multiprocessing.get_context("spawn")
    lock = spawn.RLock()  # so that progress bars take turns

    def alone(run: Run, seed: int) -> Run:
        with futures.ProcessPoolExecutor(
            1, mp_context=spawn, initializer=_start_worker, initargs=(lock,)
        ) as process:
            process.submit(repeat, run, seed).result()  # raises what the process raised
        return run

    threads = futures.ThreadPoolExecutor(jobs)  # which only wait
    running = [threads.submit(alone, *one) for one in work]
    try:
        for done in futures.as_completed(running):
            yield done.result()
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        # Again and again: one may just be about to start its process.
        while any(one.running() for one in running):
            for process in multiprocessing.active_children():
                process.terminate()
            time.sleep(0.1)
        raise
    finally:
        threads.shutdown()


def _start_worker(lock: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    tqdm.set_lock(lock)
    # Killed, the main process cannot end its workers, and who starts it again would have two.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _set_environment(threads: int) -> None:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its banner would break the bars
    # One number for all libraries: results are equal bit for bit only with equal threads.
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(threads)


if __name__ == "__main__":
    sys.exit(main())
