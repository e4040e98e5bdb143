"""A file unet.py or data.py of the user's own, where the experiments look for the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["unet.py", "unet/__init__.py", "data.py"])
def test_a_file_that_hides_the_package_is_named(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("def build():\n    pass\n")
    result = subprocess.run(
        [sys.executable, "-c", "import experiments"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert (
        f"ImportError: Expected the package {name[:4]} of this repository. "
        f"Received {tmp_path / name}" in (result.stderr)
    )
    assert "Give that file another name" in result.stderr


def test_the_package_itself_is_no_hindrance():
    code = (
        "import sys, experiments; assert 'unet' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
