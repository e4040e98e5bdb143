"""Freed memory is used again: counted in page faults of a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from crfrnn.cli import allocation

FAULTS = """
import resource
import numpy as np
{before}
def image():
    arrays = [np.ones(1_000_000, "float64") for _ in range(6)]  # 8 MB each, 2,000 pages
image()
start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    image()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
"""


def faults(before: str) -> int:
    script = FAULTS.format(before=before)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what it asks for is glibc's")
def test_freed_memory_is_used_again():
    kept = faults("from crfrnn.cli import allocation; allocation.keep_freed()")
    assert kept < 100 < 1000 < faults("")


def test_other_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(allocation.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocation.ctypes, "CDLL", None)
    allocation.keep_freed()
