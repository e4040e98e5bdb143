"""What TensorFlow writes while it is imported, and what of it is shown."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHATTER = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795932621.877738    8546 port.cc:153] oneDNN custom operations are on.",
    "W0000 00:00:1795932621.878066    8546 cudart_stub.cc:31] Could not find cuda drivers",
    "2026-01-31 06:18:41.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations",
]
NEWS = [
    "E0000 00:00:1795932621.878066    8546 cuda_executor.cc:1] the driver is too old",
    "2026-01-31 06:18:41.123456: F tensorflow/core/platform/cpu_feature_guard.cc:1] no AVX",
    "lib/tensorflow/__init__.py:1: UserWarning: this NumPy is too new",
]


def imported(folder: Path, *, quietly: bool = True) -> subprocess.CompletedProcess:
    """A process that imports the TensorFlow of a folder, if any, and says what comes before it."""
    code = (
        "from experiments import quiet\n"
        + ("quiet.tensorflow(); quiet.tensorflow()\n" if quietly else "")
        + "import sys, tensorflow\n"
        "print('imported', file=sys.stderr)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(folder), str(ROOT)]}\n{code}"],
        capture_output=True,
        text=True,
    )


def made(folder: Path, ending: str = "") -> Path:
    """A TensorFlow that writes chatter and news past Python, as the C++ library does."""
    lines = "\n".join([CHATTER[0], NEWS[0], *CHATTER[1:], *NEWS[1:], ""])
    (folder / "tensorflow.py").write_text(f"import os\nos.write(2, {lines.encode()!r})\n{ending}\n")
    return folder


def test_only_chatter_is_left_out(tmp_path):
    assert imported(made(tmp_path)).stderr.splitlines() == [*NEWS, "imported"]
    loud = imported(tmp_path, quietly=False).stderr.splitlines()
    assert set(loud) == {*CHATTER, *NEWS, "imported"}


def test_everything_is_shown_when_the_import_fails(tmp_path):
    done = imported(made(tmp_path, "raise ImportError('no such symbol')"))
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert {*CHATTER, *NEWS} <= set(lines) and lines[-1] == "ImportError: no such symbol"


@pytest.mark.skipif(not importlib.util.find_spec("tensorflow"), reason="TensorFlow is not here")
def test_the_tensorflow_that_is_here(tmp_path):
    done = imported(tmp_path)
    assert done.stderr == "imported\n" and not done.stdout
