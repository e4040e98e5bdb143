"""A file has one purpose, and can be read at one sitting: no more than 300 lines."""

import pytest

from tests.conftest import ROOT

MOST = 300
FOLDERS = ("crfrnn", "unet", "data", "experiments", "benchmarks", "tools", "tests")
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".h", ".cpp"}
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_are_short(folder):
    paths = [path for path in SOURCES if path.parts[0] == folder]
    lines = {str(path): (ROOT / path).read_text("utf-8").count("\n") for path in paths}
    assert lines and {path: number for path, number in lines.items() if number > MOST} == {}
