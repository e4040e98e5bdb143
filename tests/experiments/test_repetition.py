"""What the seed of a repetition decides; how every kind of row comes about."""

import dataclasses

import keras
import numpy as np
import pytest

import data
from experiments import repetition, runs
from experiments.rows import KINDS, Comparison, Row
from experiments.rows.largest import largest_piece
from experiments.score.cases import mean_dice
from experiments.studies.main_job import comparison
from experiments.train import predict, references
from experiments.train.inputs import VOID
from tests.experiments.every_kind import ALL_KINDS, SETTINGS, without_xla
from tests.tolerances import FLOAT32, assert_close

ROWS = comparison().rows


def initial_weights(seed, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name: data.phantom(8, (12, 10)))
    one = repetition.Repetition(SETTINGS, ROWS, seed, tmp_path)
    ids = [case.id for case in one.rows["plain"].inputs.train.cases]
    return np.concatenate([w.ravel() for w in one.front_end(SETTINGS).get_weights()]), ids


def test_the_seed_decides_initial_weights_and_training_cases(tmp_path, monkeypatch):
    zero, zero_again, one = (initial_weights(s, tmp_path, monkeypatch) for s in (0, 0, 1))
    np.testing.assert_array_equal(zero[0], zero_again[0])
    assert zero[1] == zero_again[1]
    assert np.abs(zero[0] - one[0]).max() > 0.1
    assert zero[1] != one[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every kind of row on eight small phantoms, and the folder with its results."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda name: data.phantom(8, (12, 10)))
        without_xla(patch)
        one = repetition.Repetition(SETTINGS, ALL_KINDS, 0, folder)
        for key in ALL_KINDS:
            one.make(key)
        yield one


def result(made, key):
    return runs.read_json(made.path(key))


def validation(made, key):
    return made.rows[key].scores("validation")


def test_every_kind_of_row_is_made(made):
    for key in ALL_KINDS:
        row = made.rows[key]
        assert len(result(made, key)["cases"]) == len(row.inputs.test.cases)
        assert np.isfinite(np.concatenate(row.scores("test"), axis=None)).all()


def test_all_kinds_are_among_them():
    # rankseg needs a package that is in no extra: see rows/test_rivals.py.
    assert {row.kind for row in ALL_KINDS.values()} == KINDS.keys() - {"rankseg"}


def test_a_frozen_network_stays_and_its_head_learns(made):
    for key in ("affine", "crf"):
        for before, after in zip(
            made.rows["plain"].model.get_weights(),
            made.rows[key].network_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(before, after)
    kernel = made.rows["affine"].model.get_layer("head").get_weights()[0]
    assert 0 < np.abs(kernel - np.eye(len(kernel))).max() < 1


def test_pseudo_labels_stand_where_there_was_no_label(made):
    row, weak = made.rows["pseudo"], made.rows["weak"]
    given, filled = row.inputs.train, row.training
    none = given.labels == VOID
    assert 0.5 < none.mean() < 1
    np.testing.assert_array_equal(filled.labels[~none], given.labels[~none])
    for index, (slices, scores) in enumerate(
        zip(filled.per_case(filled.labels), weak.scores("train"), strict=True)
    ):
        without = given.per_case(none)[index]
        np.testing.assert_array_equal(slices[without], scores.argmax(-1)[without])
    # What is beside the image is no point of it.
    np.testing.assert_array_equal(filled.labels[~given.present], VOID)


def test_pseudo_labels_are_of_the_cases_that_are_trained_on(made):
    row = Row("", "", "pseudo", ("weak",), {"labels": "scribbles", "train_on": "train+val"})
    with pytest.raises(ValueError, match="the cases of the row it rests on, 'weak'"):
        KINDS["pseudo"]("other", row, made).training  # noqa: B018


def test_without_iterations_a_crf_leaves_the_unaries(made):
    for again, unaries in zip(
        made.rows["again"].scores("test"), made.rows["unaries"].scores("test"), strict=True
    ):
        assert_close(again, unaries, FLOAT32)


def test_flips_are_the_mean_over_mirrored_images(made):
    model, test = made.rows["plain"].model, made.rows["plain"].inputs.test
    image = test.images[:1]
    total = 0
    for rows in (1, -1):
        for columns in (1, -1):
            logits = keras.ops.convert_to_numpy(
                model(image[:, ::rows, ::columns].copy(), training=False)
            )
            odds = np.exp(logits[:, ::rows, ::columns])
            total = total + odds / odds.sum(-1, keepdims=True)
    height, width = test.cases[0].label.shape
    found = np.exp(made.rows["flips"].scores("test")[0])
    assert_close(found, (total / 4)[:, :height, :width], FLOAT32)


def test_the_largest_piece_is_of_each_case_by_itself(made, monkeypatch):
    random = np.random.default_rng(1)
    plain = [random.normal(size=(1, 9, 14, 4)) + [2.5, 0, 0, 0] for _ in range(2)]
    monkeypatch.setattr(made.rows["plain"], "scores", lambda split: plain)
    found = made.rows["largest"].scores.__wrapped__("test")  # not from its cache
    for before, after in zip(plain, found, strict=True):
        np.testing.assert_array_equal(after, largest_piece(before))
        assert (after != before).any()


def test_what_is_not_to_be_learned_stays(made):
    start = result(made, "fixed")["weights"]
    assert start["compatibility"] == (-np.eye(4)).tolist()
    symmetric = np.array(result(made, "symmetric")["weights"]["compatibility"])
    assert_close(symmetric, symmetric.T, FLOAT32)
    assert np.abs(symmetric + np.eye(4)).max() > 0
    spatial = result(made, "spatial")
    assert spatial["weights"]["bilateral"] == [0, 0, 0, 0]
    assert spatial["search"]["best"]["bilateral_weight"] == 0
    thetas = result(made, "thetas")
    assert thetas["weights"]["theta_alpha"] != thetas["search"]["best"]["theta_alpha"]


def test_parameters_are_written_with_four_decimals(made):
    written = result(made, "thetas")
    for parameters in (written["weights"], *(point["crf"] for point in written["history"])):
        values = np.concatenate([np.ravel(value) for value in parameters.values()])
        assert values.size > 10
        assert [round(value, 4) for value in values.tolist()] == values.tolist()


def test_the_best_is_the_best_on_validation(made):
    best, rows = result(made, "best"), ("plain", "bias", "joint")
    dice = {key: mean_dice(made.rows[key].inputs.validation, validation(made, key)) for key in rows}
    assert best["validation_dice"] == dice
    assert best["chosen"] == max(dice, key=dice.get)
    assert len({*dice.values()}) > 1  # there is something to choose
    # What the CRF of the row that was chosen changed is not this row's doing.
    cases, chosen = ([dict(c) for c in result(made, k)["cases"]] for k in ("best", best["chosen"]))
    assert {case.pop("changed") for case in cases} == {0}
    for case in chosen:
        case.pop("changed")
    assert cases == chosen


def test_a_bias_does_not_lose_on_validation(made):
    slices = made.rows["bias"].inputs.validation
    bias, plain = (mean_dice(slices, validation(made, key)) for key in ("bias", "plain"))
    assert bias >= plain


def test_rows_of_other_labels_are_trained_apart(made):
    weak, full = (made.rows[key].inputs.train for key in ("weak", "plain"))
    np.testing.assert_array_equal(weak.images, full.images)
    known = weak.labels != 255
    assert known.mean() < 0.2
    np.testing.assert_array_equal(weak.labels[known], full.labels[known])
    validation = made.rows["plain"].inputs.validation
    both = made.rows["both"].inputs.train
    assert len(both.images) == len(full.images) + len(validation.images)


def test_rows_of_other_cases_are_pretrained_on_them_too(made):
    shared, both = (made.pretrained(ALL_KINDS[key].settings) for key in ("plain", "both"))
    assert made.pretrained(ALL_KINDS["edges"].settings)[0] is shared[0]  # made once
    for one, other in zip(shared[0], both[0], strict=True):
        assert np.abs(one - other).max() > 0
    assert (made.folder / "pretrain-train_on-train+val.checkpoint.npz").exists()


def test_a_search_of_other_iterations_is_a_search_of_its_own(made):
    assert made.rows["one"].search is not made.rows["joint"].search
    assert {path.stem for path in made.folder.glob("search-plain*.json")} >= {
        "search-plain",
        "search-plain-one",
    }


def test_weights_of_points(made):
    edges, balanced = (made.rows[key].inputs.train for key in ("edges", "balanced"))
    assert set(np.unique(edges.weights)) == {1, 5}
    sums = [balanced.weights[balanced.labels == label].sum() for label in range(4)]
    assert_close(sums, np.full(4, sums[0]), FLOAT32)


def test_what_a_row_rests_on_must_stand_before_it():
    rows = dict(reversed(ROWS.items()))
    with pytest.raises(ValueError, match="stand before"):
        Comparison(rows, (), (), None)
    with pytest.raises(ValueError, match="must name no row"):
        Comparison({"a": ROWS["plain"], "b": Row("", "", "network", ("a",))}, (), (), None)
    with pytest.raises(ValueError, match="Unknown kind 'magic'"):
        Comparison({"a": dataclasses.replace(ROWS["plain"], kind="magic")}, (), (), None)
    with pytest.raises(ValueError, match="No such rows"):
        Comparison(ROWS, [("joint", "jiont")], (), None)


def test_predictions_do_not_depend_on_the_shapes_before(made):
    """A resumed run has seen fewer."""
    model, test = made.rows["thetas"].model, made.rows["thetas"].inputs.test

    def refined(*sizes):
        model.predict_function = None
        for size in sizes:
            added = [(0, 0), (0, size), (0, 2 * size), (0, 0)]
            larger = dataclasses.replace(
                test, images=np.pad(test.images, added), references=np.pad(test.references, added)
            )
            found = predict._outputs(model, larger, batch_size=2)["refined"]
        return found

    np.testing.assert_array_equal(refined(0, 4, 8), refined(8))


def embedding(made, key):
    """(kernel, bias) of a row's embedding."""
    return made.rows[key].model.get_layer("embedding").get_weights()


def test_an_embedding_starts_at_the_components_and_learns_only_where_asked_to(made):
    row = made.rows["followed"]
    network = row.start()  # with the weights that its further updates started from
    start = references.projection(network, row.inputs.train, row.config.batch_size, made.seed)
    for value, expected in zip(embedding(made, "followed"), start, strict=True):
        np.testing.assert_array_equal(value, expected)
    assert np.abs(embedding(made, "pulled")[0] - start.kernel).max() > 1e-4


def test_rows_that_compare_the_same_share_a_search(made):
    searches = {path.stem for path in made.folder.glob("search-*.json")}
    kept = {"search-plain", "search-plain--features", "search-plain--image+probabilities"}
    assert kept | {"search-bias--image+probabilities"} <= searches
    shared = result(made, "embedding")["search"]
    assert shared == result(made, "followed")["search"] == result(made, "by_features")["search"]


def test_probabilities_are_compared_as_the_network_says_them(made):
    row = made.rows["by_probs"]
    compared, images = row.references("test"), row.inputs.test.per_case(row.inputs.test.images)
    scores = made.rows["bias"].scores("test")
    for one, image, score in zip(compared, images, scores, strict=True):
        exps = np.exp(score - score.max(-1, keepdims=True))
        np.testing.assert_array_equal(one[..., : image.shape[-1]], image)
        assert_close(one[..., image.shape[-1] :], exps / exps.sum(-1, keepdims=True), FLOAT32)
