"""The crfrnn command: formats, options, and results that are not overwritten."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from crfrnn import refine
from tests.cli.scenes import (
    AFFINE,
    CRF,
    OPTIONS,
    SHAPE,
    SPACING,
    VOLUME,
    nifti,
    nnunet,
    picture,
    read,
    run,
    scene,
)
from tests.tolerances import FLOAT32, assert_close


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("channels", [None, 3])
def test_pictures(tmp_path, ending, channels):
    image, probs, _ = scene(channels=channels)
    i, p = picture(tmp_path / f"i{ending}", image), tmp_path / "p.npy"
    np.save(p, probs)
    expected = refine(image, probs, **CRF)
    for output in ("o.npy", "o.npz", "o.png", "o.tif"):
        text = run("refine", i, p, "-o", tmp_path / output, *OPTIONS)
        assert f"Written: {tmp_path / output}" in text and "theta_beta         25" in text
        found = read(tmp_path / output)
        if found.ndim == 3:
            assert_close(found, expected, FLOAT32)
        else:
            np.testing.assert_array_equal(found, expected.argmax(-1))
    changed = 100 * np.mean(expected.argmax(-1) != probs.argmax(-1))
    assert f"{changed:.2f} % of the points" in text and changed > 1


def test_jpeg_is_read_as_pillow_does(tmp_path):
    image, probs, _ = scene(channels=3)
    i, p = picture(tmp_path / "i.jpg", image), tmp_path / "p.npy"
    np.save(p, probs)
    run("refine", i, p, "-o", tmp_path / "o.npy", *OPTIONS)
    assert_close(np.load(tmp_path / "o.npy"), refine(read(i), probs, **CRF), FLOAT32)


@pytest.mark.parametrize("name", ["first", "float16", "one npz", "picture nnU-Net"])
def test_layouts_of_pictures_come_back(tmp_path, name):
    image, probs, _ = scene()
    i = picture(tmp_path / "i.png", image)
    array = np.moveaxis(probs, -1, 0)
    expected = np.moveaxis(refine(image, probs, **CRF), -1, 0)
    tolerance = FLOAT32
    key = {"one npz": "p", "picture nnU-Net": "probabilities"}.get(name)
    if name == "float16":
        array, tolerance = array.astype(np.float16), 5e-3  # of rounded probabilities: seen 2e-3
    if name == "picture nnU-Net":
        array, expected = array[:, None], expected[:, None]  # one slice: (L, 1, H, W)
    p, o = (tmp_path / f"{stem}{'.npz' if key else '.npy'}" for stem in "po")
    if key:
        np.savez(p, **{key: array})
    else:
        np.save(p, array)
    run("refine", i, p, "-o", o, *OPTIONS)
    assert_close(read(o), expected, tolerance)
    if key:
        with np.load(o) as file:
            assert file.files == [key]


@pytest.mark.parametrize("kind", ["png", "png16", "float tif", "npy", "npy L=1"])
def test_one_foreground(tmp_path, kind):
    image, probs, _ = scene(labels=2)
    i = picture(tmp_path / "i.png", image)
    p = tmp_path / ("p.tif" if "tif" in kind else "p.npy" if "npy" in kind else "p.png")
    foreground = probs[..., 1]
    if kind == "png":
        stored = np.round(255 * foreground).astype(np.uint8)
        foreground = stored / 255
    elif kind == "png16":
        stored = np.round(65535 * foreground).astype(np.uint16)
        foreground = stored / 65535
    else:
        stored = foreground if "L=1" not in kind else foreground[..., None]
    if "npy" in kind:
        np.save(p, stored)
    else:
        picture(p, stored)
    expected = refine(image, np.stack([1 - foreground, foreground], -1), **CRF)
    run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS)
    np.testing.assert_array_equal(read(tmp_path / "o.png"), expected.argmax(-1))
    run("refine", i, p, "-o", tmp_path / "o.npy", *OPTIONS)
    found = read(tmp_path / "o.npy")
    assert found.shape == stored.shape
    assert_close(found.reshape(SHAPE), expected[..., 1], FLOAT32)


@pytest.mark.parametrize("kind", ["nnU-Net", "npy", "first", "NIfTI"])
def test_volumes(tmp_path, kind):
    """NIfTI axes are (x, y, z), nnU-Net's (z, y, x); the header's spacing is the unit of theta."""
    image, probs, _ = scene(VOLUME)
    i = nifti(tmp_path / "i.nii.gz", image)
    expected = refine(image, probs, spacing=SPACING, **CRF)
    if kind == "nnU-Net":
        p, expected_file = nnunet(tmp_path / "p.npz", probs), expected.transpose(3, 2, 1, 0)
    elif kind == "NIfTI":
        p, expected_file = nifti(tmp_path / "p.nii.gz", probs), expected
    else:
        first = kind == "first"
        p = tmp_path / "p.npy"
        np.save(p, np.moveaxis(probs, -1, 0) if first else probs)
        expected_file = np.moveaxis(expected, -1, 0) if first else expected
    run("refine", i, p, "-o", tmp_path / "o.nii.gz", *OPTIONS)
    written = nibabel.load(tmp_path / "o.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), expected.argmax(-1))
    np.testing.assert_array_equal(written.affine, AFFINE)
    np.testing.assert_allclose(written.header.get_zooms(), SPACING)
    run("refine", i, p, "-o", tmp_path / "o.npz", *OPTIONS)
    assert_close(read(tmp_path / "o.npz"), expected_file, FLOAT32)


def test_nnunet_cubes_are_not_mixed_up(tmp_path):
    """Where all axes are alike, the name of the array tells, or --layout."""
    image, probs, _ = scene((8, 8, 8))
    image[:3], probs[:3] = 220, (0.1, 0.1, 0.8)
    i, p, q = nifti(tmp_path / "i.nii.gz", image), tmp_path / "p.npz", tmp_path / "q.npz"
    nnunet(p, probs)
    np.savez(q, p=np.transpose(probs, (3, 2, 1, 0)))
    expected = refine(image, probs, spacing=SPACING, **CRF).argmax(-1)
    run("refine", i, p, "-o", tmp_path / "a.nii.gz", *OPTIONS)
    run("refine", i, q, "-o", tmp_path / "b.nii.gz", "--layout", "nnunet", *OPTIONS)
    text = run("refine", i, q, "-o", tmp_path / "c.nii.gz", *OPTIONS, status=1)
    assert "3 labels first (--layout first)" in text and "(--layout nnunet)" in text
    run("refine", i, q, "-o", tmp_path / "c.nii.gz", "--layout", "first", *OPTIONS)
    np.testing.assert_array_equal(read(tmp_path / "a.nii.gz"), expected)
    np.testing.assert_array_equal(read(tmp_path / "b.nii.gz"), expected)
    assert (read(tmp_path / "c.nii.gz") != expected).any()


def test_volumes_of_pages_and_of_arrays(tmp_path):
    image, probs, _ = scene(VOLUME)
    first, *others = map(Image.fromarray, image)
    first.save(tmp_path / "i.tif", save_all=True, append_images=others)
    np.save(tmp_path / "i.npy", image)
    np.save(tmp_path / "p.npy", probs)
    expected = refine(image, probs, spacing=(2.0, 1.0, 1.0), **CRF)
    for name in ("i.tif", "i.npy"):
        o = tmp_path / f"{name}-o.tif"
        run("refine", tmp_path / name, tmp_path / "p.npy", "-o", o, "--spacing", "2,1,1", *OPTIONS)
        with Image.open(o) as pages:
            assert pages.n_frames == VOLUME[0]
            for number in range(VOLUME[0]):
                pages.seek(number)
                np.testing.assert_array_equal(np.asarray(pages), expected[number].argmax(-1))


def test_options_reach_the_crf(tmp_path):
    image, probs, _ = scene(VOLUME)
    i, p, o = nifti(tmp_path / "i.nii.gz", image), tmp_path / "p.npy", tmp_path / "o.npy"
    np.save(p, probs)
    arguments = ["refine", i, p, "-o", o, "--overwrite", *OPTIONS]
    run(*arguments, "--iterations=2", "--normalization=after", "--theta-gamma=3,1,2")
    crf = {**CRF, "theta_gamma": (3, 1, 2), "num_iterations": 2, "normalization": "after"}
    assert_close(np.load(o), refine(image, probs, spacing=SPACING, **crf), FLOAT32)
    run(*arguments, "--slice-axis=1", "--method=exact")
    slices = [
        refine(image[:, k], probs[:, k], spacing=(3.0, 2.0), method="exact", **CRF)
        for k in range(VOLUME[1])
    ]
    assert_close(np.load(o), np.stack(slices, 1), FLOAT32)
    run(*arguments, "--rescale", "--theta-beta=0.2", "--spacing=1")
    low, high = np.percentile(image, (0.5, 99.5))
    rescaled = np.clip((image - low) / (high - low), 0, 1)
    crf = {**CRF, "theta_beta": 0.2}
    assert_close(np.load(o), refine(rescaled, probs, **crf), FLOAT32)


def test_parameters_come_from_a_file_and_options_override_it(tmp_path):
    image, probs, _ = scene()
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "o.npy"
    np.save(p, probs)
    compatibility = [[-1, 0.5, 0], [0.5, -1, 0], [0, 0, -2]]
    content = {**CRF, "compatibility": compatibility, "num_iterations": 3}
    for name, text in (("flat", content), ("nested", {"parameters": content, "rescale": False})):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(text))
        run("refine", i, p, "-o", o, "--parameters", file, "--overwrite", "--theta-beta=40")
        expected = refine(image, probs, **{**content, "theta_beta": 40.0})
        assert_close(np.load(o), expected, FLOAT32)
    file.write_text(json.dumps({"parameters": {**CRF, "spacing": [1, 2]}}))
    run("refine", i, p, "-o", o, "--parameters", file, "--overwrite")
    assert_close(np.load(o), refine(image, probs, **CRF, spacing=(1, 2)), FLOAT32)
    for text, message in (
        ('{"thetabeta": 3}', "Received thetabeta"),
        ("[1]", "a JSON object"),
        ('{"parameters": null}', 'a JSON object as "parameters". Received None'),
        ("{", "cannot read the parameters"),
    ):
        file.write_text(text)
        assert message in run(
            "refine", i, p, "-o", o, "--parameters", file, "--overwrite", status=1
        )


def test_missing_parameters_are_guessed_and_shown(tmp_path):
    from crfrnn.parameters.first_guess import first_guess

    image, probs, _ = scene()
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "o.npy"
    np.save(p, probs)
    guess = first_guess([image], [probs])
    text = run("refine", i, p, "-o", o)
    assert text.count("(guessed)") == len(guess)
    assert_close(np.load(o), refine(image, probs, **guess), FLOAT32)
    text = run("refine", i, p, "-o", o, "--theta-beta=7", "--overwrite")
    assert text.count("(guessed)") == len(guess) - 1 and "theta_beta         7\n" in text
    assert_close(np.load(o), refine(image, probs, **{**guess, "theta_beta": 7.0}), FLOAT32)


@pytest.mark.parametrize("bad", ["transposed", "size", "logits", "percent", "sum", "NaN"])
def test_probabilities_that_do_not_fit(tmp_path, bad):
    image, probs, _ = scene()
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "o.png"
    array, message = {
        "transposed": (probs.swapaxes(0, 1), "save np.transpose(probs, (1, 0, 2))"),
        "size": (probs[:9, :12], "another size"),
        "logits": (np.log(probs), "Logits need a softmax"),
        "percent": (100 * probs, "a division by 100"),
        "sum": (0.5 * probs, "sum"),
        "NaN": (probs * np.nan, "Received NaN at"),
    }[bad]
    np.save(p, array)
    assert message in (text := run("refine", i, p, "-o", o, *OPTIONS, status=1))
    if bad in ("transposed", "size"):
        assert str(SHAPE) in text and str(array.shape) in text
    assert sorted(tmp_path.iterdir()) == sorted([i, p])


def test_volumes_that_do_not_fit(tmp_path):
    image, probs, _ = scene(VOLUME)
    i, p, o = nifti(tmp_path / "i.nii.gz", image), tmp_path / "p.nii.gz", tmp_path / "o.nii.gz"
    nifti(p, probs, np.diag([-1.0, 1, 1, 1]))
    assert "expected the orientation of the image" in run("refine", i, p, "-o", o, status=1)
    nnunet(tmp_path / "p.npz", probs.transpose(1, 0, 2, 3))
    text = run("refine", i, tmp_path / "p.npz", "-o", o, status=1)
    assert "(9, 12, 7, L)" in text and "(L, 7, 12, 9)" in text and "(3, 7, 9, 12)" in text
    assert "np.transpose" in text


def test_nothing_is_overwritten(tmp_path):
    image, probs, _ = scene()
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "o.png"
    np.save(p, probs)
    o.write_text("mine")
    assert "Add --overwrite" in run("refine", i, p, "-o", o, *OPTIONS, status=1)
    assert o.read_text() == "mine"
    run("refine", i, p, "-o", o, "--overwrite", *OPTIONS)
    assert read(o).shape == SHAPE
    for inputs in (i, p):
        assert "is an input" in run("refine", i, p, "-o", inputs, "--overwrite", status=1)
    assert "is a folder" in run("refine", i, p, "-o", tmp_path, status=1)
    assert "no folder" in run("refine", i, p, "-o", tmp_path / "no/o.png", status=1)
    for name, message in (("o.jpg", "label maps"), ("o.nii.gz", "NIfTI image"), ("o", "expected")):
        assert message in run("refine", i, p, "-o", tmp_path / name, *OPTIONS, status=1)
    assert sorted(tmp_path.iterdir()) == sorted([i, o, p])
