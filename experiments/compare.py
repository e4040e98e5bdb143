"""The main job: U-Net, U-Net + offline CRF and U-Net + CRF-RNN, compared fairly.

    python -m experiments.compare                                  the phantom, minutes
    python -m experiments.compare --dataset hippocampus --quick    real volumes, a first look
    python -m experiments.compare --dataset hippocampus            real volumes, hours
    python -m experiments.compare --models fcn8s unet unet+crfrnn  other networks, a row for each

Writes runs/<name>/: table.md, results.json, curves.png, pictures/. May be interrupted at any time
(Ctrl-C, power cut): the same command goes on where it was and ends with the same table.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

from tqdm import tqdm

from experiments import config as configuration
from experiments import curves, inputs, pictures, presets, runs, table
from experiments.config import Config
from experiments.rows import CRF, comparison


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison from command line arguments; returns the exit status."""
    config, folder, options = open_run(make_parser(__doc__), arguments)
    if (folder / "results.json").exists():
        print((folder / "table.md").read_text())
        print(f"This run was finished before: {folder}. --force repeats it.")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: ends the workers too
    try:
        compare(config, folder, options.jobs)
    except KeyboardInterrupt:
        print(f"\nInterrupted. The same command goes on from the last checkpoint in {folder}.")
        return 130
    print((folder / "table.md").read_text())
    print(f"Table, results, learning curves and pictures: {folder}")
    return 0


def compare(config: Config, folder: Path, jobs: int | None = None) -> None:
    """Run all repetitions, then write results, table, curves and pictures.

    Args:
        config: see ``Config``.
        folder: of the run; what is finished there is kept.
        jobs: repetitions side by side; None = as many as the cores allow. The results do not
            depend on it.
    """
    start = time.monotonic()
    jobs = jobs or max(1, min(config.seeds, runs.num_cores() // config.threads))
    if jobs == 1:
        for seed in range(config.seeds):
            repeat(config, folder, seed)
    else:
        _side_by_side(config, folder, jobs)
    rows = comparison(config.models, config.network).rows
    results = {
        "config": dataclasses.asdict(config),
        "backend": os.environ["KERAS_BACKEND"],
        **runs.environment(),
        "seconds": round(time.monotonic() - start),  # of this process: less if it was resumed
        "seeds": [
            {
                name: runs.read_json(folder / f"seed-{seed}" / f"{row.result}.json")
                for name, row in rows.items()
            }
            for seed in range(config.seeds)
        ],
    }
    table.write(results, folder)
    curves.draw(results, folder)
    pictures.draw(config, results, folder)
    # Last: its presence says that everything is there.
    runs.write_json(folder / "results.json", results)


def repeat(config: Config, folder: Path, seed: int) -> None:
    """Train and evaluate all rows of one seed; see ``repetition.run``."""
    # Imported here: Keras reads its backend and the number of threads when it is imported, and
    # the process that only waits for others needs none.
    from experiments import repetition

    repetition.run(config, seed, folder)


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
    parser.set_defaults(dataset="phantom")
    return parser


def open_run(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> tuple[Config, Path, argparse.Namespace]:
    """Read the arguments, check that the data are there, and make or take up the run's folder.

    What is wrong with the arguments ends the program with a message and status 2.
    """
    options = parser.parse_args(arguments)
    try:
        preset = presets.preset(options.dataset, options.quick)
        config = configuration.from_arguments(preset, options)
        _set_environment(config.threads)
        _check_names(config)
        inputs.split(config, seed=0)
        name = options.name or "-".join(
            [Path(options.dataset).name, *config.models, *(["quick"] if options.quick else [])]
        )
        folder = Path(options.runs, name)
        runs.open_run(folder, config, os.environ["KERAS_BACKEND"], options.force)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    return config, folder, options


def _check_names(config: Config) -> None:
    if not config.models and config.network == Config.network:
        return
    import unet  # not above: it imports Keras, which the waiting process does not need otherwise

    for name in (config.network, *(model.removesuffix(CRF) for model in config.models)):
        if name not in unet.names():
            raise ValueError(
                f"Unknown network {name!r}. Expected one of {', '.join(unet.names())}, in --models "
                f"also with {CRF} behind it."
            )


def _side_by_side(config: Config, folder: Path, jobs: int) -> None:
    # Spawned, not forked: a fork of a process with running threads (TensorFlow's) may hang.
    spawn = multiprocessing.get_context("spawn")
    pool = futures.ProcessPoolExecutor(
        jobs,
        mp_context=spawn,
        initializer=_start_worker,
        initargs=(spawn.RLock(),),  # so that progress bars take turns
    )
    try:
        running = [pool.submit(repeat, config, folder, seed) for seed in range(config.seeds)]
        for done in futures.as_completed(running):
            done.result()  # raises what the worker raised
    except BaseException:
        # Not pool.shutdown: it would wait for the repetitions that are running.
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(lock: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    tqdm.set_lock(lock)


def _set_environment(threads: int) -> None:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its banner would break the bars
    # One number for all libraries: results are equal bit for bit only with equal threads.
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(threads)


if __name__ == "__main__":
    sys.exit(main())
