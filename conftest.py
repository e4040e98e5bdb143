"""Leaves out the examples in docstrings that need the native library where it was not built."""

import os

from crfrnn.native import library

collect_ignore = []
if library.path() is None and not os.environ.get("CRFRNN_REQUIRE_NATIVE"):
    collect_ignore.append("crfrnn/filtering/native.py")
