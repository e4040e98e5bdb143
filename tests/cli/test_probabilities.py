"""What a file of probabilities holds: in which order, and labels or logits in their place."""

import re

import numpy as np
import pytest

from crfrnn import probs_from_logits, refine
from crfrnn.cli import layouts
from tests.cli.saving import LABELS, save
from tests.cli.scenes import (
    CRF,
    OPTIONS,
    SHAPE,
    SPACING,
    VOLUME,
    folder,
    nifti,
    nnunet,
    picture,
    read,
    run,
    scene,
)
from tests.tolerances import FLOAT32, assert_close

QUIET = ["--spacing=1"]  # which says that four axes are a volume


@pytest.mark.parametrize("kind", ["colour picture", "two channels", "first"])
def test_labels_come_before_one_foreground(tmp_path, kind):
    """(H, W, 3) beside three labels, (D, H, W, 2) beside two: as many numbers, another meaning."""
    if kind == "two channels":
        image, probs, _ = scene(VOLUME, labels=2, channels=2)
    else:
        image, probs, _ = scene(labels=3, channels=3)
    expected = refine(image, probs, **CRF)
    stored, wanted = probs, expected
    if kind == "first":
        stored, wanted = np.moveaxis(probs, -1, 0), np.moveaxis(expected, -1, 0)
    i, p, o = (tmp_path / f"{name}.npy" for name in "ipo")
    run("refine", save(i, image), save(p, stored), "-o", o, *OPTIONS, *QUIET)
    assert_close(np.load(o), wanted, FLOAT32)


def test_what_may_be_labels_that_do_not_sum_to_1_or_a_foreground_is_asked(tmp_path):
    image = np.random.default_rng(0).uniform(0, 255, (6, 8, 3)).astype(np.float32)
    probs = np.random.default_rng(1).uniform(0.1, 0.9, (6, 8, 3)).astype(np.float32)
    i, p, o = (tmp_path / f"{name}.npy" for name in "ipo")
    save(i, image), save(p, probs)
    text = run("refine", i, p, "-o", o, *OPTIONS, status=1)
    assert "3 labels last (--layout last)" in text and "one foreground (--layout foreg" in text
    run("refine", i, p, "-o", o, *OPTIONS, "--layout=foreground")
    expected = refine(image, np.stack([1 - probs, probs], -1), **CRF)[..., 1]
    assert_close(np.load(o), expected, FLOAT32)
    o.unlink()
    assert "sum to 1" in run("refine", i, p, "-o", o, *OPTIONS, "--layout=last", status=1)


@pytest.mark.parametrize("shape", [(16, 20), (6, 8, 10)])
def test_a_foreground_of_the_shape_of_its_image_is_one(tmp_path, shape):
    """Though the last axis of both may be one of ten channels and as many labels."""
    image, probs, _ = scene(shape, labels=2)
    i, p, o = (tmp_path / f"{name}.npy" for name in "ipo")
    run("refine", save(i, image), save(p, probs[..., 1]), "-o", o, *OPTIONS)
    assert_close(np.load(o), refine(image, probs, **CRF)[..., 1], FLOAT32)


def test_rows_that_sum_to_1_either_way_are_refused():
    with pytest.raises(ValueError, match=r"3 labels last .*3 labels first .*Say which"):
        layouts.find((3, 3, 3), [(3, 3)], values=np.full((3, 3, 3), 1 / 3))
    with pytest.raises(ValueError, match="Say which"):
        layouts.find((3, 3, 3), [(3, 3)])  # logits need not sum to anything


def test_axes_of_nnunet_are_found_without_its_name(tmp_path):
    image, probs, _ = scene(VOLUME)
    i = nifti(tmp_path / "i.nii.gz", image)
    p = save(tmp_path / "p.npy", np.transpose(probs, (3, 2, 1, 0)))
    run("refine", i, p, "-o", tmp_path / "o.npy", *OPTIONS)
    expected = refine(image, probs, spacing=SPACING, **CRF)
    assert_close(np.load(tmp_path / "o.npy"), np.transpose(expected, (3, 2, 1, 0)), FLOAT32)


