"""Wheels for every platform from one machine: build them and check them (`make wheels`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
CACHE = ROOT / "build" / "zig"  # each target's own C++ library takes minutes to compile, once


class Target(NamedTuple):
    """What a wheel is built for."""

    zig: str  # zig's name of it: machine, system, C library and its oldest version
    platform: str  # Python's: what sysconfig.get_platform() returns there


# By platform tag of the wheel.
TARGETS = {
    "manylinux2014_x86_64": Target("x86_64-linux-gnu.2.17", "linux-x86_64"),
    "manylinux2014_aarch64": Target("aarch64-linux-gnu.2.17", "linux-aarch64"),
    "musllinux_1_2_x86_64": Target("x86_64-linux-musl", "linux-x86_64"),
    "musllinux_1_2_aarch64": Target("aarch64-linux-musl", "linux-aarch64"),
    "macosx_11_0_x86_64": Target("x86_64-macos.11.0", "macosx-11.0-x86_64"),
    "macosx_11_0_arm64": Target("aarch64-macos.11.0", "macosx-11.0-arm64"),
    "win_amd64": Target("x86_64-windows-gnu", "win-amd64"),
    "win_arm64": Target("aarch64-windows-gnu", "win-arm64"),
}


def zig(language: str, target: Target) -> list[str]:
    """The command that compiles "cc" or "c++" for a target."""
    return [sys.executable, "-m", "ziglang", language, "-target", target.zig]


def environment() -> dict[str, str]:
    """That of this process, with zig's caches in build/."""
    caches = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")
    return os.environ | dict.fromkeys(caches, str(CACHE))


def chosen(tags: list[str]) -> dict[str, Target]:
    """The targets of these tags; all, if there are none."""
    unknown = set(tags) - set(TARGETS)
    if unknown:
        sys.exit(f"Expected some of {', '.join(TARGETS)}. Received: {', '.join(sorted(unknown))}.")
    return {tag: TARGETS[tag] for tag in tags or TARGETS}
