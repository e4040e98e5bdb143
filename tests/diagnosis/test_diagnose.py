"""Each verdict on an input made to provoke it."""

import subprocess
import sys

import numpy as np
import pytest

from crfrnn import refine
from crfrnn.diagnosis.diagnose import diagnose
from crfrnn.parameters.first_guess import first_guess
from tests.diagnosis.scene import GOOD, case
from tests.tolerances import FLOAT32, assert_close


def sure(probs, power=12.0):
    powers = probs**power
    return powers / powers.sum(-1, keepdims=True)


def verdict(image, probs, labels=None, **crf):
    return " ".join(diagnose(image, probs, labels, **{**GOOD, **crf}).verdict)


PROVOKED = {
    "cannot see edges": dict(theta_beta=4000.0),
    "hardly any two points are alike": dict(theta_beta=0.01),
    "hardly reaches a neighbour": dict(theta_alpha=0.2),
    "Both weights are 0": dict(bilateral_weight=0, spatial_weight=0.0),
    "There are 0 iterations": dict(num_iterations=0),
    "drown the unaries": dict(normalization="none"),
    "equal labels repel": dict(compatibility=np.eye(2)),
    "theta_gamma is 0.2 of": dict(spacing=(5.0, 1.0), theta_alpha=(40.0, 8.0)),
    "does not see the image": dict(bilateral_weight=0.1, spatial_weight=3.0),
}


@pytest.mark.parametrize("sentence", PROVOKED)
def test_provoked(sentence):
    image, probs, _ = case()
    found = verdict(image, probs, **PROVOKED[sentence])
    assert sentence in found and "Nothing looks wrong" not in found
    for other in PROVOKED.keys() - {sentence}:
        assert other not in found


def test_nothing_is_wrong():
    image, probs, truth = case()
    found = diagnose(image, probs, truth, **GOOD)
    assert "rises to" in found.verdict[1] and "Nothing looks wrong" in found.verdict[2]
    assert len(found.verdict) == 3
    assert found.metrics["dice"][1] > found.metrics["dice"][0] + 3


@pytest.mark.parametrize("theta_beta", [4000.0, 0.01])
def test_the_advice_helps(theta_beta):
    image, probs, _ = case()
    (advice,) = [s for s in diagnose(image, probs, **{**GOOD, "theta_beta": theta_beta}).verdict
                 if "Try about" in s]  # fmt: skip
    proposed = float(advice.split("Try about ")[1].rstrip("."))
    guess = first_guess([image[..., None]], [probs])["theta_beta"]
    assert proposed == pytest.approx(float(np.mean(guess)), rel=0.01)
    assert "Nothing looks wrong" in verdict(image, probs, **{**GOOD, "theta_beta": proposed})


def test_edges_that_are_weak_where_they_matter():
    image, probs, _ = case(shape=(30, 60))
    image[:, 57:] = 3000.0  # a caption, say, that spans the range
    found = verdict(image, probs, theta_beta=400.0, theta_alpha=3.0)
    assert "keep out only" in found and "cannot see edges" not in found
    assert "Try about" in found


def test_bandwidths_below_the_noise():
    """With a far reach there are points of the same grey value, but by chance."""
    image, probs, _ = case(noise=20.0)
    found = verdict(image, probs, theta_beta=3.0, theta_alpha=30.0)
    assert "follows the noise" in found and "hardly any two" not in found


def test_a_constant_image():
    image, probs, _ = case()
    assert "The image is constant" in verdict(0 * image, probs)


def test_unaries_that_cannot_be_overturned():
    image, probs, _ = case(unsure=0.02)
    found = diagnose(image, sure(probs, 9.0), **{**GOOD, "bilateral_weight": 1.0})
    assert "so sure" in found.verdict[1] and "probs_from_labels" not in found.verdict[1]
    hard = np.eye(2)[probs.argmax(-1)]
    assert "probs_from_labels" in " ".join(diagnose(image, hard, **GOOD).verdict)
    # With the proposed factor they can be.
    factor = float(found.verdict[1].split("about ")[1].split(" times")[0])
    raised = {**GOOD, "bilateral_weight": factor, "spatial_weight": factor}
    assert "so sure" not in verdict(image, sure(probs, 9.0), **raised)


