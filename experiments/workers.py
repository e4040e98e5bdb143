"""Tasks side by side, each in a process of its own, which ends when the main process does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any

from tqdm import tqdm


def side_by_side(
    function: Callable[..., Any], tasks: Sequence[tuple], jobs: int
) -> Iterator[tuple]:
    """Call a function of a module with each of the tasks, ``jobs`` at a time; a single one here.

    Each has a process of its own: TensorFlow keeps the graphs of models that are gone, about a
    gigabyte for the rows of one repetition. Yields each task when it is done; raises what the
    function raised, when the other processes have been ended.
    """
    if len(tasks) == 1:
        function(*tasks[0])
        yield tasks[0]
        return
    # Spawned, not forked: a fork of a process with running threads (TensorFlow's) may hang.
    spawn = multiprocessing.get_context("spawn")
    options = {"mp_context": spawn, "initializer": _start, "initargs": (spawn.RLock(),)}

    def alone(task: tuple) -> tuple:
        with futures.ProcessPoolExecutor(1, **options) as process:
            process.submit(function, *task).result()
        return task

    threads = futures.ThreadPoolExecutor(jobs)  # which only wait
    running = [threads.submit(alone, task) for task in tasks]
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


def stop_if_orphaned() -> None:
    """End a process whose main process was killed: two runs in one folder disturb each other."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit("The main process is gone.")


def _start(lock: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    tqdm.set_lock(lock)  # so that progress bars take turns
    # Killed, the main process cannot end its workers, and who starts it again would have two.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
