"""Work on many things at a time, one process per core: to be interrupted, and to lose a worker.

Only what the work is about goes to a worker and comes back, no array: workers read and write files.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from types import ModuleType
from typing import Any, TypeVar

from crfrnn.cli import allocation
from crfrnn.cores import num_cores

T = TypeVar("T")
Results = Generator[tuple[T, Any], None, None]

DIED = (
    "not done, because a worker process died, most likely for lack of memory. Run the same command "
    "again with fewer --jobs."
)

# Starting a worker takes about as long as this: it imports NumPy and crfrnn, and warms up.
_START_SECONDS = 1.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def here(work: Callable[[T], Any], items: Sequence[T]) -> Results:
    """Each item with work(item), in this process."""
    for item in items:
        yield item, work(item)


def as_many_as_pay(work: Callable[[T], Any], items: Sequence[T], processes: int) -> Results:
    """Here, and beside from when on what is left takes longer than starting workers."""
    seconds = 0.0
    for number, item in enumerate(items, 1):
        start = time.perf_counter()
        result = work(item)
        seconds += time.perf_counter() - start
        yield item, result
        saved = seconds / number * (len(items) - number) * (1 - 1 / processes)
        if processes > 1 and saved > _START_SECONDS:
            yield from beside(work, items[number:], processes)
            return


def beside(work: Callable[[T], Any], items: Sequence[T], processes: int) -> Results:
    """Each item with work(item), in processes of their own, in the order in which they finish.

    A worker that dies ends the others; what was not done is given `DIED`. Ctrl-C waits for what is
    in work, and is raised behind it.

    Args:
        work: importable; its results are sent back.
        items: can be sent to a process.
        processes: how many; they share the cores.
    """
    waiting = list(reversed(items))
    working: dict[Future, T] = {}
    interrupted = None
    threads = max(1, num_cores() // processes)
    # Spawned, not forked: the threads of the native library would not survive a fork.
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_prepare) as executor:
        while waiting or working:
            try:
                # No more than can work at once: what is queued in the executor cannot be stopped.
                with interrupts_later(), _as_parent_of_workers(threads):
                    while waiting and len(working) < processes:
                        future = executor.submit(work, waiting[-1])
                        working[future] = waiting.pop()
                done, _ = wait(working, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt as error:
                interrupted, waiting = error, []
                continue
            except BrokenProcessPool:
                break
            for future in done:
                yield working.pop(future), _result(future)
    for item in [*working.values(), *reversed(waiting)]:
        yield item, DIED
    if interrupted:
        raise interrupted


def _result(future: Future) -> Any:
    try:
        return future.result()
    except BrokenProcessPool:
        return DIED


@contextlib.contextmanager
def interrupts_later() -> Iterator[None]:
    """Ctrl-C takes effect at the end, and never in processes that are started meanwhile."""
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    came: list[int] = []
    # A handler, since a signal that only this thread blocks reaches the process by another thread
    # (a BLAS has some); a mask besides, since a started process inherits that and no handler.
    handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if came:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _as_parent_of_workers(threads: int) -> Iterator[None]:
    """What a worker that is started inside takes over from this process, and what it does not.

    Threads are counted when NumPy and the native library are loaded, so by the environment. The
    user's script is hidden: a worker would run it first, as a module, up to its own call of this,
    which those who have not read about `if __name__ == "__main__"` take for a bug, rightly.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    script = sys.modules["__main__"]
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _prepare() -> None:
    # The parent alone reacts to Ctrl-C, which a terminal sends to all of them. (Until a worker gets
    # here it has inherited a blocked signal, but for Windows.)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    allocation.keep_freed()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end its workers, which would go on for minutes."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
