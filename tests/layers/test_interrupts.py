"""Ctrl-C while the layer, its training or the loss works: raised, and the next call works."""

import importlib.util
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT

if not hasattr(signal, "setitimer"):
    pytest.skip("needs a timer that sends signals", allow_module_level=True)


@pytest.mark.nightly  # a minute each: the framework is loaded, compiled and interrupted
@pytest.mark.parametrize("name", ["layer", "loss", "fit", "torch_module"])
def test_an_interrupt_at_any_of_twenty_moments_is_raised(name):
    if name == "torch_module" and importlib.util.find_spec("torch") is None:
        pytest.skip("no PyTorch")
    command = [sys.executable, "-m", "tests.native.interrupted", "20", name]
    subprocess.run(command, cwd=ROOT, check=True, timeout=600)
