"""Packages that rows need are looked for before anything is trained."""

import importlib.util

import pytest

from experiments import compare, runs
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
        needs.check([RIVALS[name].comparison.rows for name in ("wbc1-30", "hippocampus-15")])
    for words in (
        "Rows rankseg, rankseg_offline need packages",
        "pip install rankseg,",
        'without = ["rankseg", "rankseg_offline"]',
    ):
        assert words in str(caught.value)
    kept = [key for key in RIVALS["wbc1-30"].comparison.rows if "rankseg" not in key]
    needs.check([{key: RIVALS["wbc1-30"].comparison.rows[key] for key in kept}])


def test_labels_that_spread_need_a_package_too():
    rows = plan.read(ROOT / "experiments/studies/weak_rivals.toml").comparison.rows
    with pytest.raises(
        ValueError, match=r"Rows walker, walker_chosen need .*pip install scikit-image,"
    ):
        needs.check([rows], lambda modules: {*modules} & {"skimage"})


def test_where_they_are_made_is_asked():
    asked = []

    def missing(modules):
        asked.extend(modules)
        return {"skimage"}

    with pytest.raises(ValueError, match=r"Rows walker, forest need .* install scikit-image,"):
        needs.check([RIVALS["wbc1-30"].comparison.rows], missing)
    assert {"rankseg", "torch", "skimage", "sklearn"} == {*asked}


def test_a_study_says_so_before_it_reads_data(without_rankseg, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare.inputs, "split", lambda *_: pytest.fail("data were read"))
    config = str(ROOT / "experiments/studies/rivals.toml")
    with pytest.raises(SystemExit):
        compare.main(["--config", config, "--runs", str(tmp_path)])
    assert "pip install rankseg," in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_rows_that_are_made_need_nothing(without_rankseg, tmp_path):
    """Whoever made them elsewhere, or before a package was taken away, goes on with the others."""
    run = compare.Run(tmp_path, *RIVALS["wbc1-30"])
    made = [key for key in run.comparison.rows if "rankseg" in key]
    for seed in range(run.config.seeds):
        for key in made:
            runs.write_json(run.rows(seed)[key], {"cases": []})
    assert {*run.to_make} == {*run.comparison.rows} - {*made}
    needs.check([run.to_make])
    run.rows(0)["rankseg_offline"].unlink()
    with pytest.raises(ValueError, match=r"Rows rankseg_offline need"):
        needs.check([run.to_make])
