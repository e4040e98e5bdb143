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
    sets: tuple[str, ...]  # of instructions; two must give the same bits


SETTINGS = (
    Setting(1, 1, ("avx2",)),
    Setting(3, 1, ("avx2", "baseline")),
    Setting(3, 3, ("baseline",)),
    Setting(7, 2, ("avx2",)),
)


def run(made: Made, seed: int, inputs: int, seconds: float) -> bool:
    """Make the inputs of a seed, an equal share in each setting; whether nothing was found."""
    share, clean, start = -(-inputs // len(SETTINGS)), True, time.monotonic()
    for i, setting in enumerate(SETTINGS):
        left = seconds * (i + 1) / len(SETTINGS) - (time.monotonic() - start)
        said: set[str] = set()
        count, limit = share, max(1, int(left / len(setting.sets)))
        for name in setting.sets:
            # The second set gets the inputs that the first had time for.
            count, text = _made(made, seed, i * share, count, 0 if said else limit, setting, name)
            said.add(text)
            print(
                f"sanitize: {made.sanitizer.name}: {setting.threads} threads, "
                f"{setting.callers} callers, {name}: {text}",
                flush=True,
            )
            clean &= bool(count)
            if not count:
                break
        if len(said) > 1:
            print("sanitize: FAILED: instruction sets give different bits")
            clean = False
    print(f"sanitize: {made.sanitizer.name}: random calls took {time.monotonic() - start:.0f} s")
    return clean


def _made(
    made: Made, seed: int, first: int, count: int, seconds: int, setting: Setting, name: str
) -> tuple[int, str]:
    """How many inputs there were, 0 where something was found, and what was said of them."""
    numbers = (seed, first, count, seconds, setting.callers)
    environment = made.environment(
        OMP_NUM_THREADS=str(setting.threads), CRFRNN_INSTRUCTION_SET=name
    )
    command = started([made.fuzz, *map(str, numbers)])
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    said = done.stdout.strip()
    if done.returncode:
        return 0, f"FAILED (status {done.returncode}): {' '.join(map(str, command))}"
    return int(said.split()[0]), said
