"""The headers of the native library: each includes what it needs."""

import shutil
import subprocess
from pathlib import Path

import pytest

import crfrnn.native

COMPILER = next(filter(shutil.which, ("c++", "g++", "clang++")), None)
HEADERS = sorted(Path(crfrnn.native.__file__).parent.glob("*.h"))


@pytest.mark.nightly  # a second each
@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.name)
def test_a_header_compiles_alone(header, tmp_path):
    source = tmp_path / "alone.cpp"
    source.write_text(f'#include "{header}"\n')
    flags = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-fsyntax-only")
    subprocess.run([COMPILER, *flags, str(source)], check=True)
