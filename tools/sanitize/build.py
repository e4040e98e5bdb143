"""The native library and the program of random calls, compiled with a sanitizer."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "crfrnn" / "native"
OUT = ROOT / "build" / "sanitize"


class Sanitizer(NamedTuple):
    """What a build is checked for."""

    name: str
    flags: tuple[str, ...]
    runtime: str  # what a Python that was not compiled with it must load first
    options: dict[str, str]
    share: float  # of the inputs: what is slower gets fewer


SANITIZERS = {
    "address": Sanitizer(
        "address",
        ("-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"),
        "libasan.so",
        {"ASAN_OPTIONS": "detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1"},
        1.0,
    ),
    "thread": Sanitizer(
        "thread",
        ("-fsanitize=thread",),
        "libtsan.so",
        {"TSAN_OPTIONS": "halt_on_error=1 die_after_fork=0"},
        0.1,  # ten times as slow, and what it looks for needs threads rather than many inputs
    ),
}
# As setup.py has them, but with lines to name and frames to follow.
FLAGS = (
    *("-std=c++17", "-O1", "-g1", "-fno-omit-frame-pointer", "-fvisibility=hidden", "-fPIC"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-pthread"),
)


class Made(NamedTuple):
    """A build: the library, the program, and how what uses them is started."""

    sanitizer: Sanitizer
    shared_object: Path
    fuzz: Path
    preload: str  # the runtime, and the C++ library whose exceptions it watches

    def environment(self, **more: str) -> dict[str, str]:
        return os.environ | self.sanitizer.options | more


def compiler() -> str | None:
    """A C++ compiler that has the sanitizers and their runtimes as libraries; None if none has."""
    found = filter(shutil.which, ("g++", "c++"))
    return next((name for name in found if all(_has(name, s) for s in SANITIZERS.values())), None)


def built(compiler: str, sanitizer: Sanitizer) -> Made:
    """Compile with a sanitizer, unless that was done since the sources changed."""
    folder = OUT / sanitizer.name
    folder.mkdir(parents=True, exist_ok=True)
    library, fuzz = folder / "libcrfrnn.so", folder / "fuzz"
    sources, here = [*NATIVE.glob("*.h"), NATIVE / "c_api.cpp"], Path(__file__).parent
    command = [compiler, *FLAGS, *sanitizer.flags]
    _make(library, sources, [*command, "-shared", NATIVE / "c_api.cpp"])
    link = [f"-I{NATIVE}", here / "fuzz.cpp", library, f"-Wl,-rpath,{folder}"]
    _make(fuzz, [library, *here.glob("*.h"), here / "fuzz.cpp"], [*command, *link])
    preload = (_path(compiler, name) for name in (sanitizer.runtime, "libstdc++.so.6"))
    return Made(sanitizer, library, fuzz, " ".join(map(str, preload)))


def started(command: list[str | Path]) -> list[str | Path]:
    """The command with addresses not drawn by chance, which ThreadSanitizer cannot bear."""
    setarch = shutil.which("setarch")
    plain = setarch and not subprocess.run([setarch, "-R", "true"], capture_output=True).returncode
    return [setarch, "-R", *command] if setarch and plain else command


def _make(target: Path, sources: list[Path], command: list[str | Path]) -> None:
    newest = max(source.stat().st_mtime for source in [*sources, Path(__file__)])
    if target.exists() and target.stat().st_mtime > newest:
        return
    unfinished = target.with_suffix(".unfinished")
    subprocess.run([*command, "-o", unfinished], check=True)
    unfinished.replace(target)


def _path(compiler: str, library: str) -> Path:
    command = [compiler, f"-print-file-name={library}"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def _has(compiler: str, sanitizer: Sanitizer) -> bool:
    if not _path(compiler, sanitizer.runtime).is_file():
        return False
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "try.cpp"), Path(folder, "try")
        source.write_text("int main() { return 0; }\n")
        command = [compiler, *FLAGS, *sanitizer.flags, source, "-o", program]
        compiled = subprocess.run(command, capture_output=True).returncode == 0
        return compiled and subprocess.run(started([program]), capture_output=True).returncode == 0
