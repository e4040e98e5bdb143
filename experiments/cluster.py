"""Tasks on the machines of a Dask cluster, each in a process of its own on a worker.

Of the workers: started at the root of a clone of this repository (``python -m dask worker
tcp://... --nthreads 1``), they see the folder of runs under the same path. A worker that dies costs
its own task only, which another takes up at its last checkpoint.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from crfrnn.optional import needed
from experiments.studies.needs import missing_here

ROOT = Path(__file__).parents[1]
_LOOK = 0.5  # seconds between looks whether a task is still wanted

# What results depend on, and a worker may have otherwise.
_SETTINGS = (
    *("KERAS_BACKEND", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    *("CRFRNN_DATA", "JAX_DISABLE_MOST_OPTIMIZATIONS", "TF_ENABLE_ONEDNN_OPTS"),
)


def on_cluster(
    function: Callable[..., Any], tasks: Sequence[tuple], address: str
) -> Iterator[tuple]:
    """As ``workers.side_by_side``, on the workers of a scheduler at ``tcp://...``."""
    distributed = needed("distributed", "Clusters", "cluster")
    settings = {name: os.environ.get(name) for name in _SETTINGS}
    # Whoever ends this block, and be it by kill -9, ends the tasks: the scheduler notices.
    with distributed.Client(address) as client:
        # Not pure: a function that writes files is to be called, whatever was called before.
        running = {
            client.submit(on_worker, pickle.dumps((function, task)), settings, pure=False): task
            for task in tasks
        }
        for future in distributed.as_completed(running):
            future.result()
            yield running[future]


def missing_there(address: str, modules: Iterable[str]) -> set[str]:
    """Those of some modules that a worker of a scheduler at ``tcp://...`` does not find."""
    distributed = needed("distributed", "Clusters", "cluster")
    with distributed.Client(address) as client:
        return set().union(*client.run(missing_here, [*modules]).values())


def on_worker(call: bytes, settings: dict[str, str | None]) -> None:
    """Make a pickled call in a process of its own, and end that when nobody wants it any more."""
    import distributed

    worker = distributed.get_worker()
    key = worker.get_current_task()
    command = [sys.executable, "-m", "experiments.cluster"]
    given = {name: value for name, value in (os.environ | settings).items() if value is not None}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, cwd=ROOT, env=given, stdin=subprocess.PIPE, stdout=log, stderr=log
        ) as process,
    ):
        stdin: Any = process.stdin
        try:
            stdin.write(call)
            stdin.flush()
            while process.poll() is None:
                task = worker.state.tasks.get(key)
                if task is None or task.state == "cancelled":
                    break
                time.sleep(_LOOK)
        finally:
            process.kill()
        if process.returncode:
            log.seek(0)
            words = log.read()[-2000:].decode(errors="replace")
            raise RuntimeError(f"It ended with status {process.returncode}, and said:\n{words}")


def main() -> None:
    """The process of a task: its call comes by standard input, which ends with the worker."""
    function, task = pickle.load(sys.stdin.buffer)

    def end_with_worker() -> None:
        os.read(sys.stdin.fileno(), 1)  # not by `sys.stdin`, whose lock Python needs at its end
        os._exit(1)

    threading.Thread(target=end_with_worker, daemon=True).start()
    function(*task)


if __name__ == "__main__":
    main()
