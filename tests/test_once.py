"""What is run on one backend only has no backend: it loads no framework."""

import pytest

from tests.conftest import ROOT, runs_once
from tests.imports import FILES, loaded_by

ONCE = sorted(name for name, path in FILES.items() if runs_once(path))


def test_the_tests_of_a_layer_are_none_of_them():
    assert "tests.cli.test_cli" in ONCE and "tests.layers.test_crf_rnn" not in ONCE
    assert {"keras", "crfrnn.layers"} <= loaded_by("tests.layers.test_crf_rnn")


@pytest.mark.parametrize("name", ONCE)
def test_it_loads_no_framework(name):
    assert not loaded_by(name) & {"keras", "tensorflow", "jax", "torch", "unet"}


def test_every_place_that_is_named_is_there():
    from tests import conftest

    assert [place for place in conftest.ONCE if not (ROOT / place).exists()] == []
