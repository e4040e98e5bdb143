"""Ctrl-C while the package works: raised, never lost, and the next call works."""

import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.native.interrupted import NUMPY
from tests.native.required import require

require()
if not hasattr(signal, "setitimer"):
    pytest.skip("needs a timer that sends signals", allow_module_level=True)

NAMES = [make.__name__ for make in NUMPY]


def interrupt(moments, *names):
    command = [sys.executable, "-m", "tests.native.interrupted", str(moments), *names]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)


def test_an_interrupt_is_raised():
    interrupt(2, *NAMES)


@pytest.mark.nightly  # three seconds each
@pytest.mark.parametrize("name", NAMES)
def test_an_interrupt_at_any_of_twenty_moments_is_raised(name):
    interrupt(20, name)
