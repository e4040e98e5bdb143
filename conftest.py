"""Leaves out the examples in docstrings that need what is not here: the native library, MONAI."""

import importlib.util
import os

from crfrnn.native import library

collect_ignore = []
if library.path() is None and os.environ.get("CRFRNN_REQUIRE_NATIVE") != "1":
    collect_ignore.append("crfrnn/filtering/native.py")
for _module, _package in (("monai", "monai"), ("torch", "torch"), ("torch_ops", "torch")):
    if importlib.util.find_spec(_package) is None:
        collect_ignore.append(f"crfrnn/{_module}.py")
