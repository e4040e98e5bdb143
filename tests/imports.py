"""The imports of every file of the repository, read from its text."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("crfrnn", "unet", "data", "experiments", "benchmarks", "tests")


def _files() -> dict[str, Path]:
    paths = [path for top in PACKAGES for path in sorted((ROOT / top).rglob("*.py"))]
    parts = {path.relative_to(ROOT).with_suffix("").parts: path for path in paths}
    return {".".join(p[:-1] if p[-1] == "__init__" else p): path for p, path in parts.items()}


FILES = _files()  # by the dotted name of the module
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in FILES.items()}


def imported(name: str, tree: ast.AST) -> Iterator[str]:
    """What the import statements below a node of a module name, as absolute dotted names."""
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package) if node.level else relative
            # `from package import module` imports the module, `from module import name` does not.
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in FILES else base


def at_import(name: str, tree: ast.AST) -> Iterator[str]:
    """Those of them that run with the module: not in functions, not for types only."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from imported(name, node)
        waiting += ast.iter_child_nodes(node)


ALL = {name: set(imported(name, tree)) for name, tree in TREES.items()}
AT_IMPORT = {name: set(at_import(name, tree)) for name, tree in TREES.items()}


def loaded_by(name: str) -> set[str]:
    """Every module that importing one of the repository loads, as far as statements tell.

    The packages that a dotted name runs through are loaded, too.
    """
    loaded: set[str] = set()
    waiting = [name]
    while waiting:
        steps = waiting.pop().split(".")
        for whole in (".".join(steps[: end + 1]) for end in range(len(steps))):
            if whole not in loaded:
                loaded.add(whole)
                waiting += AT_IMPORT.get(whole, ())
    return loaded
