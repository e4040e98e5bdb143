"""Packages that rows need are looked for before anything is trained."""

import importlib.util

import pytest

from experiments import compare
from experiments.studies import needs, plan
from tests.conftest import ROOT

RIVALS = plan.read(ROOT / "experiments/studies/rivals.toml").tasks


@pytest.fixture
def without_rankseg(monkeypatch):
    """Whether or not it, or PyTorch that it needs, is installed here."""
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name == "rankseg" else object()
    )


def test_all_rows_that_lack_a_package_are_named_with_what_to_do(without_rankseg):
    with pytest.raises(ValueError) as caught:
        needs.check([RIVALS["wbc1-30"].comparison, RIVALS["hippocampus-15"].comparison])
    for words in (
        "Rows rankseg, rankseg_offline need packages",
        "pip install rankseg,",
        'without = ["rankseg", "rankseg_offline"]',
    ):
        assert words in str(caught.value)
    kept = [key for key in RIVALS["wbc1-30"].comparison.rows if "rankseg" not in key]
    rows = {key: RIVALS["wbc1-30"].comparison.rows[key] for key in kept}
    needs.check([compare.Comparison(rows, [], (), None)])


def test_where_they_are_made_is_asked():
    asked = []

    def missing(modules):
        asked.extend(modules)
        return {"skimage"}

    with pytest.raises(ValueError, match=r"Rows walker, forest need .* install scikit-image,"):
        needs.check([RIVALS["wbc1-30"].comparison], missing)
    assert {"rankseg", "torch", "skimage", "sklearn"} == {*asked}


def test_a_study_says_so_before_it_reads_data(without_rankseg, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare.inputs, "split", lambda *_: pytest.fail("data were read"))
    config = str(ROOT / "experiments/studies/rivals.toml")
    with pytest.raises(SystemExit):
        compare.main(["--config", config, "--runs", str(tmp_path)])
    assert "pip install rankseg," in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
