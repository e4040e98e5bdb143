"""Bars on terminals, lines elsewhere."""

import pytest

pytest.importorskip("click")
pytest.importorskip("tqdm")

import crfrnn
from tests.cli.scenes import CRF, OPTIONS, folder, run


def test_a_folder_and_a_search_tell_how_far_they_are_without_a_terminal(tmp_path):
    arguments, _ = folder(tmp_path, 3)
    text = run(*arguments, "--jobs=1", *OPTIONS)
    assert [line for line in text.splitlines() if line.startswith("refine: ")] == [
        f"refine: {n} of 3" for n in (1, 2, 3)
    ]
    pytest.importorskip("optuna")
    images, probs, labels = (tmp_path / name for name in ("images", "probs", "labels"))
    text = run("search", images, probs, labels, "-o", tmp_path / "best.json", "--trials=3")
    assert "search: 1 of 3" in text and "search: 3 of 3" in text


def test_a_resumed_search_goes_on_where_it_was(tmp_path):
    pytest.importorskip("optuna")
    folder(tmp_path, 2)
    search = ["search", *(tmp_path / name for name in ("images", "probs", "labels"))]
    search += [f"--storage={tmp_path / 'trials.log'}", "-o", tmp_path / "best.json"]
    run(*search, "--trials=4")
    text = run(*search, "--trials=20", "--overwrite")
    lines = [line for line in text.splitlines() if line.startswith("search: ")]
    assert [line.partition(",")[0] for line in lines] == [
        f"search: {n} of 20" for n in range(6, 22, 2)
    ]


def test_refine_many_tells_how_far_it_is_without_a_terminal(tmp_path, capsys):
    folder(tmp_path, 3)
    pairs = [(tmp_path / f"images/case{n}.png", tmp_path / f"probs/case{n}.npy") for n in range(3)]
    for number, (progress, lines) in enumerate([(None, 3), (False, 0)]):
        crfrnn.refine_many(pairs, tmp_path / f"out{number}", progress=progress, jobs=1, **CRF)
        told = [f"refine: {n} of 3" for n in range(1, lines + 1)]
        assert capsys.readouterr().err.splitlines() == told
