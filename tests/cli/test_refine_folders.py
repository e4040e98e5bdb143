"""Folders: pairs, resumption, processes."""

import os

import nibabel
import numpy as np
import pytest

from crfrnn import refine
from crfrnn.cli import batch, pairing, workers
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
from tests.tolerances import FLOAT32, assert_close


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

    class Broken(workers.ProcessPoolExecutor):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "initializer": os._exit, "initargs": (1,)})

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Broken)
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
