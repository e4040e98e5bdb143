"""Rows on whole volumes, and a cross-validation of them."""

import dataclasses

import keras
import numpy as np
import pytest
from scipy.special import softmax

import crfrnn
import data
from crfrnn.parameters.scores import nanmean
from experiments import config, evaluate, repetition, runs
from experiments.score.cases import mean_dice
from experiments.show import condense
from experiments.studies import main_job
from experiments.train import inputs
from tests.experiments.every_kind import ALL_KINDS, SETTINGS, without_xla
from tests.experiments.finished import CASES, result
from tests.tolerances import FLOAT32, assert_close

SHAPES = ((10, 14, 12), (12, 10, 15))
KINDS = (
    *("plain", "flips", "largest", "offline", "energy", "joint"),
    *("embedding", "guided", "walker", "forest"),
)


def volumes(name="phantom"):
    cases = [*data.phantom(4, SHAPES[0]), *data.phantom(4, SHAPES[1])]
    return [case.but(id=f"v{i}", group=f"g{i}") for i, case in enumerate(cases)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", volumes)
        without_xla(patch)
        settings = dataclasses.replace(
            SETTINGS, volumes=True, folds=4, rotate=10.0, zoom=0.1, crop=8, validation_cases=1
        )
        rows = {key: ALL_KINDS[key] for key in KINDS}
        one = repetition.Repetition(settings, rows, 1, tmp_path_factory.mktemp("run"))
        for key in KINDS:
            one.make(key)
        yield one


def test_rows_are_made_of_whole_volumes(made):
    for key in KINDS:
        row = made.rows[key]
        tested = row.inputs.test.cases
        shapes = [score.shape for score in row.scores("test")]
        assert shapes == [(1, *case.label.shape, 4) for case in tested]
        assert np.isfinite(np.concatenate([s.ravel() for s in row.scores("test")])).all()
        found = runs.read_json(made.path(key))["cases"]
        assert [one["id"] for one in found] == [case.id for case in tested]


def test_an_offline_crf_is_searched_and_used_on_whole_volumes(made):
    row, validation = made.rows["offline"], made.rows["offline"].inputs.validation
    refined, before = [], row.before("validation")
    for case, logits in zip(validation.cases, before, strict=True):
        probs = softmax(logits[0], axis=-1)
        options = {**row.search["best"], "num_iterations": 2, "normalization": "after"}
        refined.append(crfrnn.refine(case.image, probs, **options)[None])
    assert mean_dice(validation, refined) == pytest.approx(row.search["best_dice"], abs=1e-9)
    assert mean_dice(validation, before) == pytest.approx(row.search["off"], abs=1e-9)
    if row.search["use"]:
        for logits, probs in zip(row.scores("validation"), refined, strict=True):
            assert_close(np.exp(logits), probs, FLOAT32)


def test_a_model_of_a_fold_is_evaluated_on_the_cases_it_has_not_seen(made, capsys):
    made.rows["joint"].save()
    run = {"config": dataclasses.asdict(made.config), "backend": keras.backend.backend()}
    runs.write_json(made.folder.parent / "run.json", run)
    evaluate.main([str(made.folder / "joint.keras")])
    scored = runs.read_json(made.path("joint"))["cases"]
    dice = nanmean([case["dice"] for case in scored])
    assert f"| refined | {dice:.2f} |" in capsys.readouterr().out

    copy = made.folder.parent / "kept" / "joint.keras"
    copy.parent.mkdir()
    copy.write_bytes((made.folder / "joint.keras").read_bytes())
    with pytest.raises(SystemExit):
        evaluate.main([str(copy)])
    assert "expected a folder seed-<n>" in " ".join(capsys.readouterr().err.split())


def test_seeds_of_a_cross_validation_test_all_cases_once(monkeypatch):
    monkeypatch.setattr(data, "load", volumes)
    settings = config.make({"folds": 4, "validation_cases": 1})
    tested = [[case.id for case in inputs.split(settings, seed)["test"]] for seed in range(5)]
    assert sorted(id for part in tested[:4] for id in part) == [f"v{i}" for i in range(8)]
    assert tested[4] == tested[0]


@pytest.mark.parametrize("quick", [False, True])
def test_presets_with_folds_test_all_cases(quick):
    made = main_job.task("hippocampus", quick, {"folds": 4, "volumes": True}).config
    assert made.test_cases is None and made.folds == 4
    with pytest.raises(ValueError, match="leave test_cases out"):
        main_job.task("hippocampus", quick, {"folds": 4, "test_cases": 9})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"volumes": True, "network": "fcn8s"}, "the others are 2-D. Received: fcn8s"),
        ({"volumes": True, "models": ("unet", "segnet")}, "segnet"),
        ({"volumes": True, "output_stride": 2}, "output_stride=1"),
        ({"volumes": True, "point_weights": "edges"}, "Use 'classes'"),
        ({"folds": 4, "test_cases": 3}, "leave test_cases out"),
        ({"folds": 1}, "folds must be at least 2"),
    ],
)
def test_what_volumes_and_folds_cannot_do_is_said(settings, message):
    with pytest.raises(ValueError, match=message):
        config.make(settings)


def test_images_are_no_volumes(monkeypatch):
    monkeypatch.setattr(data, "load", lambda name: data.phantom(8, (12, 10)))
    with pytest.raises(ValueError, match="'phantom' has images"):
        inputs.load(config.make({"volumes": True, "train_cases": 2}), 0)


def finished(folds):
    """Two seeds, each tested on one half of the cases."""
    seeds = []
    for half in (slice(0, CASES // 2), slice(CASES // 2, CASES)):
        made = result(np.arange(float(CASES)))
        seeds.append({"plain": {**made, "cases": made["cases"][half]}})
    return {"config": {"folds": folds}, "rows": ["plain"], "seeds": seeds}


def test_results_of_folds_stand_by_case():
    setting = finished(folds=2)
    kept = condense.condensed({"settings": {"one": setting}})["settings"]["one"]
    assert kept["cases"]["id"] == [f"case{i}" for i in range(CASES)]
    half = CASES // 2
    assert [one["plain"]["dice"] for one in kept["seeds"]] == [
        [*map(float, range(half)), *[None] * half],
        [*[None] * half, *map(float, range(half, CASES))],
    ]
    whole, again = (
        [condense.metrics(seed["plain"], condense.cases(one))["dice"] for seed in one["seeds"]]
        for one in (setting, kept)
    )
    np.testing.assert_array_equal(whole, again)


def test_without_folds_other_cases_are_an_error():
    setting = finished(folds=None)
    with pytest.raises(ValueError, match="of seed 1 was tested on other cases"):
        condense.condensed({"settings": {"one": setting}})
