"""No harm first: how agreement is measured, and what a guess does where it is low."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

import crfrnn
import data
from crfrnn.parameters import trust
from crfrnn.parameters.agreement import agreement, nearness
from crfrnn.parameters.measures import blurred
from data import corruption
from tests.real_sets import needs
from tests.tolerances import AGREEMENT, FLOAT32, assert_close

WEIGHTS = ("bilateral_weight", "spatial_weight")


def scene(shape=(13, 16), noise=0.05, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, int)
    truth[3:10, 4:12] = 1
    truth[5:8, 6:9] = 2
    image = np.array([0.0, 1.0, 2.2])[truth] + rng.normal(0, noise, shape)
    logits = 2.0 * np.eye(3)[truth] + rng.normal(0, 0.8, (*shape, 3))
    return image[..., None], crfrnn.probs_from_logits(logits), truth


def by_hand(image, probs, alpha, beta):
    """The definition, pair by pair."""
    grid = probs.shape[:-1]
    points = list(itertools.product(*map(range, grid)))
    found = {}
    for i in points:
        message = np.zeros(probs.shape[-1])
        for j in points:
            if (sum(i) - sum(j)) % 2:
                far = sum((a - b) ** 2 for a, b in zip(i, j, strict=True)) / alpha**2
                unlike = np.sum((image[i] - image[j]) ** 2) / beta**2
                message += np.exp(-(far + unlike) / 2) * probs[j]
        found[i] = message.argmax()
    found = np.array([found[i] for i in points]).reshape(grid)
    padded = np.pad(probs, [(1, 1), (1, 1), (0, 0)], mode="edge")
    h, w = grid
    own = sum(padded[y : y + h, x : x + w] for y in range(3) for x in range(3)).argmax(-1)
    scores = []
    for label in np.unique(probs.argmax(-1)):
        both = np.sum((own == label) & (found == label))
        total = np.sum(own == label) + np.sum(found == label)
        scores.append(2 * both / total if total else 0.0)
    return np.mean(scores)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("alpha", "beta"), [(3.0, 0.4), (2.0, 5.0)])
def test_agreement_is_what_it_is_defined_to_be(alpha, beta, seed):
    image, probs, _ = scene(seed=seed)
    expected = by_hand(image, probs, alpha, beta)
    # The lattice is a few percent from the exact kernel, so single labels may differ.
    found = agreement(image, probs, theta_alpha=alpha, theta_beta=beta)
    assert found == pytest.approx(expected, abs=AGREEMENT)
    assert 0.4 < found < 1


def test_agreement_has_no_units():
    image, probs, _ = scene()
    one = agreement(image, probs, theta_alpha=3.0, theta_beta=0.4)
    other = agreement(4000 * image - 9e5, probs, theta_alpha=3.0, theta_beta=1600.0)
    assert other == pytest.approx(one, abs=1e-6)
    far = agreement(image, probs, theta_alpha=6.0, theta_beta=0.4, spacing=2.0)
    assert far == pytest.approx(one, abs=1e-6)


def test_a_label_that_the_blur_wipes_out_counts_as_lost():
    truth = np.zeros((14, 17), int)
    truth[:, 9:] = 1
    truth[4, 4] = 2  # one point
    image = np.where(truth == 1, 1.0, 0.0)[..., None]
    probs = crfrnn.probs_from_labels(truth, 3, confidence=0.6)
    assert 2 not in blurred(probs).argmax(-1)
    found = agreement(image, probs, theta_alpha=4.0, theta_beta=0.2)
    assert found == pytest.approx(2 / 3, abs=0.02)  # two labels of three are given back


def test_large_images_are_judged_by_their_middle(monkeypatch):
    image, probs, _ = scene((26, 40))
    image[:4], probs[:4] = 0.0, 1 / 3  # the rim tells nothing
    middle = (slice(3, 23), slice(4, 36))
    monkeypatch.setattr("crfrnn.parameters.agreement._MOST_POINTS", 26 * 40 * 0.64)
    whole = agreement(image, probs, theta_alpha=3.0, theta_beta=0.4)
    assert whole == agreement(image[middle], probs[middle], theta_alpha=3.0, theta_beta=0.4)


def test_trust_rises_from_nothing_to_all():
    low, full = trust.LOWEST, trust.FULL
    at = [trust.trust(a, 0.1) for a in (0.0, low, low + (full - low) / 4, full, 1.0)]
    assert at == [0.0, 0.0, 0.25, 1.0, 1.0]


def test_where_nearness_does_nearly_as_well_more_is_asked_for():
    low, full, more = trust.LOWEST, trust.FULL, trust.MORE
    shifted = [trust.trust(a + more, a + more) for a in (low, low + (full - low) / 4, full)]
    assert shifted == pytest.approx([0.0, 0.25, 1.0])
    # The image leaves a half of the errors of nearness, and a little more than a half.
    assert [trust.trust(full, 1 - share * (1 - full)) for share in (2.01, 1.99)] == [1.0, 0.0]


@pytest.mark.parametrize("alpha", [2.0, 2.5])
def test_nearness_is_the_agreement_of_an_image_without_anything(alpha):
    _, probs, _ = scene()
    expected = by_hand(np.zeros((*probs.shape[:-1], 1)), probs, alpha, 1.0)
    assert nearness(probs, theta_alpha=alpha) == pytest.approx(expected, abs=AGREEMENT)


def test_blobs_that_the_image_does_not_show_stay_as_they_are():
    """Their points come back from their neighbours, whatever the image."""
    rng = np.random.default_rng(1)
    smooth = np.stack([ndimage.gaussian_filter(rng.normal(size=(90, 100)), 2) for _ in "abc"], -1)
    probs = crfrnn.probs_from_logits(1.5 * smooth / smooth.std())
    guess = crfrnn.first_guess(rng.normal(0, 1, (90, 100)), probs)
    assert [guess[name] for name in WEIGHTS] == [0.0, 0.0]
    assert "nearness alone" in guess.reasons


def stripes(truth):
    """An image that shows other things than the labels."""
    return np.broadcast_to(np.arange(truth.shape[1]) // 2 % 2, truth.shape).astype(float)


def test_where_the_image_contradicts_the_labels_they_stay_as_they_are():
    rng = np.random.default_rng(0)
    fine = np.indices((30, 36)).sum(0) // 2 % 2  # diagonal lines, two points wide
    p = 0.2 + 0.6 * fine + rng.normal(0, 0.02, fine.shape)
    probs = np.stack([1 - p, p], -1)
    guess = crfrnn.first_guess(stripes(fine), probs)
    assert [guess[name] for name in WEIGHTS] == [0.0, 0.0]
    assert not guess.sure and "no CRF" in guess.reasons
    assert_close(crfrnn.refine(stripes(fine), probs, **guess), probs, FLOAT32)
    shown = crfrnn.first_guess(fine + rng.normal(0, 0.05, fine.shape), probs)
    assert shown["bilateral_weight"] > 0


def test_reasons_are_those_of_the_image():
    image, probs, _ = scene((60, 70), noise=0.02)
    kernel = {
        name: crfrnn.first_guess(image, probs)[name] for name in ("theta_alpha", "theta_beta")
    }
    measured = agreement(image, probs, **kernel)
    guess = crfrnn.first_guess(image, probs)
    assert f"gives back {100 * measured:.0f} %" in guess.reasons
    assert guess.sure == (measured >= trust.FULL)
    blind = crfrnn.first_guess(image)
    assert not blind.sure and "Without probabilities" in blind.reasons
    several = crfrnn.first_guess([image, image], [probs, probs])
    assert "images give back" in several.reasons and several == guess


@pytest.mark.parametrize("weights", [(0.0, 0.0), (0, 0)])
def test_no_crf_works_everywhere(weights):
    image, probs, truth = scene()
    off = dict(zip(WEIGHTS, weights, strict=True))
    crf = {**crfrnn.first_guess(image, probs), **off}
    assert_close(crfrnn.refine(image, probs, **crf), probs, FLOAT32)
    dense = crfrnn.DenseCRF(image, 3, **{k: v for k, v in crf.items() if k != "num_iterations"})
    dense.set_unary(probs=probs)
    dense.step(3)
    assert_close(dense.probs(), probs, FLOAT32)
    assert crfrnn.diagnose(image, probs, truth, **crf).flips[-1] == 0


def test_thin_membranes_of_real_cells_are_left_alone():
    needs("vnc_em")
    case = data.crop(data.split(data.load("vnc_em"))["test"][0], (160, 160))
    probs = corruption.coarse(case.label, len(data.labels("vnc_em")), stride=8, seed=0)
    guess = crfrnn.first_guess(case.image, probs)
    assert not guess.sure
