"""The main job: U-Net, U-Net + offline CRF and U-Net + CRF-RNN, compared fairly; and the studies.

    python -m experiments.compare                                  the phantom, minutes
    python -m experiments.compare --dataset hippocampus --quick    real volumes, a first look
    python -m experiments.compare --dataset hippocampus            real volumes, hours
    python -m experiments.compare --models fcn8s unet unet+crfrnn  other networks, a row for each
    python -m experiments.compare --config experiments/studies/controlled.toml     a study, hours
    python -m experiments.compare --seed 3 --dataset hippocampus   one seed, on a machine of its own
    python -m experiments.compare --cluster tcp://host:8786        seeds on the workers of Dask

Writes runs/<name>/: table.md, results.json, curves.png, pictures/; of a study, one such folder per
setting, and study.json. May be interrupted at any time (Ctrl-C, power cut): the same command goes
on where it was and ends with the same table.
"""

from __future__ import annotations

import argparse
import collections
import functools
import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib

from crfrnn.cores import num_cores
from data import Case
from experiments import quiet, runs
from experiments.asked import Run
from experiments.cluster import missing_there, on_cluster
from experiments.config import Config
from experiments.options import add_options, given_options
from experiments.show import curves, pictures, run_table
from experiments.studies import main_job, needs, plan
from experiments.studies.doubts import doubts
from experiments.train import inputs
from experiments.workers import side_by_side


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison from command line arguments; returns the exit status."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.cluster and options.jobs:
        parser.error("--jobs is for this machine: a cluster has as many as it has workers")
    try:
        asked = open_runs(options)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))  # ends the program with status 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: ends the workers too
    before = all(run.finished for run in asked)
    try:
        compare(asked, options.jobs, options.seed, options.cluster)
    except KeyboardInterrupt:
        places = asked[0].folder if len(asked) == 1 else asked[0].folder.parent
        print(f"\nInterrupted. The same command goes on from the last checkpoint in {places}.")
        return 130
    except (runs.OtherNetwork, runs.Damaged) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    for run in asked:
        if not run.finished:
            print(f"Models and results: {run.folder / f'seed-{options.seed}'}")
            continue
        print((run.folder / "table.md").read_text("utf-8"))
        print(f"Table, results, learning curves and pictures: {run.folder}")
        print(f"All on one page: python -m experiments.report {shlex.quote(str(run.folder))}\n")
    if options.config:
        try:
            path = plan.collect(_plan(options), asked[0].folder.parent)
        except runs.Damaged as error:  # of a setting that was not asked for now
            print(error, file=sys.stderr)
            return 1
        print(f"Results of the study, as far as it has run: {path}")
    if before:
        print("This run was finished before. --force repeats it.")
    return 0


