"""Label maps given as probabilities, and probabilities that look like them."""

import numpy as np
import pytest

from crfrnn import probs_from_labels, refine
from tests.cli.saving import LABELS, save
from tests.cli.scenes import (
    CRF,
    OPTIONS,
    SHAPE,
    nifti,
    picture,
    run,
    scene,
)
from tests.tolerances import FLOAT32, assert_close


@pytest.mark.parametrize("ending", [".png", ".npy", ".nii.gz"])
@pytest.mark.parametrize("kind", ["labels", "mask", "255", "fractions"])
def test_label_maps_are_no_probabilities(tmp_path, ending, kind):
    """Refused in words, or taken with --labels-as-probs."""
    labels = {"labels": LABELS, "mask": LABELS // 2, "255": 255 * (LABELS // 2)}.get(kind)
    if kind == "fractions":
        if ending == ".png":
            return
        labels = LABELS * np.float32(1.0000152)  # as resampling leaves them
    image = scene()[0]
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / f"p{ending}", tmp_path / "o.npy"
    if ending == ".png":
        picture(p, labels.astype(np.uint8))
    elif ending == ".npy":
        save(p, labels.astype(np.float32))
    else:
        nifti(p, labels[..., None].astype(np.float32))
        image = image[..., None]  # a volume of one slice
        i = nifti(tmp_path / "i.nii.gz", image)
    text = run("refine", i, p, "-o", o, *OPTIONS, status=1)
    assert str(p) in text and "seem to be labels" in text and "--labels-as-probs" in text
    run("refine", i, p, "-o", o, *OPTIONS, "--labels-as-probs=0.8", "--spacing=1")
    count = 2 if kind in ("mask", "255") else 3
    truth = LABELS // 2 if count == 2 else LABELS
    probs = probs_from_labels(truth.reshape(image.shape), count, confidence=0.8)
    assert_close(np.load(o), refine(image, probs, **CRF), FLOAT32)


def test_unknown_points_of_label_maps(tmp_path):
    labels = LABELS.copy()
    labels[:3] = 255
    image = scene()[0]
    i, p = picture(tmp_path / "i.png", image), picture(tmp_path / "p.png", labels)
    run("refine", i, p, "-o", tmp_path / "o.npy", *OPTIONS, "--labels-as-probs=0.9")
    probs = probs_from_labels(labels, 3, confidence=0.9, unknown=255)
    assert_close(np.load(tmp_path / "o.npy"), refine(image, probs, **CRF), FLOAT32)


def test_hard_probabilities_are_warned_of(tmp_path):
    i = picture(tmp_path / "i.png", scene()[0])
    p = save(tmp_path / "p.npy", np.eye(3, dtype=np.float32)[LABELS])
    text = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS)
    assert "Warning: every probability is 0 or 1" in text
    text = run("refine", i, save(p, np.zeros(SHAPE)), "-o", tmp_path / "z.png", *OPTIONS)
    assert "Warning: every probability is 0 or 1" in text


@pytest.mark.parametrize("largest", [1e-5, 0.9999])
def test_a_network_that_is_sure_gives_no_labels(tmp_path, largest):
    """As where there is no foreground, of which a network says 0.00001."""
    image = scene()[0]
    foreground = np.full(SHAPE, 1e-6, np.float32)
    foreground[5:9, 7:12] = largest
    i, p = picture(tmp_path / "i.png", image), save(tmp_path / "p.npy", foreground)
    run("refine", i, p, "-o", tmp_path / "o.npy", *OPTIONS)
    expected = refine(image, np.stack([1 - foreground, foreground], -1), **CRF)[..., 1]
    assert_close(np.load(tmp_path / "o.npy"), expected, FLOAT32)


def test_pictures_in_percent_are_warned_of(tmp_path):
    image, probs, _ = scene(labels=2)
    percent = np.round(100 * probs[..., 1]).astype(np.uint8)
    i, p = picture(tmp_path / "i.png", image), picture(tmp_path / "p.png", percent)
    text = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS)
    assert "Warning: the foreground is nowhere likelier than 0.3" in text


def test_bytes_in_arrays_are_no_labels_but_no_probabilities_either(tmp_path):
    stored = np.round(255 * scene(labels=2)[1][..., 1]).astype(np.uint8)
    i, p = picture(tmp_path / "i.png", scene()[0]), save(tmp_path / "p.npy", stored)
    text = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, status=1)
    assert "in [0, 1]. Received uint8" in text and "seem to be" not in text


def test_few_levels_are_probabilities_if_the_user_says_so(tmp_path):
    image, probs, _ = scene(labels=2)
    stored = np.round(probs[..., 1] * 5) * 51  # six levels of grey
    i, p = picture(tmp_path / "i.png", image), picture(tmp_path / "p.png", stored.astype(np.uint8))
    assert "seem to be labels" in run("refine", i, p, "-o", tmp_path / "o.npy", status=1)
    run("refine", i, p, "-o", tmp_path / "o.npy", *OPTIONS, "--layout=foreground")
    foreground = stored.astype(np.float32) / 255
    expected = refine(image, np.stack([1 - foreground, foreground], -1), **CRF)[..., 1]
    assert_close(np.load(tmp_path / "o.npy"), expected, FLOAT32)
