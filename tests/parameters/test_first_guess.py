"""The first guess: how it scales, what it takes for noise, what it refuses, and that it helps."""

import numpy as np
import pytest

import data
from crfrnn import refine
from crfrnn.parameters import first_guess as guess
from crfrnn.parameters import measures
from crfrnn.parameters.first_guess import first_guess, together
from crfrnn.parameters.formulas import formulas
from crfrnn.parameters.measures import statistics
from crfrnn.parameters.scores import label_map_score
from data import corruption
from tests.real_sets import needs

NUMBERS = ("theta_alpha", "theta_gamma", "bilateral_weight", "spatial_weight")


def scene(shape=(50, 64), channels=1, seed=0, noise=0.4):
    """A block on noise, (*S, K), each channel twice as bright and noisy as the one before."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, int)
    truth[tuple(slice(size // 4, size // 2) for size in shape)] = 1
    image = 3.0 * truth[..., None] + rng.normal(0, noise, (*shape, channels))
    return image * 2.0 ** np.arange(channels), truth


@pytest.mark.parametrize("factor", [1 / 255, 4000.0])
@pytest.mark.parametrize("shape", [(50, 64), (18, 20, 23)])
def test_it_scales_with_the_intensities(factor, shape):
    image, truth = scene(shape)
    probs = corruption.blurred(truth, 2)
    one, other = first_guess(image, probs), first_guess(factor * image - 7.0, probs)
    assert other["theta_beta"] == pytest.approx(factor * one["theta_beta"], rel=1e-6)
    assert [other[name] for name in NUMBERS] == pytest.approx([one[name] for name in NUMBERS])


def test_colours_share_a_theta_beta_and_units_do_not():
    image, _ = scene(channels=3, noise=0.1)  # contrasts 1 : 2 : 4
    one = first_guess(image[..., :1])["theta_beta"]
    # The same scale: that of the mean contrast.
    assert first_guess(image)["theta_beta"] == pytest.approx(one * (1 + 2 + 4) / 3, rel=0.05)
    betas = first_guess(image * [1, 1000, 1])["theta_beta"]
    assert betas == pytest.approx([one, 2000 * one, 4 * one], rel=0.05)


@pytest.mark.parametrize("factor", [1.0, 10.0])
def test_an_empty_channel_counts_as_the_others(factor):
    image, truth = scene(channels=2, noise=0.1)
    probs = corruption.blurred(truth, 2)
    image = np.concatenate([factor * image, np.full((*truth.shape, 1), 5.0)], axis=-1)
    one, found = first_guess(image[..., :2], probs), first_guess(image, probs)
    assert found["theta_beta"] == pytest.approx(one["theta_beta"], rel=1e-6)
    assert [found[name] for name in NUMBERS] == pytest.approx([one[name] for name in NUMBERS])


def test_a_spacing_per_case_may_be_missing_for_some():
    assert guess.per_case([(1.0, 2.0), None], 2) == [(1.0, 2.0), None]
    assert guess.per_case([None, (1.0, 2.0)], 2) == [None, (1.0, 2.0)]
    assert guess.per_case((1.0, 2.0), 2) == [(1.0, 2.0)] * 2
    assert guess.per_case(0.5, 2) == [0.5, 0.5]
    assert guess.per_case(np.array(0.5), 2) == [0.5, 0.5]


def test_lengths_are_in_the_unit_of_the_spacing():
    image, _ = scene()
    points, finer = first_guess(image), first_guess(image, spacing=(0.5, 2.0))
    assert first_guess(image, spacing=0.5) == first_guess(image, spacing=(0.5, 0.5))
    for name in ("theta_alpha", "theta_gamma"):
        assert finer[name] == pytest.approx(0.5 * points[name])  # of the shortest side
    for name in ("theta_beta", "bilateral_weight", "spatial_weight"):
        assert finer[name] == points[name]


def test_volumes_of_distant_slices_are_guessed_for_as_slices():
    image, _ = scene((12, 40, 44))
    near, far = (first_guess(image, spacing=(z, 1.0, 1.0)) for z in (1.0, 10.0))
    assert near["theta_alpha"] == pytest.approx(far["theta_alpha"] ** (2 / 3))
    assert near["theta_gamma"] == pytest.approx(far["theta_gamma"] ** (2 / 3))


def test_noisy_images_and_smooth_maps_get_weaker_crfs():
    rng = np.random.default_rng(1)
    image, truth = scene()
    noisy = image + rng.normal(0, 1.0, image.shape)
    assert first_guess(noisy)["theta_alpha"] < first_guess(image)["theta_alpha"]
    smooth = np.stack([1.0 - truth, truth], -1)
    rough = corruption.blurred(truth, 2)
    weights = [full(image, probs)["bilateral_weight"] for probs in (smooth, rough)]
    assert 0 < weights[0] < weights[1]


def test_a_list_gets_the_median_of_its_images():
    images = [
        scene(shape, seed=seed)[0] for seed, shape in enumerate([(50, 64), (33, 41), (60, 60)])
    ]
    images[1] *= 2
    single = sorted(first_guess(image)["theta_beta"] for image in images)
    assert first_guess(images)["theta_beta"] == pytest.approx(single[1])


def test_noise_is_measured_in_spite_of_edges_masks_and_rounding():
    rng = np.random.default_rng(2)
    checkers = 100.0 * (np.indices((80, 90)).sum(0) // 20 % 2)
    image = np.stack([checkers + rng.normal(0, s, checkers.shape) for s in (2.0, 5.0)], -1)
    image[:, :40] = 0  # nearly half of it masked
    assert measures.noise(image) == pytest.approx([2, 5], rel=0.1)
    assert measures.noise(np.round(image)) == pytest.approx([2, 5], rel=0.15)
    assert measures.noise(np.ones((4, 5, 1))) == 0


def test_roughness_counts_the_boundaries_that_a_blur_removes():
    truth = np.zeros((12, 17), int)
    truth[:, 8:] = 1  # 12 pairs across the boundary, which a blur leaves alone
    truth[5, 3] = 1  # an island of one point: 4 pairs
    assert measures.roughness(np.eye(2)[truth]) == pytest.approx(4 / (12 + 4))
    assert measures.roughness(np.eye(2)[np.zeros((4, 5), int)]) == 0
    volume = np.zeros((6, 7, 8), int)
    volume[2, 3, 4] = 1
    assert measures.roughness(np.eye(2)[volume]) == 1


@pytest.mark.parametrize(
    "image", [np.zeros((9, 8)), np.full((9, 8, 2), 7), np.zeros((1, 1, 1)), np.eye(5, 6) > 0]
)
def test_what_tells_nothing_gets_numbers_that_work(image):
    found = first_guess(image)
    assert all(np.all(np.array(found[name]) > 0) for name in (*NUMBERS, "theta_beta"))
    grid = image.shape[:2]
    probs = np.full((*grid, 2), 0.5)
    assert np.isfinite(refine(image, probs, **found)).all()


def test_volumes_of_different_scales_are_pointed_out():
    image, _ = scene()
    with pytest.warns(UserWarning, match="one scale"):
        first_guess([image, 4000 * image])


def test_wrong_arguments_are_named():
    image, truth = scene()
    probs = corruption.blurred(truth, 2)
    with pytest.raises(ValueError, match=r"volume\[..., None\]"):
        first_guess(np.zeros((10, 20, 64)))
    with pytest.raises(ValueError, match=r"images with points. Received shape \(0, 5\)"):
        first_guess([np.zeros((4, 5)), np.zeros((0, 5))])
    with pytest.raises(ValueError, match="at least one image"):
        first_guess([])
    with pytest.raises(ValueError, match="1 images, 2 probs"):
        first_guess([image], [probs, probs])
    with pytest.raises(ValueError, match="of the same S"):
        first_guess(image[1:], probs)
    with pytest.raises(ValueError, match="channels"):
        first_guess([image, np.concatenate([image, image], -1)])
    with pytest.raises(ValueError, match="finite"):
        first_guess(np.full((4, 5, 1), np.nan))
    with pytest.raises(ValueError, match="spacing"):
        first_guess([image, image, image], spacing=[(1.0, 1.0), (1.0, 1.0)])


# Published settings for images in 0..255; see experiments/first_guess.py.
PAPERS = {
    "CRF-RNN": (dict(theta_alpha=160.0, theta_beta=3 / 255, theta_gamma=3.0), (5.0, 3.0), "after"),
    "pydensecrf": (
        dict(theta_alpha=80.0, theta_beta=13 / 255, theta_gamma=3.0),
        (10.0, 3.0),
        "symmetric",
    ),
}


def full(image, probs, spacing=None):
    """What the formulas say, before it is asked how far they can be trusted."""
    return together([formulas(statistics(image, probs), spacing=spacing)])


@pytest.mark.filterwarnings("ignore:theta_beta")
@pytest.mark.parametrize("name", ["hippocampus", "wbc1", "nuclei_stain", "hc18", "vnc_em"])
def test_it_beats_the_settings_of_the_papers_on_real_cases(name):
    """The formulas do; the guess, which may leave the CRF out, is never worse than nothing."""
    needs(name)
    labels, volume = len(data.labels(name)), name == "hippocampus"
    options = dict(blur=1.0, length=1.5) if volume else {}
    scores: dict[str, list[float]] = {}
    pool = data.split(data.load(name))["test"]
    for index, case in enumerate(pool[:: len(pool) // 8][:8]):
        case = case if volume else data.crop(case, (200, 240))
        probs = corruption.blurred(case.label, labels, seed=index, **options)
        score = label_map_score(case.label, labels)
        crfs = {
            "formulas": full(case.image, probs, spacing=case.spacing),
            "first guess": first_guess(case.image, probs, spacing=case.spacing),
        }
        for paper, (thetas, (bilateral, spatial), normalization) in PAPERS.items():
            weights = dict(bilateral_weight=bilateral, spatial_weight=spatial)
            crfs[paper] = {**thetas, **weights, "normalization": normalization}
        scores.setdefault("before", []).append(score(probs.argmax(-1)))
        for row, crf in crfs.items():
            refined = refine(case.image, probs, spacing=case.spacing, **crf)
            scores.setdefault(row, []).append(score(refined.argmax(-1)))
    means = {row: np.mean(values) for row, values in scores.items()}
    assert means["first guess"] >= means["before"] - 0.3, means
    del means["first guess"]
    assert max(means, key=means.get) == "formulas", means


def test_raw_volumes_of_all_scales_get_the_same_crf():
    needs("hippocampus")
    nibabel = pytest.importorskip("nibabel")
    scales = {}
    for path in sorted((data.root_folder() / "hippocampus" / "images").glob("*.nii.gz"))[:40]:
        volume = np.asarray(nibabel.load(path).dataobj)
        scales[np.percentile(volume, 99)] = first_guess(volume[..., None])
    darkest, brightest = min(scales), max(scales)
    assert brightest > 1000 * darkest
    relative = [found["theta_beta"] / scale for scale, found in scales.items()]
    assert max(relative) < 2 * min(relative)


def noisy_colours(noise, units=(1.0, 1.0, 1.0)):
    """A dull red box on blue in noise, (60, 80, 3), and probabilities that are right in 69 %."""
    rng = np.random.default_rng(0)
    truth = np.zeros((60, 80), int)
    truth[15:45, 20:60] = 1
    image = np.where(truth[..., None], [180.0, 90, 90], [90, 90, 160])
    image = (image + rng.normal(0, noise, image.shape)) * units
    logit = np.where(truth, 1.0, -1.0) + rng.normal(0, 2, truth.shape)
    probs = 1 / (1 + np.exp(-np.stack([logit, -logit], -1)))
    return image, probs[..., ::-1], truth


@pytest.mark.parametrize("noise", [12, 20])
def test_colours_in_noise_are_told_apart(noise):
    image, probs, truth = noisy_colours(noise)
    guess = first_guess(image, probs)
    # From the definition: the mean square distance of two points is that of six differences.
    assert guess["theta_beta"] == pytest.approx(0.62 * np.sqrt(6 * noise**2), rel=0.05)
    assert (probs.argmax(-1) == truth).mean() < 0.75
    assert (refine(image, probs, **full(image, probs)).argmax(-1) == truth).mean() > 0.9
    # So much noise could as well be ignorance: the guess leaves the CRF out, and says so.
    assert not guess.sure and guess["bilateral_weight"] == guess["spatial_weight"] == 0
    np.testing.assert_array_equal(refine(image, probs, **guess).argmax(-1), probs.argmax(-1))


def test_noisy_channels_of_other_units_share_the_distance():
    units = (1.0, 100.0, 1e4)
    image, probs, _ = noisy_colours(20, units)
    found = first_guess(image, probs)["theta_beta"]
    same = first_guess(image / units, probs)["theta_beta"]
    assert np.ndim(same) == 0
    # Noise is equal in all three, and counts in the third of each.
    np.testing.assert_allclose(np.array(found) / units, 0.62 * np.sqrt(6) * 20, rtol=0.05)
