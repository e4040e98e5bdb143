"""Build the source distribution, and from it a wheel for each platform, in dist/.

    python -m tools.wheels.build [PLATFORM_TAG ...]

The compiler is the `ziglang` package, which brings the headers and libraries of every target. Each
wheel is built by setup.py as any other; only the compiler and the platform it is told are others.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from tools.wheels import DIST, ROOT, Target, chosen, environment, zig


def sdist(folder: Path) -> Path:
    """The source distribution, in a folder."""
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir"]
    subprocess.run([*command, folder, ROOT], check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def wheel(archive: Path, tag: str, target: Target, folder: Path) -> Path:
    """The wheel of a source distribution for one target, in a folder."""
    # Always the same folder: zig finds in its cache what it compiled there before.
    sources = ROOT / "build" / "wheels" / tag
    shutil.rmtree(sources, ignore_errors=True)
    with tarfile.open(archive) as file:
        file.extractall(sources, filter="data")
    compiler = shlex.join(zig("c++", target))
    settings = {
        "_PYTHON_HOST_PLATFORM": target.platform,
        "CXX": compiler,
        "CXXFLAGS": "",  # not those of the Python that runs this
        # -O3 once more: what zig links without it brings a runtime for debugging along.
        "LDCXXSHARED": f"{compiler} -shared -s -O3",
        "CRFRNN_REQUIRE_NATIVE": "1",
    }
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    subprocess.run(
        [*command, f"-C--build-option=--plat-name={tag}", *sources.iterdir()],
        check=True,
        env=environment() | settings,
        stdout=subprocess.DEVNULL,
    )
    (made,) = folder.glob(f"*-{tag}.whl")
    return made


def main(tags: list[str]) -> None:
    """Build the wheels with these platform tags; all, if there are none."""
    targets = chosen(tags)
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DIST) as folder:
        archive = sdist(Path(folder))
        for tag, target in targets.items():
            start = time.perf_counter()
            made = wheel(archive, tag, target, Path(folder))
            made.replace(DIST / made.name)
            print(f"{made.name} after {time.perf_counter() - start:.0f} s", flush=True)
        archive.replace(DIST / archive.name)


if __name__ == "__main__":
    main(sys.argv[1:])