def test_a_label_that_is_swallowed():
    rng = np.random.default_rng(0)
    truth = np.zeros((30, 44), int)
    truth[5:25, 5:25] = 1
    truth[12:15, 30:34] = 2  # small
    image = 50.0 * truth + rng.normal(0, 5, truth.shape)
    probs = 0.8 * np.eye(3)[truth] + 0.2 / 3
    crf = dict(theta_gamma=8.0, spatial_weight=8.0, bilateral_weight=0.0)
    found = diagnose(image, probs, truth, **{**GOOD, **crf})
    assert "Label 2 lost 100 % of its points, most of them to label 0." in found.verdict
    assert "lower spatial_weight, or theta_gamma" in " ".join(found.verdict)
    assert "Label 1" not in " ".join(found.verdict)
    assert "It does harm here." in " ".join(found.verdict)
    assert found.label_shares[2, 1] == 0 < found.label_shares[2, 0]


def test_much_is_only_wrong_where_it_does_not_help():
    image, probs, truth = case(unsure=0.3)
    assert "is much for a refinement" in verdict(image, probs)
    assert "is much for a refinement" not in verdict(image, probs, truth)


def test_an_iteration_that_overshoots_or_has_not_ended():
    image, probs, _ = case()
    crf = dict(compatibility=np.eye(2), spatial_weight=30.0, bilateral_weight=0.0)
    found = verdict(image, probs, **crf)
    assert "the updates overshoot" in found and "still change in the last iteration" in found
    image, probs, _ = case(unsure=0.3)
    assert "Do 2 in place of 1." in verdict(image, probs, num_iterations=1)
    assert "in place of" not in verdict(image, probs, num_iterations=20)


def test_no_advice_against_a_crf_that_the_labels_show_to_help():
    """What the numbers suggest is tried, and refused where it scores worse."""
    image, probs, truth = case(unsure=0.3, noise=2.0)
    crf = {**GOOD, "bilateral_weight": 60.0}
    blind = verdict(image, probs, **crf)
    assert "drown the unaries" in blind and "Lower the weights about" in blind
    assert "labels would tell" in blind and "helps here" not in blind
    found = diagnose(image, probs, truth, **crf)
    assert "the CRF helps here" in found.verdict[1]
    (sentence,) = [s for s in found.verdict if "drown" in s]
    assert "But leave it so: to lower the weights about" in sentence
    assert "labels would tell" not in " ".join(found.verdict)
    factor = float(sentence.split("about ")[1].split(" times")[0])
    lower = {**crf, **{name: crf[name] / factor for name in ("bilateral_weight", "spatial_weight")}}
    metrics = diagnose(image, probs, truth, **lower).metrics["dice"]
    said = float(sentence.split("mean Dice to ")[1].removesuffix(" %."))
    assert said == pytest.approx(metrics[1], abs=0.3)  # the factor is shown in two digits
    assert metrics[1] < found.metrics["dice"][1] - 1


def test_advice_that_the_labels_confirm_says_what_it_is_worth():
    image, probs, truth = case()
    found = diagnose(image, probs, truth, **{**GOOD, "theta_beta": 4000.0})
    (sentence,) = [s for s in found.verdict if "Try about" in s]
    guess = first_guess(image, probs)["theta_beta"]
    better = diagnose(image, probs, truth, **{**GOOD, "theta_beta": guess}).metrics["dice"][1]
    assert sentence.endswith(f": the mean Dice is then {better:.2f} %.")
    assert better > found.metrics["dice"][1]


def test_many_labels_are_judged_by_those_that_the_truth_has():
    image, probs, truth = case()
    many = np.concatenate([0.9 * probs, np.full((*truth.shape, 6), 0.1 / 6)], -1)
    many[2, 2], many[3, 3] = 0.01 + 0.92 * np.eye(8)[[5, 6]]  # stray points
    found = diagnose(image, many, truth, **GOOD)
    before = many.argmax(-1)
    each = [
        200 * np.sum((truth == k) & (before == k)) / (np.sum(truth == k) + np.sum(before == k))
        for k in (0, 1)
    ]
    assert set(found.metrics) == {"mdice", "miou", "correct"}
    assert found.metrics["mdice"][0] == pytest.approx(np.mean(each))


def test_labels_without_foreground_are_judged_by_the_share_of_correct_points():
    image, probs, truth = case()
    probs[..., 0] = 0.9
    probs[..., 1] = 0.1
    found = diagnose(image, probs, 0 * truth, **GOOD)
    assert "Dice is not defined" in found.verdict[1]
    assert found.verdict[2] == "The share of correct points was 100.00 % and stays at 100.00 %."


