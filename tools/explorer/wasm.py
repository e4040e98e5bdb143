"""`python -m tools.explorer.wasm`: compile crfrnn/native to WebAssembly, by Emscripten.

Debian and Ubuntu: apt-get install emscripten. The result, docs/explorer/crfrnn.wasm, is committed,
so that who builds the documentation needs no compiler.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from crfrnn import files

ROOT = Path(__file__).parents[2]
WASM = ROOT / "docs" / "explorer" / "crfrnn.wasm"
LARGEST = 400_000  # bytes

_EXPORTED = (
    *("build", "write_chains", "delete_neighbours"),
    *("filter", "softmax", "mean_field"),
)
# As setup.py has them, but without threads: a page that is opened from a folder has none. All
# browsers since 2023 have vectors of 128 bits and exceptions.
_FLAGS = (
    *("-std=c++17", "-O3", "-msimd128", "-fwasm-exceptions"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    *("--no-entry", "-sSTANDALONE_WASM", "-sALLOW_MEMORY_GROWTH", "-sMAXIMUM_MEMORY=4GB"),
    "-sEXPORTED_FUNCTIONS=" + ",".join(["_malloc", "_free", *(f"_crfrnn_{n}" for n in _EXPORTED)]),
)


def compiler() -> str | None:
    """The path of em++, or None."""
    return shutil.which("em++")


def compile_to(path: Path) -> None:
    """Compile the core.

    Raises:
        RuntimeError: there is no em++.
        subprocess.CalledProcessError: it fails.
    """
    command = compiler()
    if command is None:
        raise RuntimeError("Expected em++ of Emscripten (Debian: apt-get install emscripten).")
    source = ROOT / "crfrnn" / "native" / "c_api.cpp"
    subprocess.run([command, *_FLAGS, str(source), "-o", str(path)], check=True)


def main() -> None:
    if compiler() is None:
        sys.exit("explorer: there is no em++; docs/explorer/crfrnn.wasm stays as it is.")
    with files.replacing(WASM) as part:
        compile_to(part)
        size = part.stat().st_size
        if size > LARGEST:
            sys.exit(f"explorer: expected at most {LARGEST:,} bytes. Received {size:,}.")
    print(f"{WASM.relative_to(ROOT)}: {size:,} bytes")


if __name__ == "__main__":
    main()
