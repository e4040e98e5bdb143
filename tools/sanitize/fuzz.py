"""Random calls of the native library (fuzz.cpp), in several settings."""

from __future__ import annotations

import subprocess
import time
from typing import NamedTuple

from tools.sanitize.build import Made, started


class Setting(NamedTuple):
    """How a share of the inputs is made."""

    threads: int  # those of the library
    callers: int  # those of the program


SETTINGS = (Setting(1, 1), Setting(3, 1), Setting(3, 3), Setting(7, 2))


def run(made: Made, seed: int, inputs: int, seconds: float) -> bool:
    """Make the inputs of a seed, an equal share in each setting; whether nothing was found.

    AddressSanitizer's are made twice, with each instruction set, and both must give the same bits.
    """
    share, clean, start = -(-inputs // len(SETTINGS)), True, time.monotonic()
    twice = made.sanitizer.name == "address"
    for i, setting in enumerate(SETTINGS):
        left = seconds * (i + 1) / len(SETTINGS) - (time.monotonic() - start)
        limit = max(1, int(left / 2 if twice else left))
        count, said = _made(made, seed, i * share, share, limit, setting)
        again = said
        if twice and count:
            again = _made(made, seed, i * share, count, 0, setting, CRFRNN_INSTRUCTION_SET="baseline")[1]
        same = "" if said == again else f"; baseline gives other bits: {again}"
        clean &= bool(count) and not same
        print(f"sanitize: {made.sanitizer.name}: {setting.threads} threads, {setting.callers} callers: {said}{same}", flush=True)
    print(f"sanitize: {made.sanitizer.name}: random calls took {time.monotonic() - start:.0f} s")
    return clean


def _made(
    made: Made, seed: int, first: int, count: int, seconds: int, setting: Setting, **more: str
) -> tuple[int, str]:
    """How many inputs there were, 0 where something was found, and what was said of them."""
    numbers = (seed, first, count, seconds, setting.callers)
    environment = made.environment(OMP_NUM_THREADS=str(setting.threads), **more)
    command = started([made.fuzz, *map(str, numbers)])
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    said = done.stdout.strip()
    if done.returncode:
        return 0, f"FAILED (status {done.returncode}): {' '.join(map(str, command))}"
    return int(said.split()[0]), said