@pytest.mark.parametrize("with_bilateral", [True, False])
def test_points_outside_a_mask_have_no_part(with_bilateral):
    image, probs, truth = case()
    mask = np.zeros(truth.shape, bool)
    mask[4:25, 6:38] = True
    crf = GOOD if with_bilateral else {**GOOD, "bilateral_weight": 0.0}
    labels = np.where(np.indices(truth.shape).sum(0) % 7 == 0, 255, truth)
    found = diagnose(image, probs, labels, mask=mask, unknown=255, **crf)
    other = diagnose(
        np.where(mask, image, np.nan),
        np.where(mask[..., None], probs, probs[::-1]),
        np.where(mask, labels, 1 - truth),
        mask=mask,
        unknown=255,
        **crf,
    )
    assert other.verdict == found.verdict and other.metrics == found.metrics
    for name in ("kl", "changed", "flips", "mean_change", "max_change", "label_shares"):
        assert_close(getattr(other, name), getattr(found, name), FLOAT32)
    for name in ("margin", "reach", "agreement"):
        assert len(getattr(found.messages, name)) == mask.sum()
    after = refine(image, probs, mask=mask, **crf)
    assert_close(found.after, after, FLOAT32)
    known = mask & (labels != 255)
    correct = 100 * np.mean(after.argmax(-1)[known] == truth[known])
    assert found.metrics["correct"][1] == pytest.approx(correct)
    assert found.changed[-1] == np.mean((after.argmax(-1) != probs.argmax(-1))[mask])
    if with_bilateral:
        alone = diagnose(image[4:25, 6:38], probs[4:25, 6:38], **crf).edges
        for name in ("range", "noise"):
            assert getattr(found.edges, name) == pytest.approx(getattr(alone, name))
        assert np.sort(found.edges.contrast) == pytest.approx(np.sort(alone.contrast))
    pytest.importorskip("matplotlib")
    found.plot().draw_without_rendering()


def test_units_do_not_matter():
    """Intensities times 7 with theta_beta times 7, and lengths in mm: the same edges."""
    image, probs, _ = case()
    one = diagnose(image, probs, **GOOD).edges
    crf = {**GOOD, "theta_beta": 7 * 25.0, "theta_alpha": (24.0, 4.0), "theta_gamma": (3.0, 0.5)}
    other = diagnose(7 * image, probs, spacing=(3.0, 0.5), **crf).edges
    for name in ("range", "noise", "neighbours", "without_edges", "strength"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6)


def test_unaries_may_be_logits():
    image, probs, _ = case()
    one, other = (diagnose(image, u, **GOOD) for u in (probs, np.log(probs) + 3.0))
    assert_close(other.after, one.after, FLOAT32)
    single = np.log(probs[..., 1:] / probs[..., :1])
    assert_close(diagnose(image, single, **GOOD).after, one.after, FLOAT32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, p, t: (i[:, :9], p), r"image of shape \(30, 9\)"),
        (lambda i, p, t: (i, 0.5 * p), "sum to 1"),
        (lambda i, p, t: (i, p * np.nan), "NaN"),
        (lambda i, p, t: (i, p, t[:9]), r"labels of shape \(30, 44\)"),
        (lambda i, p, t: (i, p, t + 1), r"whole numbers 0\.\.1"),
        (lambda i, p, t: (i[:0], p[:0]), "with points"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        diagnose(*change(*case()), **GOOD)
    with pytest.raises(ValueError, match="on a grid"):
        diagnose(*case()[:2], coordinates=np.zeros((9, 2)), **GOOD)


def test_printed():
    image, probs, truth = case()
    text = str(diagnose(image, probs, truth, num_iterations=2, **GOOD))
    assert text.splitlines()[0].split() == "iteration largest change mean change changed".split()
    assert "dice" in text and text.endswith(" of these.") and "Nothing looks wrong" in text


def test_needs_no_keras():
    code = (
        "import sys, numpy as np\n"
        "from crfrnn.diagnosis.diagnose import diagnose\n"
        "diagnose(np.eye(9), np.full((9, 9, 2), 0.5), theta_alpha=3, theta_beta=1,\n"
        "         theta_gamma=1, bilateral_weight=1, spatial_weight=1)\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("outside", [0.0, -1.0, np.nan])
def test_what_stands_outside_a_mask_is_not_taken_for_anything(outside):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), (12, 14))
    image, mask = rng.normal(size=(12, 14)), rng.uniform(size=(12, 14)) < 0.7
    crf = dict(theta_alpha=4, theta_beta=1, theta_gamma=1, bilateral_weight=2, spatial_weight=1)
    expected = diagnose(image, probs, **crf, mask=mask)
    found = diagnose(image, np.where(mask[..., None], probs, outside), **crf, mask=mask)
    np.testing.assert_array_equal(found.after[mask], expected.after[mask])
