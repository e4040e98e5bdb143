"""Tests on the real data sets, where CRFRNN_DATA holds them."""

import os

import pytest

import data


def needs(name):
    """Skips the test if a data set is not there."""
    if not (data.root_folder() / name).is_dir():
        set_or_not = "set" if "CRFRNN_DATA" in os.environ else "not set"
        pytest.skip(f"{name} is not in {data.root_folder()} (CRFRNN_DATA is {set_or_not})")
