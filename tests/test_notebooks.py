"""The notebooks: stored without outputs, and they run from the first cell to the last.

Running them takes minutes: `pytest -m nightly tests/test_notebooks.py`. Notebook 5 takes real data
where CRFRNN_DATA holds it; here it never does.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path

import pytest

from notebooks import runnable

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST = 300  # seconds that a reader waits, and no cell may take


def cells(path, kind):
    """The sources of a notebook's cells of one kind."""
    notebook = json.loads(path.read_text("utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


by_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks_and_their_numbers_follow_each_other():
    numbers = [int(path.stem[:2]) for path in NOTEBOOKS]
    assert numbers and numbers == list(range(1, len(numbers) + 1))


@by_notebook
def test_it_is_stored_without_outputs(path):
    for cell in cells(path, "code"):
        assert not cell["outputs"] and cell["execution_count"] is None
    for cell in cells(path, "markdown"):
        assert "attachments" not in cell


@by_notebook
def test_it_begins_with_its_title_and_teaches_in_prose(path):
    first, *_ = cells(path, "markdown")
    assert source(first).startswith(f"# {int(path.stem[:2])} ")
    headings = [cell for cell in cells(path, "markdown") if source(cell).startswith("## ")]
    assert len(headings) >= 4


@by_notebook
def test_it_has_no_links_to_files(path):
    # The documentation shows it at another place, where such links would lead nowhere.
    text = "\n".join(source(cell) for cell in cells(path, "markdown"))
    assert not re.findall(r"\]\((?!https?:)([^)]+)\)", text)


@by_notebook
def test_what_it_uses_is_imported_in_its_first_cell(path):
    _, *others = cells(path, "code")
    for cell in others:
        imports = (ast.Import, ast.ImportFrom)
        assert not any(isinstance(node, imports) for node in ast.walk(ast.parse(source(cell))))


GALLERY = ROOT / "docs" / "gallery"


@by_notebook
def test_the_gallery_shows_it_small(path):
    page = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    assert f"(../notebooks/{path.name})" in page
    assert f"(gallery/{path.stem}.png)" in page
    assert (GALLERY / f"{path.stem}.png").stat().st_size < 150_000


def test_the_gallery_holds_nothing_else_and_names_cells_that_are_there():
    assert {picture.stem for picture in GALLERY.iterdir()} == {path.stem for path in NOTEBOOKS}
    assert sum(picture.stat().st_size for picture in GALLERY.iterdir()) < 700_000
    tree = ast.parse((ROOT / "notebooks" / "gallery.py").read_text("utf-8"))
    (chosen,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "CHOSEN"
    )
    for path in NOTEBOOKS:
        begun = [cell for cell in cells(path, "code") if source(cell).startswith(chosen[path.stem])]
        assert len(begun) == 1, path.stem


def test_only_those_that_find_what_they_import_are_run(monkeypatch, capsys):
    found = importlib.util.find_spec
    absent = {"monai"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else found(name)
    )
    names = [str(path) for path in NOTEBOOKS]
    with_monai = [name for name in names if name.endswith("09_monai.ipynb")]
    runnable.main(names)
    printed = capsys.readouterr()
    assert printed.out.split() == [name for name in names if name not in with_monai]
    assert [f"{name} is left out, it needs: " in printed.err for name in with_monai] == [True]


@pytest.mark.nightly
@by_notebook
def test_it_runs(path, monkeypatch, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("CRFRNN_DATA", str(tmp_path))  # the phantom, as in CI
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own draws into the notebook
    notebook = nbformat.read(path, as_version=4)
    for package in runnable.missing(path):
        pytest.importorskip(package)
    if any("keras_hub" in source(cell) for cell in cells(path, "code")):
        pytest.importorskip("keras_hub")
    nbclient.NotebookClient(
        notebook,
        timeout=LONGEST,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 4
