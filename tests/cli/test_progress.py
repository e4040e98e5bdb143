"""Bars on terminals, lines elsewhere."""

import pytest

pytest.importorskip("click")
pytest.importorskip("tqdm")

from tests.cli.scenes import OPTIONS, folder, run


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
