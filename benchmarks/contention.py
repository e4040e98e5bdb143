"""What two processes at once cost each other: by arithmetic, memory, and `crfrnn.refine`.

    python -m benchmarks.contention [--seconds 5] [--repeats 3]

Throughput of as many processes as there are cores, each with one thread, over that of one alone:
2.0 on two cores where nothing is shared. Arithmetic says whether they are two cores in truth, sums
over large arrays what is left where both wait for memory. `refine` works in memory, on an image of
`pseudo_labels` and the labels that are present, so that neither files nor starting count.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure
from benchmarks.pseudo_labels import BELOW, CRF, ITERATIONS, WORKLOADS, make

MEMORY_MB = 256  # more than any cache holds
PATIENCE = 300  # seconds until all workers have made what they work on


def arithmetic() -> Callable[[], Any]:
    """Numbers that stay in the first cache."""
    numbers = np.linspace(0, 1, 1000)
    return lambda: [np.sin(numbers) for _ in range(100)]


def memory() -> Callable[[], Any]:
    """Numbers that have to come from memory."""
    numbers = np.ones(MEMORY_MB * 2**20 // 4, np.float32)
    return numbers.sum


def refine(workload: str) -> Callable[[], Any]:
    from PIL import Image

    from crfrnn.offline.refine import refine_upsampled  # what `refine_many` calls of an image

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "files")
        make(WORKLOADS[workload], folder, 1)
        image = np.asarray(Image.open(folder / "images/0000.jpg"))
        probs = np.load(folder / "probs/0000.npy").astype(np.float32)
    probs /= probs.sum(-1, keepdims=True)
    how = dict(num_iterations=ITERATIONS, ignore_below=BELOW, **CRF)
    return lambda: refine_upsampled(image, probs, **how)


LOADS: dict[str, Callable[[], Callable[[], Any]]] = {
    "arithmetic": arithmetic,
    "memory": memory,
    **{f"refine {name}": lambda name=name: refine(name) for name in WORKLOADS},
}


def work(load: str, seconds: float, ready: Any, done: Any) -> None:
    """Repeats a load for some seconds from the moment when all are ready; puts its rate."""
    function = LOADS[load]()
    function()
    ready.wait(PATIENCE)
    start, count = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds:
        function()
        count += 1
    done.put(count / taken)


def throughput(load: str, processes: int, seconds: float) -> float:
    """Calls per second of so many processes together."""
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Barrier(processes), spawn.Queue()
    workers = [
        spawn.Process(target=work, args=(load, seconds, ready, done)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    # A worker that has failed has said why; the others must not wait for it for ever.
    total = sum(done.get(timeout=PATIENCE + seconds) for _ in workers)
    for worker in workers:
        worker.join()
    return total


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measures all loads in turn, alone and together, and writes the result."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started from here on
    path = measure.output_path(options, "contention")
    result = measure.circumstances(options.device, options.backend)
    processes = result["machine"]["cores"]
    result |= {"processes": processes, "seconds": options.seconds, "loads": {}}
    rates = {load: {1: [], processes: []} for load in options.loads}
    measure.wait_until_quiet(options.wait)
    with measure.Load() as load:
        for _ in range(options.repeats):
            for name, found in rates.items():
                for number in found:
                    found[number].append(throughput(name, number, options.seconds))
    for name, found in rates.items():
        alone, together = (measure.median(found[number]) for number in (1, processes))
        ratio = together / alone
        result["loads"][name] = {"alone": found[1], "together": found[processes], "ratio": ratio}
    result["load"] = load.report
    measure.write_json(path, result)
    rows = [
        [name, *map(measure.median, (one["alone"], one["together"])), one["ratio"]]
        for name, one in result["loads"].items()
    ]
    measure.print_table(["", "one, calls/s", f"{processes}, calls/s", "ratio"], rows)
    print(f"\nOthers used {load.report['cores_busy_with_others']} cores. Written to {path}")
    return result


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS))
    parser.add_argument("--seconds", type=float, default=5.0, help="of every measurement")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of all loads")
    measure.add_run_options(parser)
    parser.set_defaults(device="cpu", backend="tensorflow")  # no Keras takes part
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
