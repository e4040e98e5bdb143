"""Whether a process grows that does the same thing again and again."""

import os
import subprocess
import sys
from pathlib import Path

_LOOP = """
import sys
import psutil

calls, allowed = map(int, sys.argv[1:])

def resident():
    return psutil.Process().memory_info().rss

for _ in range(calls // 10):  # until every buffer that is kept has been made
    once()
before = resident()
for _ in range(calls):
    once()
growth = resident() - before
print(f"{growth / 2**10:.0f} KiB more after {calls} calls")
assert growth < allowed
"""


def check(program, calls, allowed):
    """Fails if a process, in which a program defines `once`, grows by `allowed` bytes in calls."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", program + _LOOP, str(calls), str(allowed)]
    root = Path(__file__).parents[1]
    subprocess.run(command, check=True, env=environment, cwd=root)
