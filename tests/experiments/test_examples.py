"""The examples in the docstrings run as printed."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name", ["config", "presets", "metrics", "stats", "rows", "runs", "inputs", "show.markdown"]
)
def test_examples(name):
    failed, attempted = doctest.testmod(importlib.import_module(f"experiments.{name}"))
    assert attempted and not failed
