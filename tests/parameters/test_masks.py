"""Points outside a mask have no part in guess, kernels and scores; unknown ones none in scores."""

import numpy as np
import pytest

from crfrnn import first_guess, probs_from_logits, refine
from crfrnn.parameters import measures
from crfrnn.parameters.cases import Cases
from crfrnn.parameters.search import search
from tests.tolerances import FLOAT32, assert_close

CRF = dict(
    theta_alpha=4.0, theta_beta=0.6, theta_gamma=1.2, bilateral_weight=4.0, spatial_weight=1.0
)


def case(shape=(20, 26), seed=0):
    """Image, probabilities, truth and an uneven mask."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, int)
    truth[tuple(slice(s // 4, 3 * s // 4) for s in shape)] = 1
    image = truth + rng.normal(0, 0.2, shape)
    probs = probs_from_logits(1.5 * (2 * truth - 1)[..., None] + rng.normal(0, 2, (*shape, 1)))
    mask = np.zeros(shape, bool)
    mask[tuple(slice(s // 5, s - s // 6) for s in shape)] = True
    return image, probs, truth, mask


def dice(truth, prediction):
    return 200 * np.sum((truth == 1) & (prediction == 1)) / (np.sum(truth) + np.sum(prediction))


def spoilt(image, probs, truth, mask):
    """The same inside the mask, and other things outside."""
    other = np.where(mask, image, np.nan), np.where(mask[..., None], probs, probs[..., ::-1])
    return *other, np.where(mask, truth, 1 - truth)


def test_cases_are_refined_and_scored_within_their_masks():
    whole, other = case(), case(seed=1)
    cases = [spoilt(*whole), other[:3]]
    scorer = Cases(*zip(*cases, strict=True), masks=[whole[3], None], normalization="symmetric")
    expected = []
    for (image, probs, truth, mask), given in ((whole, whole[3]), (other, None)):
        refined = refine(image, probs, mask=given, **CRF).argmax(-1)
        inside = mask if given is not None else np.ones_like(mask)
        expected.append(dice(truth[inside], refined[inside]))
    assert_close(scorer.scores(CRF), np.array(expected), FLOAT32)
    scorer.close()


def test_slices_outside_a_mask_are_left_out():
    image, probs, truth, mask = case((5, 12, 14))  # slices 0 and 4 are outside
    assert not mask[0].any() and mask[1].any()
    cases = Cases(
        *([part] for part in spoilt(image, probs, truth, mask)),
        masks=[mask],
        slice_axis=0,
        normalization="symmetric",
    )
    maps = [
        refine(i, p, mask=m, **CRF).argmax(-1)
        for i, p, m in zip(image, probs, mask, strict=True)
        if m.any()
    ]
    rows = mask.any((1, 2))
    expected = dice(truth[mask], np.stack(maps)[mask[rows]])
    assert_close(cases.scores(CRF), np.array([expected]), FLOAT32)
    cases.close()


def test_a_search_does_not_see_what_is_outside():
    cases = [case(seed=seed) for seed in range(2)]
    images, probs, truths, masks = (list(part) for part in zip(*cases, strict=True))
    options = dict(masks=masks, trials=4, progress=False)
    found = search(images, probs, truths, **options)
    other = [spoilt(*some) for some in cases]
    assert search(*zip(*other, strict=True), **options).trials == found.trials
    assert search(images, probs, truths, trials=4, progress=False).trials != found.trials


def test_unknown_points_take_part_and_do_not_count(tmp_path):
    image, probs, truth, known = case()
    labels = np.where(known, truth, 255)
    cases = Cases([image], [probs], [labels], unknown=255, normalization="symmetric")
    refined = refine(image, probs, **CRF).argmax(-1)
    assert_close(cases.scores(CRF), np.array([dice(truth[known], refined[known])]), FLOAT32)
    cases.close()

    options = dict(trials=2, progress=False, storage=tmp_path / "trials.log")
    search([image], [probs], [labels], unknown=255, **options)
    with pytest.raises(ValueError, match="other cases or settings"):
        search([image], [probs], [labels], unknown=255, masks=[known], **options)


WRONG = {
    "255": (dict(labels=[np.full((20, 26), 255)], unknown=255), "Case 0: .*point that counts"),
    "a mask of 0 and 255": (
        dict(labels=[255 * case()[2]], unknown=255),
        "none but 0 and 255, which is unknown",
    ),
    "unknown, but not said": (dict(labels=[np.full((20, 26), 255)]), "0..1.*255"),
    "masks": (dict(masks=[None, None]), "Expected 1 masks"),
    "an empty mask": (dict(masks=[np.zeros((20, 26))]), "Case 0: .*none but False"),
    "another size": (dict(masks=[np.ones((20, 25))]), r"Case 0: .*`mask` of shape \(20, 26\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_masks_and_labels_are_named(name):
    changed, message = WRONG[name]
    image, probs, truth, _ = case()
    arguments = {"images": [image], "probs": [probs], "labels": [truth], **changed}
    with pytest.raises(ValueError, match=message):
        search(**arguments, trials=2, progress=False)


@pytest.mark.parametrize("with_probs", [True, False])
def test_a_first_guess_does_not_see_what_is_outside(with_probs):
    image, probs, truth, mask = case((40, 52))
    nan, other, _ = spoilt(image, probs, truth, mask)
    maps = (probs, other) if with_probs else (None, None)
    guess = first_guess(image, maps[0], mask=mask)
    assert first_guess(nan, maps[1], mask=mask) == guess
    several = [other] if with_probs else None
    assert first_guess([nan], several, mask=[mask]) == guess
    assert first_guess(image, maps[0]) != guess
    assert first_guess(image, maps[0], mask=np.ones_like(mask)) == first_guess(image, maps[0])
    with pytest.raises(ValueError, match="Expected 1 masks"):
        first_guess([image], mask=[mask, mask])
    assert first_guess([nan], several, masks=[mask]) == guess
    with pytest.raises(TypeError, match="`masks` and `mask` are the same"):
        first_guess(image, maps[0], mask=mask, masks=mask)


def test_what_is_measured_within_a_rectangle_is_that_of_the_rectangle_alone():
    image, probs, _, mask = case((40, 52))
    inside = tuple(slice(s // 5, s - s // 6) for s in mask.shape)
    one = measures.statistics(image[..., None], probs, mask)
    other = measures.statistics(image[inside][..., None], probs[inside])
    for name in ("contrast", "noise", "detail", "explained"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6)
    # The blur sees no repeated border there.
    assert one.roughness == pytest.approx(other.roughness, abs=0.05)


def test_masks_in_one_array():
    pytest.importorskip("optuna")
    images, probs, truths, masks = map(np.stack, zip(case(), case(seed=1), strict=True))
    found = search(images, probs, truths, masks=masks, trials=2, progress=False)
    again = search(list(images), probs, truths, masks=list(masks), trials=2, progress=False)
    assert found.score == again.score
