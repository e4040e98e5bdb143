"""The tests of the native library, run with a build that has a sanitizer."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tools.sanitize.build import ROOT, Made, started

TESTS = tuple(f"tests/native/test_{name}.py" for name in ("native", "iterations", "threads"))
# A child that is forked while other threads allocate waits forever for the lock of a sanitizer's
# own allocator, which is copied as they held it.
_DEADLOCKS = ("tests/native/test_threads.py::test_a_fork_while_other_threads_are_busy",)
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so")


def run(made: Made) -> bool:
    """Run them in a copy of the package whose library is that of the build; whether all passed."""
    copy = made.shared_object.parent / "package"
    shutil.rmtree(copy, ignore_errors=True)
    for folder in ("crfrnn", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=_LEFT_OUT)
    for file in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / file, copy)
    shutil.copy(made.shared_object, copy / "crfrnn" / "native")
    # What Python itself never gives back is no leak of ours; those of the library the random calls
    # find. Not captured: what a sanitizer says before it ends the process.
    leaks = made.sanitizer.options.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    environment = made.environment(
        LD_PRELOAD=made.preload,
        PYTHONPATH=str(copy),
        CRFRNN_REQUIRE_NATIVE="1",
        OPENBLAS_NUM_THREADS="1",  # ThreadSanitizer does not see how NumPy's own threads wait
        ASAN_OPTIONS=leaks,
    )
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-p", "no:xdist"]
    left_out = [f"--deselect={test}" for test in _DEADLOCKS]
    command = started([*command, *TESTS, *left_out])
    return subprocess.run(command, cwd=copy, env=environment).returncode == 0
