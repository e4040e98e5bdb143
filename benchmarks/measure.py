"""How things are measured here: interleaved repeats, fresh processes, peak memory, result files."""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib.util
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from benchmarks import workloads
from crfrnn.cores import num_cores
from crfrnn.files import replacing

PACKAGES = (
    *("numpy", "keras", "tensorflow", "jax", "torch"),
    *("pydensecrf2", "pydensecrf", "scikit-image"),
)
ROOT = Path(__file__).parents[1]


def alternate(
    contenders: dict[str, Callable[[], Any]], repeats: int, seconds: float = 60.0
) -> dict[str, dict[str, Any]]:
    """Times contenders in turn, so that a busy moment of the machine hits all of them.

    Args:
        contenders: name -> function without arguments, which returns when its result is there.
        repeats: rounds after one call to warm up (compilation, first use of memory).
        seconds: a contender that has taken this long in total is left out of further rounds; one
            whose warm-up took as long is not repeated at all.

    Returns:
        name -> {"ms": median, or the warm-up's time where nothing was repeated; "times_ms": every
        repeat in order; "first_ms": the warm-up; "cpu_ms": median time on processors, all threads
        together, which on one thread says more than "ms" where others use the processors too}.
    """
    runs = {name: [_milliseconds(function)] for name, function in contenders.items()}
    for _ in range(repeats):
        for name, function in contenders.items():
            if sum(wall for wall, _ in runs[name]) < 1e3 * seconds:
                runs[name].append(_milliseconds(function))
    found = {}
    for name, (first, *others) in runs.items():
        wall, cpu = zip(*(others or [first]), strict=True)
        times = {"times_ms": [w for w, _ in others], "first_ms": first[0]}
        found[name] = {"ms": median(wall), "cpu_ms": median(cpu), **times}
    return found


def has_pydensecrf() -> bool:
    return importlib.util.find_spec("pydensecrf") is not None


def median(numbers: Iterable[float]) -> float:
    ordered = sorted(numbers)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _milliseconds(function: Callable[[], Any]) -> tuple[float, float]:
    """Time on the clock and on processors."""
    gc.collect()  # not in the middle of the measurement
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


# ---- Memory ------------------------------------------------------------------------------------


def peak_growth_mb(function: Callable[[], Any]) -> float | None:
    """How far the resident memory of this process rises above its present size during a call.

    MB of 2^20 bytes; None where the system does not tell (anything but Linux). Meaningful once per
    process: what an earlier call has freed may be used again without the process growing.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else the call lives on what the inputs' making has freed
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak, VmHWM, to the present size
    before = _status_kb("VmRSS")
    result = function()
    peak = _status_kb("VmHWM")
    del result
    return (peak - before) / 1024


def _status_kb(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


# ---- Processes ---------------------------------------------------------------------------------


def in_fresh_process(
    function: Callable,
    *arguments: Any,
    options: argparse.Namespace,
    threads: int | None = None,
) -> Any:
    """function(*arguments) in a new Python process: memory is fresh, threads can still be chosen.

    options: those of `add_options`; threads: default all, on a CPU.
    """
    wait_until_quiet(options.wait)
    settings = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": options.backend}
    if options.device == "cpu":
        settings |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    if threads is not None:
        # crfrnn and PyTorch; TensorFlow, twice; JAX.
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC")
        settings |= dict.fromkeys(names, str(threads))
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
            return pool.submit(function, *arguments).result()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def check_device(options: argparse.Namespace) -> None:
    """Ends the program when a GPU was asked for and the backend has none."""
    from benchmarks.compiled import has_gpu

    if options.device == "gpu" and not in_fresh_process(has_gpu, options=options):
        sys.exit(f"--device gpu, but Keras on {options.backend} sees no GPU.")


class Load:
    """What else the machine did during a `with` block: `report` after it."""

    def __enter__(self) -> Load:
        self._start = time.perf_counter()
        self._system, self._own = _busy_seconds()
        self.report: dict[str, Any] = {"load_average_before": os.getloadavg()}
        return self

    def __exit__(self, *error: Any) -> None:
        system, own = _busy_seconds()
        others = (system - self._system) - (own - self._own)
        seconds = time.perf_counter() - self._start
        self.report |= {
            "load_average_after": os.getloadavg(),
            "cores_busy_with_others": round(max(0.0, others / seconds), 2),
        }


def _busy_seconds() -> tuple[float, float]:
    """CPU seconds used so far by the whole machine, and by this process and its children."""
    system, own = psutil.cpu_times(), os.times()
    # Virtual machines: time stolen by the host's other guests is lost to us as well.
    busy = system.user + system.system + getattr(system, "steal", 0.0)
    return busy, own.user + own.system + own.children_user + own.children_system


def timed(
    contenders: dict[str, Callable[[], Any]], repeats: int, seconds: float = 60.0
) -> dict[str, Any]:
    """`alternate`, and what else the machine did meanwhile."""
    with Load() as load:
        times = alternate(contenders, repeats, seconds)
    return {"times": times, "load": load.report}


def wait_until_quiet(minutes: float, others: float = 0.15) -> None:
    """Returns when others use less than `others` cores for 3 seconds; gives up after `minutes`."""
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        with Load() as load:
            time.sleep(3)
        if load.report["cores_busy_with_others"] < others:
            return


# ---- Options and result files ------------------------------------------------------------------


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that the benchmarks of the four workloads share."""
    parser.add_argument("--workloads", default=workloads.NAMES, help="some of ABCD")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0, help="of the grids, for a quick trial")
    parser.add_argument(
        "--backend",
        choices=("tensorflow", "jax", "torch"),
        default=os.environ.get("KERAS_BACKEND", "tensorflow"),
    )
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    add_run_options(parser)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options that all benchmarks share."""
    parser.add_argument("--output", help="JSON file; default: a new one under runs/benchmarks/")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --output")
    parser.add_argument(
        "--wait", type=float, default=0.0, help="minutes to wait for a quiet machine, per part"
    )


def circumstances(device: str, backend: str) -> dict[str, Any]:
    """What a reader must know of a measurement: code, versions and machine."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    import crfrnn

    native = {k: v for k, v in crfrnn.native_status().items() if k not in ("path", "threads")}
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "versions": {"python": platform.python_version(), "crfrnn": crfrnn.__version__, **versions},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "cores": num_cores(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        },
        "priority": os.nice(0),  # below 0: ahead of the machine's other work
        "device": device,
        "backend": backend,
        "native": native,
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def output_path(options: argparse.Namespace, suite: str) -> Path:
    """Where to write: the path given, or a new one under runs/benchmarks/."""
    if options.output is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        name = f"{suite}--{options.device}-{options.backend}--{stamp}.json"
        return ROOT / "runs" / "benchmarks" / name
    path = Path(options.output)
    if path.exists() and not options.overwrite:
        sys.exit(f"{path} exists. Name another --output, or give --overwrite to replace it.")
    return path


def write_json(path: Path, content: Any) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1), "utf-8")


def print_table(header: list[str], rows: list[list[Any]]) -> None:
    """Prints rows under their header in columns; floats with three digits, None as a dash."""

    def text(cell: Any) -> str:
        if cell is None:
            return "-"
        if isinstance(cell, float):
            return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
        return str(cell)

    cells = [header, *([text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
