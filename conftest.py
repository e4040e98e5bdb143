"""Leaves out the examples in docstrings that need what is not here: native library, frameworks."""

import importlib.util
import os

from crfrnn.native import library

NEEDED = {
    "crfrnn/large/__init__.py": ("dask",),
    "crfrnn/monai.py": ("monai", "torch"),
    "crfrnn/torch.py": ("torch",),
    "crfrnn/torch_ops.py": ("torch",),
    **{f"crfrnn/filtering/backends/{n}.py": (n,) for n in ("jax", "tensorflow", "torch")},
}

collect_ignore = [
    file for file, packages in NEEDED.items() if not all(map(importlib.util.find_spec, packages))
]
if library.path() is None and os.environ.get("CRFRNN_REQUIRE_NATIVE") != "1":
    collect_ignore.append("crfrnn/filtering/native.py")
