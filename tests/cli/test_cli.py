"""The crfrnn command: every format, folders, and what happens when things go wrong."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import nibabel
import numpy as np
import pytest
from PIL import Image

from crfrnn import refine
from crfrnn.cli import batch, cases, layouts, pairing
from crfrnn.cli.refining import Settings
from tests.tolerances import FLOAT32, assert_close

if importlib.util.find_spec("click") is None:
    pytest.skip("the command needs click", allow_module_level=True)

from tests.cli.scenes import (
    AFFINE,
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
    results,
    run,
    scene,
)


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
        "NaN": (probs * np.nan, "NaN at "),
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


def test_folders(tmp_path):
    arguments, expected = folder(tmp_path)
    (tmp_path / "images/notes.txt").write_text("")
    (tmp_path / "images/.case9.png").write_text("")  # macOS leaves such files
    text = run(*arguments, *OPTIONS, "--jobs=1")
    assert "4 refined, 0 complete already, 0 failed" in text
    assert results(tmp_path / "out") == sorted(expected)
    for name, labels in expected.items():
        np.testing.assert_array_equal(read(tmp_path / "out" / name), labels)


def test_folders_are_taken_up_where_they_were(tmp_path):
    arguments, expected = folder(tmp_path)
    run(*arguments, *OPTIONS, "--jobs=1")
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in expected}
    (tmp_path / "out/case2.png").unlink()
    text = run(*arguments, *OPTIONS, "--jobs=1")
    assert "Complete already, with these parameters: 3 of 4 cases." in text
    assert "1 refined, 3 complete already, 0 failed" in text
    again = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in expected}
    assert {name for name in expected if times[name] != again[name]} == {"case2.png"}
    # Other parameters: nothing is replaced unasked.
    text = run(*arguments, *OPTIONS, "--theta-beta=99", status=1)
    assert (
        "holds 4 results (case0.png, case1.png, case2.png, ...)" in text and "--overwrite" in text
    )
    np.testing.assert_array_equal(read(tmp_path / "out/case0.png"), expected["case0.png"])
    text = run(*arguments, *OPTIONS, "--theta-beta=99", "--overwrite", "--jobs=1")
    assert "4 refined" in text
    # Another input, and a result nobody knows.
    np.save(tmp_path / "probs/case1.npy", np.load(tmp_path / "probs/case1.npy") * 1.0001)
    os.utime(tmp_path / "probs/case1.npy", ns=(1, 1))
    assert "holds 1 results (case1.png)" in run(*arguments, *OPTIONS, "--theta-beta=99", status=1)
    # A record that a crash has cut off.
    record = tmp_path / "out" / batch.RECORD
    record.write_text(record.read_text()[:-20])
    text = run(*arguments, *OPTIONS, "--theta-beta=99", "--overwrite", "--jobs=1")
    assert "2 refined, 2 complete already" in text
    assert "4 complete already" in run(*arguments, *OPTIONS, "--theta-beta=99")


def test_a_changed_image_is_noticed_though_its_probabilities_have_its_name(tmp_path):
    image, probs, _ = scene()
    for name, array in (("images", image), ("probs", probs)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "case.npy", array)
    arguments = ["refine", tmp_path / "images", tmp_path / "probs", "-o", tmp_path / "out"]
    assert "1 refined" in run(*arguments, *OPTIONS)
    np.save(tmp_path / "images/case.npy", image[::-1])
    os.utime(tmp_path / "images/case.npy", ns=(1, 1))
    assert "holds 1 results (case.png)" in run(*arguments, *OPTIONS, status=1)


def test_results_below_a_folder_of_inputs_are_no_inputs(tmp_path):
    arguments, _ = folder(tmp_path, 2)
    arguments[-1] = tmp_path / "images/out"
    below = ["--glob=**/*", "--probs-glob=**/*", "--jobs=1", *OPTIONS]
    assert "2 refined, 0 complete already, 0 failed" in run(*arguments, *below)
    assert "0 refined, 2 complete already, 0 failed" in run(*arguments, *below)


def test_one_folder_for_images_and_probabilities(tmp_path):
    image, probs, _ = scene()
    picture(tmp_path / "data/case.png", image)
    np.save(tmp_path / "data/case.npy", probs)
    arguments = ["refine", tmp_path / "data", tmp_path / "data", "-o", tmp_path / "out", *OPTIONS]
    text = run(*arguments, status=1)
    assert "case: several images have this name" in text and "choose by --glob" in text
    assert "1 refined" in run(*arguments, "--glob=*.png")


@pytest.mark.parametrize("name", ["o.NPY", "o.Npz", "o.PNG"])
def test_extensions_in_capitals(tmp_path, name):
    image, probs, _ = scene()
    i, p, o = picture(tmp_path / "i.PNG", image), tmp_path / "p.npy", tmp_path / name
    np.save(p, probs)
    run("refine", i, p, "-o", o, *OPTIONS)
    assert sorted(tmp_path.iterdir()) == sorted([i, o, p])


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    i, p = tmp_path / "i.npy", tmp_path / "p.npy"
    image, probs, _ = scene(VOLUME)
    np.save(i, image)
    np.save(p, probs)
    text = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, status=1)
    assert f"Error: {tmp_path / 'o.png'}: PNG cannot hold a volume" in text


def test_a_failing_case_is_named_and_the_others_go_on(tmp_path):
    arguments, _ = folder(tmp_path, 5)
    np.save(tmp_path / "probs/case1.npy", np.ones((3, 4)))
    (tmp_path / "images/case2.png").write_bytes(b"no picture")
    picture(tmp_path / "images/lonely.png", np.zeros(SHAPE, np.uint8))
    np.save(tmp_path / "probs/widow.npy", np.ones((3, 4)))
    text = run(*arguments, *OPTIONS, "--jobs=1", status=1)
    assert "Failed: case1: " in text and "does not fit" in text
    assert "Failed: case2: cannot read" in text
    assert "Left out: lonely: there are no probabilities" in text
    assert "Left out: widow: there is no image" in text
    assert "3 refined, 0 complete already, 2 failed" in text
    assert results(tmp_path / "out") == ["case0.png", "case3.png", "case4.png"]


def test_processes_give_the_same(tmp_path):
    arguments, expected = folder(tmp_path, 3)
    np.save(tmp_path / "probs/case1.npy", np.ones((3, 4)))
    text = run(*arguments, *OPTIONS, "--jobs=2", status=1)
    assert "2 refined, 0 complete already, 1 failed" in text and "Failed: case1" in text
    for name in ("case0.png", "case2.png"):
        np.testing.assert_array_equal(read(tmp_path / "out" / name), expected[name])


def test_a_worker_that_dies_is_reported(tmp_path, monkeypatch):
    arguments, _ = folder(tmp_path, 3)

    class Broken(batch.ProcessPoolExecutor):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "initializer": os._exit, "initargs": (1,)})

    monkeypatch.setattr(batch, "ProcessPoolExecutor", Broken)
    text = run(*arguments, *OPTIONS, "--jobs=2", status=1)
    assert "0 refined, 0 complete already, 3 failed" in text and "fewer --jobs" in text
    assert results(tmp_path / "out") == []


def test_nnunet_folders(tmp_path):
    """imagesTs/case_0000.nii.gz and _0001, predictions/case.npz beside case.nii.gz and case.pkl."""
    expected = {}
    for name, count in (("liver_1", 1), ("brain_0042", 2)):
        image, probs, _ = scene(VOLUME, channels=count, seed=count)
        for channel in range(count):
            nifti(tmp_path / f"imagesTs/{name}_{channel:04d}.nii.gz", image[..., channel])
        nnunet(tmp_path / f"pred/{name}.npz", probs)
        nifti(tmp_path / f"pred/{name}.nii.gz", probs.argmax(-1).astype(np.uint8))
        (tmp_path / f"pred/{name}.pkl").write_bytes(b"")
        expected[name] = refine(image, probs, spacing=SPACING, **CRF)
    (tmp_path / "pred/dataset.json").write_text("{}")
    nifti(tmp_path / "imagesTs/gap_0001.nii.gz", image[..., 0])
    nnunet(tmp_path / "pred/gap.npz", probs)
    arguments = ["refine", tmp_path / "imagesTs", tmp_path / "pred", *OPTIONS]
    text = run(*arguments, "-o", tmp_path / "maps", "--glob=*.nii.gz", status=1)
    assert "Failed: gap: expected the channels _0000" in text
    assert results(tmp_path / "maps") == ["brain_0042.nii.gz", "liver_1.nii.gz"]
    run(*arguments, "-o", tmp_path / "probs", "--suffix=.npz", status=1)
    for name, probs in expected.items():
        labels = nibabel.load(tmp_path / f"maps/{name}.nii.gz")
        np.testing.assert_array_equal(np.asarray(labels.dataobj), probs.argmax(-1))
        np.testing.assert_array_equal(labels.affine, AFFINE)
        assert_close(read(tmp_path / f"probs/{name}.npz"), probs.transpose(3, 2, 1, 0), FLOAT32)


def test_globs_and_folders_below(tmp_path):
    for name in ("a/one", "b/one", "b/two"):
        image, probs, _ = scene()
        picture(tmp_path / f"i/{name}.png", image)
        (tmp_path / f"p/{name}").parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / f"p/{name}.npy", probs)
        np.save(tmp_path / f"p/{name}.other.npy", probs)
    names = pairing.Names("b/*.png", "b/???.npy")
    found, problems, unpaired = pairing.find(tmp_path / "i", tmp_path / "p", names=names)
    assert [case.name for case in found] == ["b/one", "b/two"] and problems == unpaired == {}
    arguments = ["refine", tmp_path / "i", tmp_path / "p", "-o", tmp_path / "o", *OPTIONS]
    run(*arguments, "--glob=**/*.png", "--probs-glob=**/???.npy", "--jobs=1")
    assert (tmp_path / "o/a/one.png").exists() and (tmp_path / "o/b/two.png").exists()
    text = run(*arguments[:-5], "--glob=*.jpg", status=1)
    assert "Received 0 images" in text


def test_mistakes_with_folders(tmp_path):
    arguments, _ = folder(tmp_path, 2)
    images, probs = arguments[1:3]
    one = images / "case0.png"
    assert "two files, or two folders" in run("refine", images, one, "-o", "x.png", status=2)
    assert "a folder of inputs" in run("refine", images, probs, "-o", probs, status=1)
    assert "is a file" in run("refine", images, probs, "-o", one, status=1)
    assert "expected one of" in run(*arguments, "--suffix=.xyz", status=1)
    picture(images / "case0.bmp", scene()[0])
    text = run(*arguments, *OPTIONS, "--jobs=1", status=1)
    assert "Failed: case0: several images have this name" in text and "1 refined" in text


def test_an_interruption_leaves_whole_files(tmp_path, monkeypatch):
    arguments, expected = folder(tmp_path)
    work, done = batch.refining.run, []

    def interrupted(paths, settings, output):
        if len(done) == 2:
            output.write_text("half")
            raise KeyboardInterrupt
        done.append(paths)
        return work(paths, settings, output)

    monkeypatch.setattr(batch.refining, "run", interrupted)
    text = run(*arguments, *OPTIONS, "--jobs=1", status=130)
    assert "Interrupted: 2 of 4 done. The same command again does the rest." in text
    assert results(tmp_path / "out") == ["case0.png", "case1.png"]
    monkeypatch.setattr(batch.refining, "run", work)
    assert "2 refined, 2 complete already" in run(*arguments, *OPTIONS, "--jobs=1")
    assert results(tmp_path / "out") == sorted(expected)
    single = ["refine", tmp_path / "images/case0.png", tmp_path / "probs/case0.npy"]
    done += [None] * (2 - len(done))
    monkeypatch.setattr("crfrnn.cli.refining.run", interrupted)
    assert "Interrupted." in run(*single, "-o", tmp_path / "one.png", *OPTIONS, status=130)
    assert not list(tmp_path.glob("*one.png"))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_while_a_result_is_kept(tmp_path, monkeypatch, moment):
    arguments, expected = folder(tmp_path)
    replace = os.replace

    def from_elsewhere():
        """As the kernel may deliver it: to a thread that was there before."""
        if hasattr(signal, "pthread_sigmask"):  # not on Windows
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.raise_signal(signal.SIGINT)

    def interrupted(*names):
        if moment == "after":
            replace(*names)
        other = threading.Thread(target=from_elsewhere)
        other.start()
        other.join()
        if moment == "before":
            replace(*names)

    monkeypatch.setattr(batch.os, "replace", interrupted)
    text = run(*arguments, *OPTIONS, "--jobs=1", status=130)
    assert "Interrupted: 1 of 4 done" in text
    monkeypatch.setattr(batch.os, "replace", replace)
    assert results(tmp_path / "out") == ["case0.png"]
    assert len((tmp_path / "out" / batch.RECORD).read_text().splitlines()) == 1
    assert "3 refined, 1 complete already" in run(*arguments, *OPTIONS, "--jobs=1")
    assert results(tmp_path / "out") == sorted(expected)


@pytest.mark.parametrize("again", [[], ["--theta-beta=0.3", "--overwrite"]])
def test_a_kill_while_a_result_is_kept(tmp_path, monkeypatch, again):
    """The same command again does the rest, and takes no old result for a new one."""
    arguments, expected = folder(tmp_path)
    if again:
        run(*arguments, *OPTIONS, "--jobs=1")
    for where, name in ((batch, "open"), (batch.os, "replace")):  # of the record, of the result

        def killed(*_):
            raise SystemExit(9)

        with monkeypatch.context() as patch:
            patch.setattr(where, name, killed, raising=False)
            run(*arguments, *OPTIONS, *again, "--jobs=1", status=9)
    text = run(*arguments, *OPTIONS, *again, "--jobs=1")
    assert f"{len(expected)} refined, 0 complete already" in text
    assert results(tmp_path / "out") == sorted(expected)


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a process group")
def test_ctrl_c_reaches_the_processes(tmp_path):
    """As a terminal does it: SIGINT to the command and its workers."""
    arguments, _ = folder(tmp_path, 1)
    for number in range(1, 60):
        for kind, ending in (("images", "png"), ("probs", "npy")):
            os.link(tmp_path / f"{kind}/case0.{ending}", tmp_path / f"{kind}/case{number}.{ending}")
    command = [sys.executable, "-m", "crfrnn", *map(str, arguments), *OPTIONS, "--jobs=2"]
    process = subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not (tmp_path / "out" / batch.RECORD).exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode in (0, 130), errors  # 0: it was faster
    if process.returncode == 130:
        assert b"The same command again does the rest" in errors
        assert b"Traceback" not in errors
    names = results(tmp_path / "out")
    lines = (tmp_path / "out" / batch.RECORD).read_text().splitlines()
    assert sorted(json.loads(line)["output"] for line in lines) == names
    for name in names:
        assert not name.startswith(".") and read(tmp_path / "out" / name).shape == SHAPE


def test_warnings_name_the_case(tmp_path):
    arguments, _ = folder(tmp_path, 1)
    text = run(*arguments, *OPTIONS, "--theta-beta=1e6", "--jobs=1")
    assert "Warning: case0: theta_beta" in text
    image, probs = tmp_path / "images/case0.png", tmp_path / "probs/case0.npy"
    text = run("refine", image, probs, "-o", tmp_path / "o.png", *OPTIONS, "--theta-beta=1e6")
    assert "Warning: theta_beta" in text


def test_search_writes_what_refine_takes(tmp_path):
    pytest.importorskip("optuna")
    pytest.importorskip("scipy")
    arguments, _ = folder(tmp_path, 3)
    images, probs, labels, best = (tmp_path / n for n in ("images", "probs", "labels", "b.json"))
    (labels / "case2.png").unlink()
    how = ["-o", best, "--trials=3", "--storage", tmp_path / "trials.log", "--metric=iou"]
    text = run("search", images, probs, labels, *how, "--plot", tmp_path / "search.png")
    assert "Left out: case2: there are no labels" in text and f"Written: {best}" in text
    content = json.loads(best.read_text())
    assert content["search"]["cases"] == 2 and content["search"]["metric"] == "iou"
    assert read(tmp_path / "search.png").shape[1] > 300
    run(*arguments, "--parameters", best, "--suffix=.npy", "--jobs=1")
    image, likely, _ = scene(seed=0)
    expected = refine(image, likely, **content["parameters"])
    assert_close(np.load(tmp_path / "out/case0.npy"), expected, FLOAT32)
    assert "Add --overwrite" in run("search", images, probs, labels, *how, status=1)
    mixed = ["search", images / "case0.png", probs, labels, "-o", "x.json"]
    assert "three files, or three folders" in run(*mixed, status=2)
    one = [path / f"case0.{end}" for path, end in ((images, "png"), (probs, "npy"))]
    how = ["-o", tmp_path / "one.json", "--trials=2", "--spacing=2,3"]
    run("search", *one, labels / "case0.png", *how)
    assert "NaN" not in (text := (tmp_path / "one.json").read_text())  # which is not JSON
    assert json.loads(text)["search"]["p_value"] is None
    assert json.loads(text)["spacing"] == [2, 3]  # the bandwidths are in its unit


def test_search_names_bad_labels(tmp_path):
    pytest.importorskip("optuna")
    image, probs, truth = scene(labels=2)
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npy"
    np.save(p, probs)
    arguments = ["search", i, p, tmp_path / "l.png", "-o", tmp_path / "b.json", "--trials=2"]
    picture(tmp_path / "l.png", 7 * truth)
    assert "expected labels 0..1" in run(*arguments, status=1)
    picture(tmp_path / "l.png", truth[:5])
    assert "the image's size (18, 24)" in run(*arguments, status=1)
    picture(tmp_path / "l.png", 255 * truth)  # one mask is usually stored so
    run(*arguments)


def test_diagnose(tmp_path):
    image, probs, truth = scene()
    i, p, t = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "t.png"
    np.save(p, probs)
    picture(t, truth)
    text = run("diagnose", i, p, *OPTIONS, "--theta-beta=9999")
    assert "the CRF cannot see edges" in text and "dice" not in text
    pytest.importorskip("matplotlib")
    text = run("diagnose", i, p, "--labels", t, "-o", tmp_path / "why.png", *OPTIONS)
    assert "dice" in text and read(tmp_path / "why.png").shape[1] > 300
    assert "Add --overwrite" in run("diagnose", i, p, "-o", tmp_path / "why.png", status=1)


def test_info():
    text = run("info")
    facts = json.loads(run("info", "--json"))
    from crfrnn import __version__, native_status

    assert facts["crfrnn"] == __version__ and __version__ in text
    assert facts["native library"] == native_status()
    assert facts["packages"]["numpy"] == np.__version__ in text


def test_help_has_examples():
    assert "crfrnn refine photo.jpg" in run("--help")
    for command in ("refine", "search", "diagnose"):
        text = run(command, "--help")
        assert "Examples:" in text and f"crfrnn {command} " in text
    assert "Usage" in run("refine", status=2)
    assert "3,3,1.5" in run("refine", ".", ".", "-o", "x", "--theta-alpha=wide", status=2)


@pytest.mark.parametrize(
    ("shape", "grid", "options", "name"),
    [
        ((5, 6, 3), (5, 6), {}, "last"),
        ((3, 5, 6), (5, 6), {}, "first"),
        ((5, 6), (5, 6), {}, "foreground"),
        ((1, 5, 6), (5, 6), {}, "first"),
        ((3, 1, 5, 6), (5, 6), dict(is_nnunet=True), "first"),
        ((3, 7, 6, 5), (5, 6, 7), dict(is_nnunet=True, is_nifti=True), "reversed"),
        ((3, 1, 6, 5), (5, 6), dict(is_nnunet=True, is_nifti=True), "reversed"),
        ((5, 6, 7, 3), (5, 6, 7), dict(is_nnunet=True, is_nifti=True), "last"),
        ((3, 7, 6, 5), (5, 6, 7), dict(name="nnunet", is_nifti=True), "reversed"),
        ((3, 3, 3), (3, 3), {}, "last"),
        ((3, 3, 3), (3, 3), dict(name="first"), "first"),
    ],
)
def test_layouts_there_and_back(shape, grid, options, name):
    array = np.random.default_rng(0).random(shape)
    if len(shape) > len(grid):
        array /= array.sum(-1 if name == "last" else 0, keepdims=True)
    layout = layouts.find(shape, [grid], **options, values=array)
    assert layout.name == name
    probs = layout.to_probs(array)
    assert probs.shape[:-1] == grid and probs.shape[-1] >= 2
    np.testing.assert_array_equal(layout.from_probs(probs), array)


def test_settings_are_recorded_and_compared_as_json(tmp_path):
    """Tuples and lists are the same parameters."""
    case = cases.Paths("a", (tmp_path / "a.png",), tmp_path / "a.npy")
    for path in (*case.image, case.probs):
        path.write_text("")
    entries = [
        batch._entry(case, ".png", Settings({"theta_alpha": theta}, spacing=spacing))
        for theta, spacing in (((3.0, 2.0), (1.0, 2.0)), ([3.0, 2.0], (1.0, 2.0)))
    ]
    assert entries[0] == entries[1] and json.loads(json.dumps(entries[0])) == entries[0]


def test_the_entry_point_is_quick_and_needs_no_keras(tmp_path):
    image, probs, _ = scene()
    picture(tmp_path / "i.png", image)
    np.save(tmp_path / "p.npy", probs)
    code = (
        "import sys\n"
        "from crfrnn.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    slow = {'keras', 'tensorflow', 'jax', 'torch', 'optuna', 'matplotlib', 'scipy'}\n"
        "    assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    arguments = ["refine", "i.png", "p.npy", "-o", "o.png"]
    for extra in (["--help"], arguments):
        subprocess.run([sys.executable, "-c", code, *extra], check=True, cwd=tmp_path)
    assert read(tmp_path / "o.png").shape == SHAPE


def test_ctrl_c_while_the_command_is_imported():
    code = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'crfrnn.cli.batch':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "import crfrnn.cli\n"
        "crfrnn.cli.main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (130, "Interrupted.\n")


def test_without_its_packages_the_command_says_what_to_install():
    code = "import sys\nsys.modules['click'] = None\nimport crfrnn.cli\ncrfrnn.cli.main()\n"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1 and "pip install 'crfrnn[cli]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_no_warning_is_swallowed_by_the_runner(tmp_path):
    """The CRF's warnings are printed, not raised, whatever the filters say."""
    image, probs, _ = scene()
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npy"
    np.save(p, probs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, "--theta-beta=1e6")
    assert "Warning: theta_beta = 1000000. is large" in told