def test_nnunet_of_the_first_version(tmp_path):
    """Its name tells the axes of a cube; what it has cropped is refused with the way out."""
    image, probs, _ = scene((8, 8, 8))
    image[:3], probs[:3] = 220, (0.1, 0.1, 0.8)
    i, p, o = nifti(tmp_path / "i.nii.gz", image), tmp_path / "p.npz", tmp_path / "o.npz"
    np.savez(p, softmax=np.transpose(probs, (3, 2, 1, 0)).astype(np.float16))
    run("refine", i, p, "-o", o, *OPTIONS)
    half = probs.astype(np.float16).astype(np.float32)
    expected = refine(image, half, spacing=SPACING, **CRF)
    assert_close(read(o), np.transpose(expected, (3, 2, 1, 0)), FLOAT32)
    np.savez(p, softmax=np.transpose(probs[1:7], (3, 2, 1, 0)))
    text = run("refine", i, p, "-o", o, *OPTIONS, "--overwrite", status=1)
    assert "nnU-Net v1 saves" in text and "docs/predictions.md" in text


def test_our_own_files_have_no_name_that_means_other_axes(tmp_path):
    """Labels first on a cube, written as .npz and read again: the axes must stay."""
    image, probs, _ = scene((8, 8, 8))
    image[:3], probs[:3] = 220, (0.1, 0.1, 0.8)
    i, p, o = nifti(tmp_path / "i.nii.gz", image), tmp_path / "p.npy", tmp_path / "o.npz"
    save(p, np.moveaxis(probs, -1, 0))
    run("refine", i, p, "-o", o, "--layout=first", *OPTIONS)
    assert "(--layout nnunet)" in run("refine", i, o, "-o", tmp_path / "x.png", status=1)


def follow(advice, image, probs):
    """Image and probabilities after doing what an error says."""
    if moved := re.search(r"np\.transpose\(probs, (\([\d, ]+\))\)", advice):
        return image, np.transpose(probs, eval(moved[1]))
    if "np.moveaxis(image, 0, -1)" in advice:
        return np.moveaxis(image, 0, -1), probs
    assert "save probs[0]" in advice
    return image, probs[0]


@pytest.mark.parametrize(
    "mistake", ["transposed", "image first", "batch", "batch first", "middle", "labels in the way"]
)
def test_advice_can_be_followed(tmp_path, mistake):
    image, probs, _ = scene(channels=3)
    expected = refine(image, probs, **CRF).argmax(-1)
    if mistake == "labels in the way":  # as many labels as rows: the shape alone fits otherwise
        image, probs, _ = scene((18, 24), labels=3)
        expected = refine(image, probs, **CRF).argmax(-1)
        probs = probs.transpose(1, 0, 2)
    image, probs = {
        "transposed": (image, probs.swapaxes(0, 1)),
        "image first": (np.moveaxis(image, -1, 0), probs),
        "batch": (image, probs[None]),
        "batch first": (image, np.moveaxis(probs, -1, 0)[None]),
        "middle": (image, np.moveaxis(probs, -1, 1)),
        "labels in the way": (image, probs),
    }[mistake]
    i, p, o = (tmp_path / f"{name}.npy" for name in "ipo")
    text = run("refine", save(i, image), save(p, probs), "-o", o, *OPTIONS, status=1)
    image, probs = follow(text, image, probs)
    o = tmp_path / "o.png"
    run("refine", save(i, image), save(p, probs), "-o", o, *OPTIONS)
    np.testing.assert_array_equal(read(o), expected)


def test_a_wrong_layout_is_told_the_right_one(tmp_path):
    image, probs, _ = scene()
    i, p = picture(tmp_path / "i.png", image), save(tmp_path / "p.npy", probs)
    text = run("refine", i, p, "-o", tmp_path / "o.png", "--layout=first", status=1)
    assert "3 labels last (--layout last)" in text and "transpose" not in text


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("labels", [1, 3])
def test_logits(tmp_path, labels, first):
    image = scene()[0]
    logits = np.random.default_rng(0).normal(0, 2, (*SHAPE, labels)).astype(np.float32)
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "o.npy"
    save(p, np.moveaxis(logits, -1, 0) if first else logits)
    run("refine", i, p, "-o", o, *OPTIONS, "--logits")
    expected = refine(image, probs_from_logits(logits), **CRF)[..., -labels:]
    assert_close(np.load(o), np.moveaxis(expected, -1, 0) if first else expected, FLOAT32)
    both = ["--logits", "--labels-as-probs=0.9"]
    assert "exclude each other" in run("refine", i, p, "-o", o, *both, "--overwrite", status=2)


def test_probabilities_off_by_rounding(tmp_path):
    image, probs, _ = scene()
    probs[0, 0], probs[1, 1] = (-1e-7, 1.0000001, 0), (-5e-4, 0, 1.0005)
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "o.npy"
    run("refine", i, save(p, probs), "-o", o, *OPTIONS)
    assert_close(np.load(o), refine(image, np.clip(probs, 0, 1), **CRF), FLOAT32)
    probs[0, 0, 0] = -0.01
    assert "in [0, 1]" in run("refine", i, save(p, probs), "-o", o, "--overwrite", status=1)


