"""The tests of the native library, run with a build that has a sanitizer."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tools.sanitize.build import ROOT, Made, started

TESTS = ("tests/native/test_native.py",)
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so")


def run(made: Made) -> bool:
    """Run them in a copy of the package whose library is that of the build; whether all passed."""
    copy = made.library.parent / "package"
    shutil.rmtree(copy, ignore_errors=True)
    for folder in ("crfrnn", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=_LEFT_OUT)
    for file in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / file, copy)
    shutil.copy(made.library, copy / "crfrnn" / "native")
    # What Python itself never gives back is no leak of ours; those of the library the random calls
    # find. A thread's stack is larger under a sanitizer than the smallest that is tested.
    environment = made.environment(
        LD_PRELOAD=str(made.runtime), PYTHONPATH=str(copy), CRFRNN_REQUIRE_NATIVE="1"
    )
    environment["ASAN_OPTIONS"] += ":detect_leaks=0"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS]
    return subprocess.run(started(command), cwd=copy, env=environment).returncode == 0
