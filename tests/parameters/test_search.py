"""The search: what it tries and returns, that its arguments alone decide, and its errors."""

import itertools
import sys

import numpy as np
import optuna
import pytest

from crfrnn import refine
from crfrnn.meanfield.in_place import MeanField
from crfrnn.parameters.cases import Cases
from crfrnn.parameters.first_guess import first_guess
from crfrnn.parameters.gain import gain
from crfrnn.parameters.metrics import metric
from crfrnn.parameters.ranges import FACTORS
from crfrnn.parameters.search import search
from crfrnn.parameters.search_result import SearchResult, held_out
from data import corruption
from tests.parameters.blocks import CASES, FOUND, blocks
from tests.tolerances import FLOAT32, assert_close


def dice(truth, prediction):
    """Of label 1, in percent, counted point by point."""
    both = one = 0
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        both += t == 1 and p == 1
        one += int(t == 1) + int(p == 1)
    return 100 * 2 * both / one


DICE = metric("dice")


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
    pairs = [("a", 1), ("a", 1), ("b", 1), ("b", 1), ("a", 2)]  # any names
    assert gain(before, after, pairs) == found


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


def test_a_metric_that_no_case_defines_is_refused():
    images, probs, labels = CASES
    everywhere = [np.ones_like(label) for label in labels]
    with pytest.raises(ValueError, match=r'metric="boundary" is defined for none'):
        search(images, probs, everywhere, metric="boundary", trials=3, progress=False)


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


def test_without_matplotlib_the_plot_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'crfrnn\[plot\]'"):
        SearchResult.plot(None)
