"""Where NIfTI headers have the points: units, and files of one case that disagree."""

import nibabel
import numpy as np
import pytest

from crfrnn import refine
from tests.cli.scenes import AFFINE, CRF, OPTIONS, SPACING, VOLUME, nifti, read, run, scene
from tests.tolerances import FLOAT32, assert_close


@pytest.fixture
def volume(tmp_path):
    """Image and probabilities in files, and the arrays."""
    image, probs, _ = scene(VOLUME)
    return nifti(tmp_path / "i.nii.gz", image), nifti(tmp_path / "p.nii.gz", probs), image, probs


@pytest.mark.parametrize("unit, mm", [("micron", 0.001), ("meter", 1000)])
def test_bandwidths_are_mm_whatever_the_unit_of_the_header(tmp_path, volume, unit, mm):
    image, probs, values, likely = volume
    scaled = nibabel.Nifti1Image(values, AFFINE / np.array([[mm], [mm], [mm], [1]]))
    scaled.header.set_xyzt_units(unit)
    scaled.to_filename(image)
    said = run("refine", image, probs, "-o", tmp_path / "o.npy", *OPTIONS)
    assert "Warning" not in said  # the probabilities say the same places, in mm
    expected = refine(values, likely, spacing=SPACING, **CRF)
    assert_close(read(tmp_path / "o.npy"), expected, FLOAT32)


MOVED, OTHER_SPACING = AFFINE.copy(), AFFINE * [[1, 1, 1, 1], [1, 1, 1, 1], [2, 1, 1, 1], [1] * 4]
MOVED[0, 3] += 1


@pytest.mark.parametrize("affine, far", [(MOVED, "1 mm"), (OTHER_SPACING, "24 mm")])
@pytest.mark.parametrize("which", ["probs", "mask"])
def test_files_of_one_case_in_other_places_are_warned_of(tmp_path, volume, affine, far, which):
    image, probs, values, likely = volume
    path = {"probs": probs, "mask": tmp_path / "mask.nii.gz"}[which]
    nifti(path, likely if which == "probs" else np.ones(VOLUME, np.uint8), affine)
    options = ["--mask", path] if which == "mask" else []
    said = run("refine", image, probs, "-o", tmp_path / "o.npy", *OPTIONS, *options)
    said = " ".join(said.split())
    assert f"{path.name}: its header puts points up to {far} from" in said
    expected = refine(values, likely, spacing=SPACING, **CRF)
    assert_close(read(tmp_path / "o.npy"), expected, FLOAT32)


def test_headers_that_differ_by_rounding_are_not_spoken_of(tmp_path, volume):
    image, probs, _, likely = volume
    nifti(probs, likely, AFFINE + 1e-3)
    assert "Warning" not in run("refine", image, probs, "-o", tmp_path / "o.npy", *OPTIONS)


def test_in_a_folder_the_case_is_named(tmp_path):
    for name, affine in (("a", AFFINE), ("b", MOVED)):
        image, probs, _ = scene(VOLUME)
        nifti(tmp_path / "images" / f"{name}.nii.gz", image)
        nifti(tmp_path / "probs" / f"{name}.nii.gz", probs, affine)
    said = run("refine", *(tmp_path / name for name in ("images", "probs")), "-o", tmp_path / "o")
    assert said.count("its header puts points") == 1 and "b.nii.gz" in said
