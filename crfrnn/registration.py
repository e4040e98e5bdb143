"""`import crfrnn` makes Keras know its layers, without importing Keras.

A saved model names the layers that it is made of, and Keras loads no other than those that were
registered with it. So crfrnn's are imported as soon as both packages are: at once, or at the end of
`import keras`. Those of the networks in front (unet), which may be nobody's business here, are
imported when a saved model asks for one.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

# All that unet registers with Keras (tests/test_saved.py compares them).
OF_UNET = (
    *("AdaptiveAveragePooling", "Bilinear", "CropTo", "CrossEntropyAndDice", "DilatedMaxPooling"),
    *("Focal", "GroupConvolution", "GroupIdentity", "LocalResponseNormalization"),
    *("MaxPoolingWithIndices", "MaxUnpooling", "MirrorPad", "PadToAtLeast", "PointRend"),
    *("ResizeTo", "SoftDice", "Tversky"),
)


def register() -> None:
    """Register the layers and losses of crfrnn with Keras, now or when it has been imported."""
    if "keras" in sys.modules:
        _import_layers()
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


def _import_layers() -> None:
    # Whoever imports Keras for something else must not fail on it; whoever uses a layer does.
    with contextlib.suppress(Exception):
        importlib.import_module("crfrnn.layers.attach")
        importlib.import_module("crfrnn.layers.loss")
        known = sys.modules["keras"].saving.get_custom_objects()
        for name in OF_UNET:
            known.setdefault(f"unet>{name}", _OfUnet(name))


class _OfUnet:
    """Stands for a class of unet until Keras makes one of it; then unet registers them all."""

    def __init__(self, name: str):
        self.__name__ = name

    def from_config(self, config: dict[str, Any]) -> Any:
        found = importlib.util.find_spec("unet")
        folders = (found and found.submodule_search_locations) or []
        if not any(Path(folder, "registry.py").exists() for folder in folders):
            raise ImportError(
                f"The model has a {self.__name__} of the package unet that is installed with "
                f"crfrnn. Python finds {found and found.origin} instead, which hides it: give "
                "that file another name, or load the model in another folder."
            )
        importlib.import_module("unet")
        # Not by get_registered_object: while a model is loaded, that knows what was before it.
        registered: Any = sys.modules["keras"].saving.get_custom_objects()[f"unet>{self.__name__}"]
        return registered.from_config(config)


class _KerasFinder(MetaPathFinder):
    """Finds Keras as Python does, with a loader that tells when it has been imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenRegister(spec.loader)
        return spec


class _ThenRegister(Loader):
    """A loader that imports the layers behind what it loads."""

    def __init__(self, loader: Loader):
        self.loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)  # is_package, get_data, get_resource_reader, ...

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # What the module knows of its own loader is the truth.
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, _KerasFinder)]
        _import_layers()
