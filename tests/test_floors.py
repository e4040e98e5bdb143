"""Imports run downwards only: the floors of the house, read from the imports of every file."""

from __future__ import annotations

import ast
import graphlib
import textwrap

import pytest

from tests.imports import ALL, FILES, at_import, imported, loaded_by

# From the ground up. A room of crfrnn imports rooms of lower floors, never one of its own floor.
FLOORS = (
    ("_version", "cores", "optional", "progress", "torch_ops"),
    ("native", "arrays", "checks"),
    ("filtering",),
    ("meanfield",),
    ("layers", "offline"),
    ("parameters",),
    ("diagnosis", "files", "large"),
    ("explorer",),  # below the doors: `crfrnn explore` opens it
    ("cli", "pydensecrf", "torch", "monai"),
    ("registration", "__main__"),  # beside the front door
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
WITH_KERAS = (
    "layers",
    "torch",
    "torch_ops",
    "monai",
)  # with a framework when imported
FRAMEWORKS = ("keras", "tensorflow", "jax", "torch", "monai")
OF_CRFRNN = sorted(name for name in FILES if name.startswith("crfrnn."))


def room(name: str) -> str | None:
    """The room of a module of crfrnn; None of anything else, the front door included."""
    package, _, rest = name.partition(".")
    return rest.split(".")[0] if package == "crfrnn" and rest else None


def test_every_form_of_an_import_is_read():
    text = """
    import keras.ops as ops
    from crfrnn.cli import commands, main
    from ..offline.unaries import probs_from_logits
    from . import layouts
    if TYPE_CHECKING:
        from torch import nn
    def function():
        from crfrnn import checks
    """
    tree = ast.parse(textwrap.dedent(text))
    now = {"keras.ops", "crfrnn.cli.commands", "crfrnn.cli", "crfrnn.offline.unaries"}
    now |= {"crfrnn.cli.layouts"}
    assert set(imported("crfrnn.cli.options", tree)) == now | {"torch", "crfrnn.checks"}
    assert set(at_import("crfrnn.cli.options", tree)) == now


@pytest.mark.parametrize("name", OF_CRFRNN)
def test_imports_run_downwards(name):
    here = room(name)
    assert here in FLOOR, f"{name} is in no room of FLOORS"
    above = {
        other
        for other in ALL[name]
        if room(other) not in (None, here) and FLOOR[room(other)] >= FLOOR[here]
    }
    assert not above, f"{name} imports from its own floor or above"
    assert "crfrnn" not in ALL[name], f"{name} comes back to the front door"


@pytest.mark.parametrize("package", ["crfrnn", "unet", "data", "benchmarks"])
def test_no_circles(package):
    """None within a package, imports in functions and those for types included."""
    own = {name for name in FILES if name.split(".")[0] == package}
    known = {name: ALL[name] & own - {name} for name in own}
    graphlib.TopologicalSorter(known).prepare()  # CycleError names the circle


# A backend's file is imported when its framework is there already.
WITHOUT = [n for n in OF_CRFRNN if room(n) not in WITH_KERAS and n.split(".")[-1] not in FRAMEWORKS]


@pytest.mark.parametrize("name", WITHOUT)
def test_frameworks_are_imported_when_needed(name):
    assert not loaded_by(name) & set(FRAMEWORKS)


# What a package must not import. The first two are installed, so they need nothing beside them.
WALLS = {
    "crfrnn": {"unet", "data", "experiments", "benchmarks", "tests"},
    "unet": {"crfrnn", "data", "experiments", "benchmarks", "tests"},
    "data": {"unet", "experiments", "benchmarks", "tests"},
    "benchmarks": {"experiments", "tests"},
    "experiments": {"benchmarks", "tests"},
}


@pytest.mark.parametrize("name", sorted(n for n in FILES if n.split(".")[0] in WALLS))
def test_packages_keep_apart(name):
    assert not {found.split(".")[0] for found in ALL[name]} & WALLS[name.split(".")[0]]
