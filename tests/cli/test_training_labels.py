"""Label maps to train on: colours of a palette, 255 where a label is uncertain."""

import json

import numpy as np
import pytest

pytest.importorskip("click")

from PIL import Image

import crfrnn
from crfrnn import refine
from crfrnn.cli.outputs import voc_palette
from tests.cli.scenes import CRF, OPTIONS, VOLUME, nifti, picture, read, run, scene


def files(folder, labels=3):
    image, probs, _ = scene(labels=labels)
    np.save(folder / "p.npy", probs)
    return image, probs, ["refine", picture(folder / "i.png", image), folder / "p.npy", *OPTIONS]


def test_the_palette_of_pascal_voc(tmp_path):
    """Values remain the labels; the colours are those of the development kit's first classes."""
    image, probs, command = files(tmp_path)
    run(*command, "-o", tmp_path / "o.png", "--palette")
    labels = refine(image, probs, **CRF).argmax(-1)
    np.testing.assert_array_equal(read(tmp_path / "o.png"), labels)
    with Image.open(tmp_path / "o.png") as found:
        assert found.mode == "P"
        colours = np.asarray(found.convert("RGB"))
    table = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]], np.uint8)
    np.testing.assert_array_equal(colours, table[labels])
    np.testing.assert_array_equal(voc_palette()[[20, 255]], [[0, 64, 128], [224, 224, 192]])
    text = run(*command, "-o", tmp_path / "o.tif", "--palette", status=1)
    assert "expected a .png with --palette. Received .tif" in text


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_uncertain_points_are_255(tmp_path, ending):
    image, probs, command = files(tmp_path)
    o = tmp_path / f"o{ending}"
    run(*command, "-o", o, "--confidence=0.95")
    refined = refine(image, probs, **CRF)
    expected = np.where(refined.max(-1) < 0.95, 255, refined.argmax(-1))
    assert 0.02 < np.mean(expected == 255) < 0.9
    np.testing.assert_array_equal(read(o), expected)
    text = run(*command, "-o", tmp_path / "o.npy", "--confidence=0.95", status=1)
    assert "only label maps have 255" in text and not (tmp_path / "o.npy").exists()


def test_two_crfs_that_disagree(tmp_path):
    image, probs, command = files(tmp_path)
    weak = {"bilateral_weight": 0.5, "spatial_weight": 0.5}
    (tmp_path / "weak.json").write_text(json.dumps(weak))
    run(*command, "-o", tmp_path / "o.png", "--agree-with", tmp_path / "weak.json", "--palette")
    strong = refine(image, probs, **CRF).argmax(-1)
    other = refine(image, probs, **{**CRF, **weak}).argmax(-1)
    assert 0.02 < np.mean(strong != other) < 0.5
    np.testing.assert_array_equal(read(tmp_path / "o.png"), np.where(strong == other, strong, 255))
    text = run(
        *command, "-o", tmp_path / "weak.json", "--agree-with", tmp_path / "weak.json", status=1
    )
    assert "is an input" in text


def test_a_volume_has_uncertain_points_too(tmp_path):
    image, probs, _ = scene(VOLUME)
    np.save(tmp_path / "p.npy", probs)
    i, o = nifti(tmp_path / "i.nii.gz", image), tmp_path / "o.nii.gz"
    run("refine", i, tmp_path / "p.npy", "-o", o, *OPTIONS, "--spacing=1", "--confidence=0.9")
    refined = refine(image, probs, **CRF)
    expected = np.where(refined.max(-1) < 0.9, 255, refined.argmax(-1))
    np.testing.assert_array_equal(read(o), expected)


def test_labels_up_to_255_leave_no_number_for_uncertain_ones(tmp_path):
    image, probs, _ = scene(labels=2)
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npz"
    np.savez(p, keys=[0, 255], maps=np.moveaxis(probs, -1, 0))
    command = ["refine", i, p, *OPTIONS, "-o", tmp_path / "o.png"]
    for option in ("--confidence=0.9", "--palette"):
        text = run(*command, option, status=1)
        assert "expected labels below 255" in text and "up to 255" in text


def test_soft_probabilities_of_8_bits(tmp_path):
    image, probs, command = files(tmp_path)
    run(*command, "-o", tmp_path / "o.npz", "--packed")
    found, expected = crfrnn.unpack(tmp_path / "o.npz"), refine(image, probs, **CRF)
    np.testing.assert_allclose(found, expected, 2 * (np.exp(1 / 32) - 1), 2e-7)
    text = run(*command, "-o", tmp_path / "o.npy", "--packed", status=1)
    assert "expected a .npz with --packed. Received .npy" in text


def test_a_folder_says_so_before_the_work(tmp_path):
    from tests.cli.scenes import folder

    arguments, _ = folder(tmp_path, 2)
    text = run(*arguments, *OPTIONS, "--suffix=.tif", "--palette", status=1)
    assert "Error: *.tif: expected a .png with --palette" in text
    assert not (tmp_path / "out").exists()
    assert "2 refined" in run(*arguments, *OPTIONS, "--packed")
    assert crfrnn.unpack(tmp_path / "out/case0.npz").shape[-1] == 3


def test_a_palette_makes_png_of_tif(tmp_path):
    image, probs, _ = scene()
    picture(tmp_path / "images/a.tif", image)
    (tmp_path / "probs").mkdir()
    np.save(tmp_path / "probs/a.npy", probs)
    run("refine", tmp_path / "images", tmp_path / "probs", "-o", tmp_path / "o", "--palette")
    with Image.open(tmp_path / "o/a.png") as found:
        assert found.mode == "P"


@pytest.mark.filterwarnings("error")
def test_nan_is_label_0_and_is_not_packed(tmp_path):
    image, _, _ = scene()
    _, few, _ = scene(labels=2)
    probs = np.full((*few.shape[:-1], 4), 1e-6, np.float32)
    probs[..., [1, 3]] = few * (1 - 2e-6)
    probs[:4] = np.nan
    i = picture(tmp_path / "i.png", image)
    np.save(tmp_path / "p.npy", probs)
    there = np.ones(image.shape, np.uint8)
    there[:4] = 0
    m = picture(tmp_path / "m.png", there)
    command = ["refine", i, tmp_path / "p.npy", *OPTIONS, "--ignore-below=1e-3"]
    run(*command, "-o", tmp_path / "o.png", "--nan-outside", "--confidence=0.1")
    assert not read(tmp_path / "o.png")[:4].any() and read(tmp_path / "o.png")[4:].all()
    for option in (["--nan-outside"], ["--mask", m]):
        text = run(*command, "-o", tmp_path / "o.npz", "--packed", *option, status=1)
        assert "o.npz: expected probabilities without NaN, which --packed cannot hold" in text


def test_a_second_crf_that_would_see_another_image_is_refused(tmp_path):
    i, p = tmp_path / "i.npy", tmp_path / "p.npy"
    image, probs, _ = scene()
    np.save(i, image)
    np.save(p, probs)
    weak = tmp_path / "weak.json"
    weak.write_text('{"parameters": {"bilateral_weight": 1.0}, "rescale": true}')
    arguments = ("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, "--agree-with", weak)
    assert "Both CRFs see one image" in run(*arguments, status=1)
    run(*arguments, "--rescale")
