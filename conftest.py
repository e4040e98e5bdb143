"""Leaves out the examples in docstrings that need the native library where it was not built."""

import os

from crfrnn.native import library

collect_ignore = []
if library.path() is None and os.environ.get("CRFRNN_REQUIRE_NATIVE") != "1":
    collect_ignore.append("crfrnn/filtering/native.py")
