"""The headers of the native library: each includes what it needs."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

import crfrnn.native

COMPILER = next(filter(shutil.which, ("c++", "g++", "clang++")), None)
X86 = platform.machine().lower() in ("x86_64", "amd64")
INSTRUCTION_SETS = ("baseline", "avx2") if X86 else ("baseline",)
HEADERS = sorted(Path(crfrnn.native.__file__).parent.glob("*.h"))


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.name)
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_a_header_compiles_alone(header, instruction_set, tmp_path):
    source = tmp_path / "alone.cpp"
    include = f'#include "{header}"\n'
    again = "#define CRFRNN_TOGGLE\n" + include if instruction_set == "avx2" else ""
    source.write_text(include + again)
    flags = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-fsyntax-only")
    subprocess.run([COMPILER, *flags, str(source)], check=True)