def compare(
    asked: Sequence[Run],
    jobs: int | None = None,
    seed: int | None = None,
    cluster: str | None = None,
) -> None:
    """Make the repetitions of all runs, and write results, table, curves and pictures of each.

    What is finished is kept. jobs: repetitions side by side, on which no result depends; None = as
    the cores allow. seed: the only repetition to make; None = all. cluster: address of the Dask
    scheduler whose workers make them; None = this machine.
    """
    left = [run for run in asked if not run.finished]
    missing = [
        (run, number)
        for run in left
        for number in range(run.config.seeds)
        if not all(path.exists() for path in run.rows(number).values())
    ]
    counts = collections.Counter(run.folder for run, _ in missing)
    for run in left:
        if not counts[run.folder]:  # killed after its last repetition
            finish(run)
    work = [one for one in missing if seed in (None, one[1])]
    jobs = jobs or max(1, num_cores() // asked[0].config.threads)
    made = on_cluster(repeat, work, cluster) if cluster else side_by_side(repeat, work, jobs)
    for run, _ in made:
        counts[run.folder] -= 1
        if not counts[run.folder]:
            finish(run)


def repeat(run: Run, seed: int) -> None:
    """Make and score all rows of one seed; see ``repetition.run``."""
    quiet.tensorflow()
    # Not news: each row has a model, and each model is traced for each size of images.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # Imported here: Keras reads its backend and the number of threads when it is imported, and
    # the process that only waits for others needs none.
    from experiments import repetition

    repetition.run(run.config, run.comparison, seed, run.folder)


def finish(run: Run) -> None:
    """Write results, table, curves and pictures of a run whose repetitions are done."""
    folder, numbers = run.folder, range(run.config.seeds)
    seeds = [
        {key: runs.read_json(path) for key, path in run.rows(number).items()} for number in numbers
    ]
    times = [runs.seconds(folder / f"seed-{number}") for number in numbers]
    commits = dict.fromkeys(row.get("commit") for seed in seeds for row in seed.values())
    results = {
        **run.identity,
        **runs.environment(),
        # Of the processor, all repetitions together.
        "seconds": round(sum(times)),
        "commit": ", ".join(filter(None, commits)) or None,  # of the rows
        "seeds": seeds,
    }
    run_table.write(results, folder)
    with matplotlib.rc_context({"text.parse_math": False}):  # names of others may have a "$"
        curves.draw(results, folder)
        pictures.draw(run.config, run.comparison, results, folder)
    for pattern in (".unfinished-*", "*.checkpoint.npz"):  # left by a process that was killed
        for left in folder.rglob(pattern):
            left.unlink()
    # Last: its presence says that everything is there.
    runs.write_json(folder / "results.json", results)


def make_parser() -> argparse.ArgumentParser:
    """Options for the choice of a run and for every setting."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s [options]",  # else an error stands below sixty of them
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer seeds, cases and updates")
    parser.add_argument("--name", help="of the folder; default: the data set, and -quick")
    parser.add_argument("--runs", default="runs", help="where runs live (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="delete the run that is there")
    parser.add_argument("--repair", action="store_true", help="make again what is damaged there")
    parser.add_argument("--jobs", type=int, help="seeds side by side (default: as cores allow)")
    parser.add_argument(
        "--cluster", metavar="tcp://HOST:PORT", help="of Dask, to make the seeds: see cluster.py"
    )
    parser.add_argument("--seed", type=int, help="only this one of the seeds, 0 .. seeds-1")
    parser.add_argument("--config", type=Path, metavar="FILE", help="of a study: studies/plan.py")
    parser.add_argument("--settings", nargs="+", metavar="NAME", help="of the study; default: all")
    add_options(parser)
    return parser


def open_runs(options: argparse.Namespace) -> list[Run]:
    """Check options and data (ValueError, FileNotFoundError), and make or take up the folders."""
    asked = _of_study(options) if options.config else [_single(options)]
    _set_environment(asked[0].config.threads)
    there = functools.partial(missing_there, options.cluster) if options.cluster else None
    needs.check([run.comparison.rows if options.force else run.to_make for run in asked], there)
    for run in asked:
        if options.seed is not None and not 0 <= options.seed < run.config.seeds:
            last = run.config.seeds - 1
            raise ValueError(f"--seed must be from 0 to {last}. Received: {options.seed}")
        _check_names(run)
        _check_energy(run)
        parts = inputs.split(run.config, seed=0)
        _check_background(run, parts["test"])
        for doubt in doubts(run.config, parts):
            print(f"{run.folder.name}: {doubt}", file=sys.stderr)
    for run in asked:
        runs.open_run(run.folder, run.identity, options.force)
        runs.check(run.folder, options.repair)
    return asked


def _single(options: argparse.Namespace) -> Run:
    given = given_options(options)
    dataset = given.get("dataset", Config.dataset)
    config, rows = main_job.task(dataset, options.quick, given)
    name = "-".join([Path(dataset).name, *config.models, *(["quick"] if options.quick else [])])
    return Run(Path(options.runs, options.name or name), config, rows)


def _of_study(options: argparse.Namespace) -> list[Run]:
    asked = _plan(options)
    wanted = options.settings or [*asked.tasks]
    if unknown := [name for name in wanted if name not in asked.tasks]:
        raise ValueError(f"No setting {unknown[0]!r}. Expected some of {', '.join(asked.tasks)}")
    folder = Path(options.runs, options.name or asked.name)
    return [Run(folder / name, *asked.tasks[name]) for name in wanted]


def _plan(options: argparse.Namespace) -> plan.Plan:
    """What ``--config`` asks, with the settings given as options changed everywhere."""
    if options.quick:
        raise ValueError(
            "--quick is of the main job. Of a study, change settings by their options."
        )
    return plan.read(options.config, given_options(options))


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
                f"also with {main_job.PLUS_CRF} behind it."
            )


def _check_energy(run: Run) -> None:
    for key, row in run.comparison.rows.items():
        weight = row.settings.get("energy_weight", run.config.energy_weight)
        if len(row.of) < row.how.rests_on({"energy_weight": weight})[0]:
            raise ValueError(
                f"energy_weight of row {key!r} is {weight}, but the row rests on no other one, "
                "whose search would give the energy its bandwidths. Give such rows an "
                "energy_weight and `of` in a study's file."
            )


def _check_background(run: Run, cases: Sequence[Case]) -> None:
    if cases[0].background is not None:
        return
    for key, row in run.comparison.rows.items():
        if row.how.needs_background:
            raise ValueError(
                f"Row {key!r} is of kind {row.kind!r}, which needs a background, and "
                f'{run.config.dataset!r} says "background": null. In a study\'s file, leave it out '
                f'for this setting: without = ["{key}"].'
            )


def _set_environment(threads: int) -> None:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    quiet.tensorflow()
    # One number for all libraries: results are equal bit for bit only with equal threads.
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(threads)


if __name__ == "__main__":
    from experiments import compare as importable  # by a worker, which has another main module

    sys.exit(importable.main())
