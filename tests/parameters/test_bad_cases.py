"""Bad input of search, first guess and diagnosis is named."""

import numpy as np
import pytest

import crfrnn
from tests.bad_input import CRF, IMAGE, NAN, PROBS, RNG

TRUTH = (RNG.uniform(size=(3, 8, 9)) > 0.5).astype(int)
P = np.clip(0.3 + 0.4 * TRUTH + RNG.normal(0, 0.1, TRUTH.shape), 0.01, 0.99)
CASES = dict(images=TRUTH + RNG.normal(0, 0.1, TRUTH.shape), labels=TRUTH)
CASES["probs"] = np.stack([1 - P, P], -1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(images=None), "`images` to be a list of arrays"),
        (dict(labels=TRUTH[:2]), "3 images, 3 probs, 2 labels"),
        (dict(labels=TRUTH[:, :5]), r"Case 0: Expected labels of shape \(8, 9\)"),
        (dict(labels=TRUTH + 5), r"whole numbers 0..1"),
        (dict(labels=TRUTH + 0.5), r"whole numbers 0..1"),
        (dict(labels=0 * TRUTH), "some foreground"),
        (dict(probs=np.log(CASES["probs"])), "probs_from_logits"),
        (dict(probs=P), r"Case 0: .*one probability per point: np.stack\(\[1 - p, p\], -1\)"),
        (dict(metric="f1"), "'dice', 'iou', 'boundary'"),
        (dict(trials=1), "`trials` to be a whole number, 2 or more"),
        (dict(trials=2.5), "`trials` to be a whole number, 2 or more"),
        (dict(ranges=dict(theta=(1, 2))), "Expected `ranges` of theta_alpha"),
        (dict(ranges=dict(theta_alpha=(3, 2))), "0 < lowest < highest"),
        (dict(groups=["a"]), "Expected 3 `groups`"),
        (dict(slice_axis=2), "one of the 2 axes"),
        (dict(workers=0), "`workers` to be a whole number, 1 or more"),
        (dict(num_iterations=-1), "`num_iterations` to be a whole number"),
        (dict(metric="boundary", width=-1), "`width` to be a positive number"),
        (dict(spacing=(1, 0)), "`spacing` to be positive"),
        (dict(spacing=(1, 2, 3)), "one number per axis"),
    ],
)
def test_search(changes, message):
    pytest.importorskip("optuna")
    with pytest.raises(ValueError, match=message):
        crfrnn.search(**{**CASES, "trials": 2, "progress": False, **changes})


def test_one_image_without_a_list_is_told_from_many(recwarn):
    pytest.importorskip("optuna")
    few = dict(trials=2, progress=False)
    crfrnn.search(**CASES, **few)
    crfrnn.search(**{name: list(one[0]) for name, one in CASES.items()}, **few)  # signals, in lists
    assert not [one for one in recwarn if "rows" in str(one.message)]
    with pytest.warns(
        UserWarning, match=r"every one of 8 rows .* \[image\], \[probs\], \[labels\]"
    ):
        crfrnn.search(**{name: one[0] for name, one in CASES.items()}, **few)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: crfrnn.first_guess([]), "at least one image"),
        (lambda: crfrnn.first_guess("image.png"), "array of real numbers"),
        (lambda: crfrnn.first_guess(IMAGE.tolist()), r"lists of numbers\. Use np\.asarray of each"),
        (lambda: crfrnn.first_guess([IMAGE[0, 0].tolist()]), "lists of numbers"),
        (lambda: crfrnn.first_guess([IMAGE], 3), "`probs` to be a list of arrays. Received 3"),
        (lambda: crfrnn.first_guess([IMAGE], mask=True), "`mask` to be a list of arrays"),
        (lambda: crfrnn.first_guess(IMAGE, spacing={}), "`spacing` to be an array of real"),
        (lambda: crfrnn.first_guess([IMAGE], spacing=[]), "`spacing` to be one number or one"),
        (lambda: crfrnn.first_guess(IMAGE * NAN), "finite image"),
        (lambda: crfrnn.first_guess([IMAGE, IMAGE[..., :1]]), "equal numbers of channels"),
        (lambda: crfrnn.first_guess([IMAGE], [PROBS, PROBS]), "1 images, 2 probs"),
        (lambda: crfrnn.first_guess(IMAGE, PROBS, spacing=(1, 0)), "`spacing` to be positive"),
        (lambda: crfrnn.first_guess(IMAGE, PROBS, spacing=(1, 2, 3)), "one number per axis"),
        (lambda: crfrnn.first_guess(IMAGE, PROBS[..., 0]), "becomes two: np.stack"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS[..., 0], **CRF), "becomes two: np.stack"),
        (lambda: crfrnn.diagnose(IMAGE[:5], PROBS, **CRF), "of the same S"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS * NAN, **CRF), "without NaN"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS, TRUTH[0], **CRF), r"labels of shape \(6, 9\)"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS, num_iterations=-1, **CRF), "whole number, 0 or"),
        (lambda: crfrnn.diagnose(IMAGE, PROBS, **{**CRF, "theta_beta": 0}), "to be positive"),
    ],
)
def test_guess_and_diagnose(use, message):
    with pytest.raises(ValueError, match=message):
        use()