def test_vectors_of_nifti(tmp_path):
    """(x, y, z, 1, L), as ITK writes several numbers per point."""
    image, probs, _ = scene(VOLUME)
    i = nifti(tmp_path / "i.nii.gz", image)
    p = nifti(tmp_path / "p.nii.gz", probs[:, :, :, None])
    run("refine", i, p, "-o", tmp_path / "o.nii.gz", *OPTIONS)
    expected = refine(image, probs, spacing=SPACING, **CRF).argmax(-1)
    np.testing.assert_array_equal(read(tmp_path / "o.nii.gz"), expected)


@pytest.mark.parametrize("ending", [".nii.gz", ".npy", ".png"])
def test_a_file_of_each_label(tmp_path, ending):
    shape = SHAPE if ending == ".png" else VOLUME
    image, probs, _ = scene(shape)
    save_one = {".nii.gz": nifti, ".npy": save, ".png": picture}[ending]
    if ending == ".png":
        stored = np.round(255 * probs).astype(np.uint8)
        probs = stored / np.float32(255)
        i = picture(tmp_path / "images/a.png", image)
        spacing = None
    else:
        stored, spacing = probs, SPACING
        i = nifti(tmp_path / "images/a.nii.gz", image)
    for label in range(3):
        path = tmp_path / f"probs/a_prob_{label}{ending}"
        path.parent.mkdir(exist_ok=True)
        save_one(path, stored[..., label])
    pattern = tmp_path / f"probs/a_prob_{{label}}{ending}"
    run("refine", i, pattern, "-o", tmp_path / "o.npy", *OPTIONS)
    expected = refine(image, probs, spacing=spacing, **CRF)
    assert_close(np.load(tmp_path / "o.npy"), expected, FLOAT32)
    arguments = ["refine", i.parent, tmp_path / "probs", "-o", tmp_path / "out", *OPTIONS]
    run(*arguments, "--probs-name={case}_prob_{label}", "--suffix=.npy", "--jobs=1")
    assert_close(np.load(tmp_path / "out/a.npy"), expected, FLOAT32)
    (tmp_path / f"probs/a_prob_1{ending}").unlink()
    text = run("refine", i, pattern, "-o", tmp_path / "x.npy", status=1)
    assert "a file for each label 0, 1, ... without gaps; received 0, 2" in text


def test_label_maps_in_search_share_their_labels(tmp_path):
    pytest.importorskip("optuna")
    arguments, _ = folder(tmp_path, 3)
    for number in range(3):
        labels = LABELS if number else LABELS // 2  # one label less
        picture(tmp_path / f"maps/case{number}.png", labels)
    images = arguments[1]
    found = ["search", images, tmp_path / "maps", tmp_path / "labels", "-o", tmp_path / "b.json"]
    assert "3 trials" in run(*found, "--trials=3", "--labels-as-probs=0.7")


def test_a_batch_of_pictures_is_told_from_a_volume(tmp_path):
    image, probs, _ = scene((2, *SHAPE), channels=3)
    i, p = save(tmp_path / "i.npy", image), save(tmp_path / "p.npy", probs)
    arguments = ["refine", i, p, "-o", tmp_path / "o.npy", "--overwrite", *OPTIONS]
    assert "read as a volume, whose slices influence" in run(*arguments)
    assert "Warning" not in run(*arguments, "--spacing=1")
    assert_close(np.load(tmp_path / "o.npy"), refine(image, probs, **CRF), FLOAT32)
    assert "Warning" not in run(*arguments, "--slice-axis=0")
    expected = [refine(a, b, **CRF) for a, b in zip(image, probs, strict=True)]
    assert_close(np.load(tmp_path / "o.npy"), np.stack(expected), FLOAT32)


def test_nnunet_is_not_asked(tmp_path):
    image, probs, _ = scene((3, 3, 3), labels=3)
    i, p = nifti(tmp_path / "i.nii.gz", image), nnunet(tmp_path / "p.npz", probs)
    run("refine", i, p, "-o", tmp_path / "o.nii.gz", *OPTIONS)
    expected = refine(image, probs, spacing=SPACING, **CRF).argmax(-1)
    np.testing.assert_array_equal(read(tmp_path / "o.nii.gz"), expected)
