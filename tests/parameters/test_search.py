"""The search: what it tries and returns, that its arguments alone decide, and its errors."""

import contextlib
import itertools
import json
import re
import shutil
import sqlite3
import sys
import warnings

import numpy as np
import optuna
import pytest

import data
from crfrnn import refine
from crfrnn.meanfield.in_place import MeanField
from crfrnn.parameters.cases import Cases
from crfrnn.parameters.first_guess import first_guess
from crfrnn.parameters.gain import gain
from crfrnn.parameters.metrics import metric
from crfrnn.parameters.ranges import FACTORS
from crfrnn.parameters.scores import label_map_score
from crfrnn.parameters.search import search
from crfrnn.parameters.search_result import SearchResult, held_out
from data import corruption
from tests.real_sets import needs
from tests.tolerances import FLOAT32, assert_close

SHAPES = ((30, 44), (36, 28), (30, 44), (41, 33))


def blocks(shapes=SHAPES, channels=1, seed=0):
    """Bright blocks of random place on noise, two labels, and probabilities with errors."""
    rng = np.random.default_rng(seed)
    truths = [np.zeros(shape, int) for shape in shapes]
    for truth in truths:
        corner = [rng.integers(4, size // 2) for size in truth.shape]
        truth[
            tuple(slice(c, c + size // 3) for c, size in zip(corner, truth.shape, strict=True))
        ] = 1
    images = [
        truth[..., None] * np.linspace(1, 2, channels)
        + rng.normal(0, 0.2, (*truth.shape, channels))
        for truth in truths
    ]
    probs = [
        corruption.blurred(truth, 2, blur=1.0, length=1.0, seed=index)
        for index, truth in enumerate(truths)
    ]
    return images, probs, truths


def dice(truth, prediction):
    """Of label 1, in percent, counted point by point."""
    both = one = 0
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        both += t == 1 and p == 1
        one += int(t == 1) + int(p == 1)
    return 100 * 2 * both / one


CASES = blocks()
DICE = metric("dice")
FOUND = search(*CASES, trials=12, progress=False)


def test_the_first_two_trials_are_no_crf_and_the_first_guess():
    images, probs, truths = CASES
    none, guess, *_ = FOUND.trials
    assert none["bilateral_weight"] == none["spatial_weight"] == 0
    before = [dice(t, p.argmax(-1)) for t, p in zip(truths, probs, strict=True)]
    assert_close(FOUND.baseline, np.mean(before), FLOAT32)
    expected = first_guess(images, probs)
    for name, value in expected.items():
        if not isinstance(value, str):
            assert guess[name] == pytest.approx(value, rel=0.05)  # two digits
    assert FOUND.guess_score == guess["score"]


def test_refine_with_the_best_arguments_gives_the_best_score():
    images, probs, truths = CASES
    refined = [refine(i, p, **FOUND.best).argmax(-1) for i, p in zip(images, probs, strict=True)]
    after = [dice(t, r) for t, r in zip(truths, refined, strict=True)]
    assert_close(FOUND.score, np.mean(after), FLOAT32)
    assert FOUND.score == max(trial["score"] for trial in FOUND.trials) > FOUND.baseline + 5


def test_the_layer_takes_the_best_arguments():
    from crfrnn.layers.crf_rnn import CRFRNN

    layer = CRFRNN(**FOUND.best)
    assert layer.theta_alpha == FOUND.best["theta_alpha"]


def test_trials_depend_on_the_seed_and_not_on_the_number_of_workers():
    assert search(*CASES, trials=12, workers=1, progress=False).trials == FOUND.trials
    assert search(*CASES, trials=12, workers=5, progress=False).trials == FOUND.trials
    assert search(*CASES, trials=5, seed=1, progress=False).trials != FOUND.trials[:5]


@pytest.mark.parametrize("name", ["trials.log", "trials.db"])
def test_an_interrupted_search_goes_on_where_it_was(name, tmp_path, monkeypatch):
    calls = itertools.count()
    scores = Cases.scores

    def interrupted(self, crf):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return scores(self, crf)

    monkeypatch.setattr(Cases, "scores", interrupted)
    first = search(*CASES, trials=12, storage=tmp_path / name, progress=False)
    assert first.interrupted and first.trials == FOUND.trials[:4]
    # A process that was killed leaves a trial without end behind.
    first.study.ask()
    second = search(*CASES, trials=12, storage=tmp_path / name, progress=False)
    assert second.trials == FOUND.trials and not second.interrupted
    assert all(trial.state.is_finished() for trial in second.study.trials)
    assert next(calls) == 5 + 8  # none of the first four was made again

    with pytest.raises(ValueError, match="search of other cases"):
        search(*CASES, trials=12, seed=1, storage=tmp_path / name, progress=False)
    with pytest.raises(ValueError, match="search of other cases"):
        search(*(part[1:] for part in CASES), storage=tmp_path / name, progress=False)


def test_a_process_killed_between_queueing_and_making_a_trial_makes_it_later(tmp_path):
    path = tmp_path / "trials.log"
    calls = []

    def stop():
        calls.append(1)
        raise RuntimeError("after the first trial")

    with pytest.raises(RuntimeError, match="first trial"):
        search(*CASES, trials=12, storage=path, progress=False, callback=stop)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    study = optuna.load_study(study_name="crfrnn", storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == len(calls) == 1
    guess = FOUND.study.trials[1].params
    study.enqueue_trial(guess)
    assert search(*CASES, trials=12, storage=path, progress=False).trials == FOUND.trials


def test_ctrl_c_before_there_is_anything_to_return_is_ctrl_c(monkeypatch):
    def interrupted(self, crf):
        raise KeyboardInterrupt

    monkeypatch.setattr(Cases, "scores", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(*CASES, progress=False)


def test_slices_are_refined_one_by_one_and_scored_together():
    rng = np.random.default_rng(3)
    truth = np.zeros((14, 5, 18), int)  # slices across axis 1
    truth[3:11, :, 4:13] = 1
    image = truth + rng.normal(0, 0.2, truth.shape)
    probs = corruption.blurred(truth, 2, blur=1.0, length=1.0)
    cases = Cases([image], [probs], [truth], slice_axis=1, spacing=(1.0, 9.0, 2.0))
    crf = dict(
        theta_alpha=3.0, theta_beta=0.5, theta_gamma=1.0, bilateral_weight=4.0, spatial_weight=1.0
    )
    slices = [
        refine(image[:, i], probs[:, i], spacing=(1.0, 2.0), normalization="after", **crf)
        for i in range(5)
    ]
    expected = dice(truth, np.stack(slices, axis=1).argmax(-1))
    assert_close(cases.scores(crf), np.array([expected]), FLOAT32)
    whole = Cases([image], [probs], [truth], spacing=(1.0, 9.0, 2.0))
    assert whole.scores(crf)[0] != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", ["iou", "boundary", "mdice", "miou"])
def test_other_metrics_are_what_is_maximised(name):
    found = search(*CASES, trials=6, metric=name, progress=False)
    assert found.baseline != FOUND.baseline and found.metric == name
    assert found.score > found.baseline


def test_channels_of_different_units_keep_the_proportions_of_the_first_guess():
    images, probs, truths = blocks(channels=2)
    images = [image * [1.0, 1000.0] for image in images]
    found = search(images, probs, truths, trials=6, progress=False)
    guess = first_guess(images, probs)["theta_beta"]
    for trial in found.trials:
        first, second = np.divide(trial["theta_beta"], guess)
        assert first == pytest.approx(second, rel=0.1)  # two digits each


def test_trials_stay_within_the_ranges():
    ranges = {"theta_alpha": (2.0, 3.0), "spatial_weight": (0.0, 0.5)}
    found = search(*CASES, trials=8, ranges=ranges, progress=False)
    assert all(2 <= trial["theta_alpha"] <= 3 for trial in found.trials)
    assert all(0 <= trial["spatial_weight"] <= 0.5 for trial in found.trials)
    # No CRF is in reach of any range.
    found = search(*CASES, trials=2, ranges={"spatial_weight": (1.0, 2.0)}, progress=False)
    assert found.trials[0]["spatial_weight"] == 0


def test_no_crf_is_best_where_nothing_can_be_gained():
    images, _, truths = CASES
    sure = [np.stack([1.0 - t, t], -1) for t in truths]
    found = search(images, sure, truths, trials=4, progress=False)
    assert found.score == found.baseline == 100
    assert found.best["bilateral_weight"] == found.best["spatial_weight"] == 0
    assert not found.helps and "leave the CRF out" in str(found)
    assert_close(refine(images[0], sure[0], **found.best), sure[0], FLOAT32)


def test_a_case_is_scored_by_the_trial_that_is_best_on_the_others():
    scores = np.array([[50.0, 60.0, 70.0], [90.0, 50.0, 50.0], [40.0, 64.0, 74.0]])
    # Without case 0, trial 2 is best (69): 40. Without 1, trial 1 (70): 50; without 2, 1 again.
    found = held_out(scores, ["a", "b", "c"], DICE)
    np.testing.assert_array_equal(found, [40, 50, 50])
    # Cases of one group leave together: without "a", trial 2; without "b", trial 1.
    np.testing.assert_array_equal(held_out(scores, ["a", "b", "b"], DICE), [40, 50, 50])
    np.testing.assert_array_equal(held_out(scores, "aaa", DICE), scores[0])


def test_the_gain_of_groups_and_how_likely_chance_is():
    before = np.array([50.0, 60.0, 70.0, np.nan, 80.0])
    after = np.array([53.0, 61.0, 70.5, 90.0, 79.0])
    found = gain(before, after, ["a", "a", "b", "b", "c"])
    # Groups move by 3 + 1, 0.5 and -1; flip their signs in all ways.
    sums = np.array([4.0, 0.5, -1.0])
    flipped = [abs(np.dot(sums, signs)) for signs in itertools.product([1, -1], repeat=3)]
    assert found.mean == pytest.approx(3.5 / 4)
    assert found.p_value == pytest.approx(np.mean(np.array(flipped) >= 3.5))
    assert found.interval[0] < found.mean < found.interval[1]
    assert np.isnan(gain(before, after, "aaaaa").p_value)


def test_few_cases_are_never_called_proof():
    found = search(*(part[:2] for part in CASES), trials=6, progress=False)
    assert found.gain.mean > 5 and not found.helps
    assert "Too few cases" in str(found)


def test_the_figure_shows_progress_importance_and_every_parameter(tmp_path):
    figure = FOUND.plot()
    figure.savefig(tmp_path / "search.png")
    labels = {axes.get_xlabel() for axes in figure.get_axes()}
    assert {"trial", *FACTORS} <= labels
    few = search(*CASES, trials=2, progress=False).plot()
    few.savefig(tmp_path / "few.png")


@pytest.mark.filterwarnings("ignore:theta_beta")
def test_labels_that_are_nowhere_are_left_out_of_trials(monkeypatch):
    images, probs, truths = CASES
    wide = [np.concatenate([p, np.full((*p.shape[:-1], 3), 1e-6)], -1) for p in probs]
    wide = [p / p.sum(-1, keepdims=True) for p in wide]
    widths = []

    def counted(kernels, unary):
        widths.append(unary.shape[-1])
        return MeanField(kernels, unary)

    monkeypatch.setattr("crfrnn.parameters.cases.MeanField", counted)
    found = search(
        images, wide, truths, trials=3, metric="dice", ignore_below=1e-3, progress=False, workers=1
    )
    # The trial without a CRF has no kernels, of which to leave labels out.
    assert set(widths[len(images) :]) == {probs[0].shape[-1]}
    for trial in found.trials[1:]:
        crf = {name: value for name, value in trial.items() if name != "score"}
        scores = [
            dice(truth, refine(image, p, **crf, ignore_below=1e-3).argmax(-1))
            for image, p, truth in zip(images, wide, truths, strict=True)
        ]
        assert trial["score"] == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("name", ["a?b#%41 c.db", "a?b#%41 c.log"])
def test_trials_are_in_the_file_that_is_named(tmp_path, name):
    search(*CASES, trials=2, progress=False, storage=tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {name}
    again = search(*CASES, trials=3, progress=False, storage=tmp_path / name)
    assert len(again.study.get_trials()) == 3


def test_trials_in_sqlite_leave_no_connection_and_no_complaint(tmp_path, caplog, capfd):
    psutil = pytest.importorskip("psutil")
    path = tmp_path / "trials.db"
    search(*CASES, trials=12, progress=False, storage=path)
    assert not caplog.records and "Error" not in capfd.readouterr().err
    assert str(path) not in [file.path for file in psutil.Process().open_files()]


def test_a_metric_that_no_case_defines_is_refused():
    images, probs, labels = CASES
    everywhere = [np.ones_like(label) for label in labels]
    with pytest.raises(ValueError, match=r'metric="boundary" is defined for none'):
        search(images, probs, everywhere, metric="boundary", trials=3, progress=False)


def test_a_storage_of_an_earlier_version_is_named(tmp_path, monkeypatch):
    path = tmp_path / "trials.log"
    found = search(*CASES, trials=2, progress=False, storage=path)
    found.study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(ValueError, match=r"trials\.log holds a search of an earlier version"):
        search(*CASES, trials=3, progress=False, storage=path)


def test_passwords_are_not_shown():
    with pytest.raises(ValueError, match=r"cannot read the trials in nothing://me:\*\*\*@there"):
        search(*CASES, trials=2, progress=False, storage="nothing://me:secret@there/crf")


@pytest.mark.parametrize("name", ["trials.log", "trials.db"])
def test_a_storage_that_is_none_is_named_and_left_alone(tmp_path, name):
    path = tmp_path / name
    path.write_text("Some notes\nof the user's\n" * 100)
    with pytest.raises(ValueError, match=rf"cannot read the trials in {path}: .*no file of a sea"):
        search(*CASES, trials=2, progress=False, storage=path)
    assert path.read_text() == "Some notes\nof the user's\n" * 100


def test_the_bar_shows_the_gain_so_far_and_optuna_is_left_as_it_was(capsys):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    seen = []
    found = search(
        *CASES, trials=3, progress={"desc": "mine", "ncols": 100}, callback=lambda: seen.append(1)
    )
    err = capsys.readouterr().err
    # tqdm is silent where the output is no terminal, unless told otherwise.
    assert "Trial" not in err and len(seen) == 3
    search(*CASES, trials=3, progress=True)
    err = capsys.readouterr().err
    assert f"gain={max(t['score'] for t in found.trials) - found.baseline:+.2f}" in err
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


IMAGES, PROBS, TRUTHS = CASES
WRONG = {
    "one case, no lists": (dict(images=IMAGES[0]), "as many images"),
    "fewer labels": (dict(labels=TRUTHS[:1]), "4 images, 4 probs, 1 labels"),
    "nothing": (dict(images=[], probs=[], labels=[]), "at least one"),
    "labels of another size": (dict(labels=TRUTHS[::-1]), "Case 0: .*shape"),
    "labels 0 and 255": (dict(labels=[255 * t for t in TRUTHS]), "0..1.*255"),
    "logits": (dict(probs=[10 * p for p in PROBS]), "Case 0: .*sum"),
    "no foreground": (dict(labels=[0 * t for t in TRUTHS], probs=[
        np.stack([np.ones(t.shape), np.zeros(t.shape)], -1) for t in TRUTHS]), "foreground"),
    "a range of one number": (dict(ranges=dict(theta_beta=3)), "0 < lowest < highest. Received 3"),
    "a range in words": (dict(ranges=dict(theta_beta=("1", "2"))), r"`ranges\['theta_beta'\]` to"),
    "a metric": (dict(metric="hausdorff"), "'auto', 'dice', 'iou', 'boundary', 'mdice', 'miou'"),
    "a range of nothing": (dict(ranges={"theta": (1, 2)}), "'theta'"),
    "a range upside down": (dict(ranges={"theta_beta": (2, 1)}), "theta_beta"),
    "a theta of 0": (dict(ranges={"theta_alpha": (0, 1)}), "theta_alpha"),
    "one trial": (dict(trials=1), "2 or more"),
    "a normalization": (dict(normalization="all"), "normalization"),
    "an axis": (dict(slice_axis=2), "slice_axis"),
    "a spacing too many": (dict(spacing=(1.0, 1.0, 1.0)), "spacing"),
    "groups": (dict(groups=["a", "b"]), "groups"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_named(name):
    changed, message = WRONG[name]
    arguments = {"images": IMAGES, "probs": PROBS, "labels": TRUTHS, "trials": 2, **changed}
    with pytest.raises(ValueError, match=message):
        search(**arguments, progress=False)


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ModuleNotFoundError, match=r"optuna.*crfrnn\[search\]"):
        search(*CASES, progress=False)


# ---- Real images and volumes -----------------------------------------------------------------


def from_set(name, part):
    """Some cases of a split: windows of images, whole volumes, slices of volumes."""
    cases = data.split(data.load(name.split()[0]))[part]
    if name == "hippocampus volume":
        return cases[:2]
    if name == "hippocampus slice":
        return [data.slices([case], 0)[case.label.shape[0] // 2] for case in cases[:6]]
    if name == "vnc_em volume":  # four neighbouring sections each, 45-50 nm apart, pixels of 4.6 nm
        tiles = {case.id: data.crop(case, (80, 96)) for case in data.load("vnc_em")}
        first = {"val": 0, "test": 8}[part]
        volumes = [
            [tiles[f"s{section:02d}_y000_x000"] for section in range(start, start + 4)]
            for start in (first, first + 4)
        ]
        return [
            data.Case(
                np.stack([tile.image for tile in tiles]),
                np.stack([tile.label for tile in tiles]),
                (10.0, 1.0, 1.0),
                tiles[0].id,
                tiles[0].group,
            )
            for tiles in volumes
        ]
    return [data.crop(case, (160, 192)) for case in cases[:3]]


@pytest.mark.parametrize(
    "name",
    [
        *("hippocampus slice", "hippocampus volume", "wbc1", "nuclei_stain"),
        *("vnc_em", "vnc_em volume", "hc18"),
    ],
)
def test_what_is_found_on_some_real_cases_helps_another(name):
    needs(name.split()[0])
    labels = len(data.labels(name.split()[0]))
    *searched, (case, probs) = [
        (case, corruption.blurred(case.label, labels, blur=1.0, length=1.5, seed=index))
        for index, case in enumerate([*from_set(name, "val"), from_set(name, "test")[0]])
    ]
    cases = [case for case, _ in searched]
    found = search(
        [case.image for case in cases],
        [probs for _, probs in searched],
        [case.label for case in cases],
        spacing=[case.spacing for case in cases],
        trials=12,
        progress=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refined = refine(case.image, probs, spacing=case.spacing, **found.best)
    score = label_map_score(case.label, labels)
    assert score(refined.argmax(-1)) > score(probs.argmax(-1)) + 1
    assert found.score >= found.guess_score >= found.baseline
    if name in ("wbc1", "nuclei_stain"):  # elsewhere the guess leaves the CRF out
        assert found.guess_score > found.baseline


def test_without_matplotlib_the_plot_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'crfrnn\[plot\]'"):
        SearchResult.plot(None)


@pytest.mark.parametrize("name", ["trials.log", "trials.db"])
def test_a_storage_that_was_changed_since_is_not_believed(tmp_path, name):
    path, kept = tmp_path / name, tmp_path / f"kept-{name}"
    search(*CASES, trials=2, progress=False, storage=path)
    shutil.copy(path, kept)
    for changed in ("value", "arguments", "scores"):
        shutil.copy(kept, path)
        change(path, changed)
        with pytest.raises(ValueError, match=rf"{name} is damaged: trial 1 is not as it was"):
            search(*CASES, trials=3, progress=False, storage=path)
    shutil.copy(kept, path)
    search(*CASES, trials=3, progress=False, storage=path)


def change(path, what):
    """A number that trial 1 has found is another one."""
    if path.suffix == ".db":
        with contextlib.closing(sqlite3.connect(path)) as file, file:
            if what == "value":
                file.execute("UPDATE trial_values SET value = value + 1 WHERE trial_id = 2")
            else:
                new = "replace(value_json, '.', '.9')"
                where = f"trial_id = 2 AND key = '{what}'"
                file.execute(f"UPDATE trial_user_attributes SET value_json = {new} WHERE {where}")
        return
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if what == "value" and line.get("values") and line["trial_id"] == 1:
            line["values"][0] += 1
        elif what in line.get("user_attr", {}) and line["trial_id"] == 1:
            line["user_attr"] = json.loads(
                re.sub(r"(\d)\.", r"\1.9", json.dumps(line["user_attr"]))
            )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_line_that_a_crash_has_cut_off_costs_its_trial_only(tmp_path, monkeypatch, share):
    monkeypatch.setattr("crfrnn.parameters.slots._SILENCE", 0.5)
    path = tmp_path / "trials.log"
    found = search(*CASES, trials=4, progress=False, storage=path)
    text = path.read_text()
    for cut in range(int(share * len(text)), int(share * len(text)) + 120, 17):
        path.write_text(text[:cut])
        assert search(*CASES, trials=4, progress=False, storage=path).trials == found.trials
    # What is no line of a study is left alone, and named.
    path.write_text("a line of the user's without an end")
    with pytest.raises(ValueError, match=r"cannot read the trials in .*trials\.log"):
        search(*CASES, trials=2, progress=False, storage=path)
    assert path.read_text() == "a line of the user's without an end"
    # Nor is a line in the middle dropped.
    lines = text.splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[3][:20] + "\n", *lines[4:]]))
    with pytest.raises(ValueError, match=r"cannot read the trials in .*trials\.log: .*damaged"):
        search(*CASES, trials=2, progress=False, storage=path)
