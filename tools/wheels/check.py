"""Check the wheels in dist/: size, what their libraries need and export, and what they compute.

    python -m tools.wheels.check [PLATFORM_TAG ...]

Where this machine can run or emulate the platform, a small program (driver.c, compiled for it)
loads the library and filters; its sums are compared with those of the portable lattice here. On
Debian the packages qemu-user-static, libc6-arm64-cross, musl and wine64 bring the emulators and
loaders; without them a line says what was not run.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import lief
import numpy as np

import crfrnn
from tools.wheels import CACHE, DIST, ROOT, Target, chosen, environment, zig

LARGEST = 2_000_000  # bytes of a wheel
INTERFACE = (ROOT / "crfrnn" / "native" / "c_api.h").read_text("utf-8")
FUNCTIONS = set(re.findall(r"^CRFRNN_API [^(]*?(\w+)\(", INTERFACE, re.M))
# What every system of the kind has. (zig's own imports of Windows are the api-ms-win-crt- sets.)
SYSTEM_LIBRARIES = {
    "manylinux": ("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "ld-linux-"),
    "musllinux": ("libc.so", "libc.musl-"),
    "macosx": ("/usr/lib/libSystem.B.dylib",),
    "win": ("KERNEL32.dll", "ntdll.dll", "api-ms-win-crt-"),
}
MACOS = (11, 0, 0)
DRIVER = Path(__file__).with_name("driver.c")
TOLERANCE = 1e-5  # of sums of 60000 float32 numbers, added in another order


class Runner(NamedTuple):
    """How an x86-64 Linux runs the programs of a platform."""

    needs: tuple[str, ...] = ()  # files
    package: str = ""  # Debian's, that has them
    command: tuple[str, ...] = ()
    link: tuple[str, ...] = ()


QEMU, WINE = "/usr/bin/qemu-aarch64-static", "/usr/lib/wine/wine64"
ARM_LIBC = "/usr/aarch64-linux-gnu"
RUNNERS = {
    "manylinux2014_x86_64": Runner(),
    "manylinux2014_aarch64": Runner(
        (QEMU, ARM_LIBC), "qemu-user-static or libc6-arm64-cross", (QEMU, "-L", ARM_LIBC)
    ),
    "musllinux_1_2_x86_64": Runner(("/lib/ld-musl-x86_64.so.1",), "musl", (), ("-dynamic",)),
    "win_amd64": Runner((WINE,), "wine64", (WINE,)),
}


class Failed(Exception):
    """A wheel is not what it should be."""


def expected() -> tuple[float, float]:
    """The sums that driver.c prints, by the portable lattice."""
    points, features, channels = 20000, 5, 3
    state, numbers = 1, []
    for _ in range(points * (features + channels)):
        state = (1664525 * state + 1013904223) % 2**32
        numbers.append((state >> 8) / 2**24)
    uniform = np.array(numbers, np.float32)
    positions = 8 * uniform[: points * features].reshape(points, features)
    values = uniform[points * features :].reshape(points, channels)
    out = crfrnn.gaussian_filter(values, positions, normalization="none", native=False)
    flat = out.ravel().astype(np.float64)
    return flat.sum(), (flat * (np.arange(flat.size) % 7 - 3)).sum()


def check_library(file: Path, system: str) -> str:
    """That it needs the system alone and exports the interface; in words."""
    binary = lief.parse(str(file))
    needed = [getattr(library, "name", library) for library in binary.libraries]
    foreign = [name for name in needed if not name.startswith(SYSTEM_LIBRARIES[system])]
    # A Mach-O names itself among its libraries.
    foreign = [name for name in foreign if not name.endswith(file.name)]
    if foreign:
        raise Failed(f"{file.name} needs {', '.join(foreign)}")
    exported = {function.name.lstrip("_") for function in binary.exported_functions}
    missing = FUNCTIONS - exported
    if missing and not file.stem.endswith("_tensorflow"):
        raise Failed(f"{file.name} lacks {', '.join(sorted(missing))}")
    if isinstance(binary, lief.MachO.Binary):
        check_macos(binary, file)
    return f"{file.name} needs {', '.join(needed) or 'nothing'}"


def check_macos(binary: lief.MachO.Binary, file: Path) -> None:
    """That the oldest macOS takes it, and that it is signed where that is asked for."""
    oldest = tuple(binary.build_version.minos)
    if oldest > MACOS:
        raise Failed(f"{file.name} needs macOS {oldest}")
    arm = binary.header.cpu_type == lief.MachO.Header.CPU_TYPE.ARM64
    if arm and not binary.has_code_signature:
        raise Failed(f"{file.name} has no signature, and arm64 loads none without")


def run(tag: str, target: Target, library: Path) -> tuple[str, float, float, str] | str:
    """What driver.c prints with the library: or, in words, why it was not run."""
    if platform.machine() != "x86_64" or tag not in RUNNERS:
        return "not run: nothing here runs its programs"
    runner = RUNNERS[tag]
    missing = [path for path in runner.needs if not Path(path).exists()]
    if missing:
        return f"NOT RUN: {missing[0]} is missing, Debian's package {runner.package} has it"
    program = library.with_name("driver.exe")
    command = [*zig("cc", target), *runner.link, "-O1", "-o", program, DRIVER]
    subprocess.run(command, check=True, env=environment())
    # Windows looks beside the program, others where a path with a slash says.
    name = library.name if tag.startswith("win") else f"./{library.name}"
    done = subprocess.run(
        [*runner.command, program, name],
        cwd=library.parent,
        env=environment() | {"WINEDEBUG": "-all", "WINEPREFIX": str(CACHE.parent / "wine")},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    if done.returncode or len(lines) != 4:
        raise Failed(f"{library.name} failed when it ran: {done.stdout}{done.stderr}")
    return lines[0], float(lines[1]), float(lines[2]), lines[3]


def check_result(tag: str, result: tuple[str, float, float, str], sums: tuple[float, float]) -> str:
    """That the library computed what it should, with what this processor has; in words."""
    instructions, *computed, message = result
    has_avx2 = " avx2 " in Path("/proc/cpuinfo").read_text("utf-8")
    best = "avx2" if has_avx2 and tag.endswith(("x86_64", "amd64")) else "baseline"
    if instructions != best:
        raise Failed(f"it says {instructions}, here it should be {best}")
    # Of the size of what is summed: the second sum nearly cancels.
    error = np.abs(np.subtract(computed, sums)).max() / sums[0]
    if not error < TOLERANCE:
        raise Failed(f"its sums are {computed}, expected {sums}")
    if not message.startswith("positions must have 1 to 32 features"):
        raise Failed(f"its error says {message!r}")
    return f"ran ({instructions}): sums differ by {error:.1e}"


def check(tag: str, target: Target, sums: tuple[float, float], folder: Path) -> list[str]:
    """Everything about one wheel, in lines."""
    wheels = sorted(DIST.glob(f"crfrnn-{crfrnn.__version__}-py3-none-{tag}.whl"))
    if not wheels:
        raise Failed("there is no such wheel in dist/: make wheels")
    size = wheels[0].stat().st_size
    if size > LARGEST:
        raise Failed(f"{size} bytes are more than {LARGEST}")
    lines = [f"{size / 1e6:.2f} MB"]
    with zipfile.ZipFile(wheels[0]) as file:
        names = [name for name in file.namelist() if name.endswith((".so", ".dylib", ".dll"))]
        libraries = [Path(file.extract(name, folder)) for name in sorted(names)]
    if len(libraries) != (1 if tag.startswith("win") else 2):
        raise Failed(f"its libraries are {names}")
    system = tag.split("_")[0].rstrip("0123456789")
    lines += [check_library(library, system) for library in libraries]
    if system.endswith("linux"):
        lines.append(audit(wheels[0], tag, libraries[0]))
    result = run(tag, target, libraries[0])
    lines.append(result if isinstance(result, str) else check_result(tag, result, sums))
    return lines


def audit(wheel: Path, tag: str, library: Path) -> str:
    """What auditwheel finds that the wheel runs on, at least its tag."""
    # It opens what is called libc.so, musl's name, on this machine, where that may be a text (the
    # linker's, of glibc). Any library of the platform will do: it is not looked into.
    stand_in = library.parent / "stand-in"
    stand_in.mkdir()
    shutil.copy(library, stand_in / "libc.so")
    done = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", wheel],
        env=environment() | {"LD_LIBRARY_PATH": str(stand_in)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Failed(f"auditwheel: {done.stderr.strip()[-500:]}")
    found = done.stdout
    wanted = tag.replace("manylinux2014", "manylinux_2_17")
    text = " ".join(found.split())
    # musl's loader takes this name for itself; auditwheel knows only the one that Alpine gives it.
    if tag.startswith("musllinux") and text.endswith("will need to be eliminated: libc.so"):
        return "auditwheel: nothing but musl's libc.so"
    if f'tag: "{wanted}"' not in text:
        raise Failed(f"auditwheel: {text}")
    return f"auditwheel: {wanted}"


def main(tags: list[str]) -> None:
    """Check the wheels with these platform tags; all, if there are none."""
    sums, failed = expected(), []
    for tag, target in chosen(tags).items():
        print(tag)
        with tempfile.TemporaryDirectory() as folder:
            try:
                lines = check(tag, target, sums, Path(folder))
            except Failed as error:
                failed.append(tag)
                lines = [f"FAILED: {error}"]
        print("".join(f"  {line}\n" for line in lines), end="", flush=True)
    if failed:
        sys.exit(f"These wheels are not what they should be: {', '.join(failed)}.")


if __name__ == "__main__":
    main(sys.argv[1:])
