"""Formats that Pillow and NumPy alone do not read, and what cameras and maps say beside values."""

import cv2
import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image, TiffImagePlugin

from crfrnn import files

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 2**16, (5, 7, 3), np.uint16)


def test_colour_of_16_bits_and_of_floats_keeps_its_values(tmp_path):
    for ending in (".png", ".tif"):
        cv2.imwrite(str(tmp_path / f"c{ending}"), COLOUR[..., ::-1])
        np.testing.assert_array_equal(files.read_picture(tmp_path / f"c{ending}"), COLOUR)
    alpha = np.dstack([COLOUR[..., ::-1], COLOUR[..., :1]])
    cv2.imwrite(str(tmp_path / "a.png"), alpha)
    np.testing.assert_array_equal(files.read_picture(tmp_path / "a.png"), COLOUR)
    fractions = RNG.random((5, 7, 3), np.float32)
    tifffile.imwrite(tmp_path / "f.tif", fractions, photometric="rgb")
    np.testing.assert_array_equal(files.read_picture(tmp_path / "f.tif"), fractions)
    pages = RNG.integers(0, 2**16, (4, 5, 7, 3), np.uint16)
    tifffile.imwrite(tmp_path / "p.tif", pages, photometric="rgb")
    np.testing.assert_array_equal(files.read_picture(tmp_path / "p.tif"), pages)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_tiff_of_many_bands(tmp_path, planar, compression):
    bands = RNG.integers(0, 2**16, (5, 7, 6), np.uint16)
    stored = bands if planar == "contig" else np.moveaxis(bands, -1, 0)
    path = tmp_path / "b.tif"
    how = dict(photometric="minisblack", planarconfig=planar, compression=compression)
    tifffile.imwrite(path, stored, **how)
    values, are_bands = files.read_bands(path)
    np.testing.assert_array_equal(values, bands)
    assert are_bands


def test_points_without_data_are_nan(tmp_path):
    values = RNG.integers(0, 200, (5, 7), np.int32)
    values[1, 2:5] = -9999
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[42113] = "-9999"  # GDAL's
    Image.fromarray(values).save(tmp_path / "g.tif", tiffinfo=tags)
    read = files.read_picture(tmp_path / "g.tif")
    np.testing.assert_array_equal(np.isnan(read), values == -9999)
    np.testing.assert_array_equal(read[values != -9999], values[values != -9999])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])
def test_pictures_come_upright(tmp_path, orientation, ending):
    """As viewers and labelling tools show them. Rules of EXIF, by NumPy."""
    upright = np.zeros((24, 40), np.uint8)
    upright[:8, :8], upright[:8, 32:], upright[16:, :8] = 250, 160, 80  # four unlike corners
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],  # shown after a quarter turn clockwise
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    picture = Image.fromarray(np.ascontiguousarray(stored))
    exif = picture.getexif()
    exif[274] = orientation
    quality = {"quality": 100} if ending == ".jpg" else {}
    picture.save(tmp_path / f"a{ending}", exif=exif, **quality)
    read = files.read_picture(tmp_path / f"a{ending}")
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).max() <= 2  # of JPEG


def test_pictures_beyond_the_limit_of_pillow(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for ending in (".png", ".tif", ".jpg"):
        Image.fromarray(COLOUR.astype(np.uint8)).save(tmp_path / f"a{ending}")
        assert files.read_picture(tmp_path / f"a{ending}").shape == (5, 7, 3)
    first, *others = [Image.fromarray(page) for page in RNG.integers(0, 9, (3, 5, 7), np.uint8)]
    first.save(tmp_path / "v.tif", save_all=True, append_images=others)
    assert files.read_picture(tmp_path / "v.tif").shape == (3, 5, 7)
    assert Image.MAX_IMAGE_PIXELS == 10  # nobody else's limit changes


def test_webp(tmp_path):
    Image.fromarray(COLOUR.astype(np.uint8)).save(tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(files.read_picture(tmp_path / "a.webp"), COLOUR.astype(np.uint8))


def test_hdf5(tmp_path):
    array = RNG.random((3, 4)).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/data"] = array
    read, key = files.read_array(tmp_path / "a.h5")
    np.testing.assert_array_equal(read, array)
    assert key == "group/data"
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["probabilities"], file["other"] = array, array
    assert files.read_array(tmp_path / "b.h5")[1] == "probabilities"


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
@pytest.mark.parametrize("channels", [1, 3])
def test_formats_of_itk_as_its_own_nifti_writer_has_them(tmp_path, ending, channels):
    values = RNG.random((4, 5, 6, channels)).astype(np.float32)
    image = SimpleITK.GetImageFromArray(values.squeeze(-1) if channels == 1 else values)
    image.SetSpacing((0.5, 1.5, 3.0))
    image.SetOrigin((10, -20, 30))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    for name in (f"a{ending}", "a.nii.gz"):
        SimpleITK.WriteImage(image, str(tmp_path / name))
    read, expected = (files.open_volume(tmp_path / name) for name in (f"a{ending}", "a.nii.gz"))
    np.testing.assert_array_equal(
        files.volume_values(read, tmp_path / f"a{ending}"),
        files.volume_values(expected, tmp_path / "a.nii.gz"),
    )
    np.testing.assert_allclose(read.affine, expected.affine, atol=1e-6)
    np.testing.assert_allclose(read.header.get_zooms()[:3], (0.5, 1.5, 3.0), rtol=1e-6)
    with pytest.raises(ValueError, match=r"cannot read .*b"):
        (tmp_path / f"b{ending}").write_bytes(b"no volume")
        files.open_volume(tmp_path / f"b{ending}")


def test_label_maps_do_not_take_the_intent_of_vectors(tmp_path):
    image = nibabel.Nifti1Image(RNG.random((4, 5, 6, 1, 3)).astype(np.float32), np.eye(4))
    image.header.set_intent("vector")
    image.to_filename(tmp_path / "i.nii.gz")
    opened = files.open_volume(tmp_path / "i.nii.gz")
    assert files.volume_values(opened, tmp_path / "i.nii.gz").shape == (4, 5, 6, 3)
    files.write_labels(tmp_path / "l.nii.gz", np.ones((4, 5, 6), int), opened)
    assert nibabel.load(tmp_path / "l.nii.gz").header.get_intent()[0] == "none"


def test_a_missing_reader_is_named_and_the_file_is_not_blamed(tmp_path, monkeypatch):
    import sys

    cv2.imwrite(str(tmp_path / "c.png"), COLOUR)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"colour need the package cv2: pip .*crfrnn\[cli\]"):
        files.read_picture(tmp_path / "c.png")


@pytest.mark.parametrize("name, options", [("a.jpg", {}), ("a.tif", {"compression": "jpeg"})])
def test_jpeg_has_no_classes(tmp_path, name, options):
    Image.fromarray(np.full((20, 30), 2, np.uint8)).save(tmp_path / name, **options)
    assert files.read_picture(tmp_path / name).shape == (20, 30)
    with pytest.raises(ValueError, match=rf"{name}: expected classes.*JPEG.*as \.png"):
        files.read_picture(tmp_path / name, classes=True)


@pytest.mark.parametrize(
    "unit, mm", [("mm", 1), ("meter", 1000), ("micron", 0.001), ("unknown", 1)]
)
def test_distances_of_nifti_are_in_mm_whatever_its_unit(tmp_path, unit, mm):
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.diag([2, 3, 4, 1]))
    image.header.set_xyzt_units(unit, "sec")
    image.to_filename(tmp_path / "i.nii")
    opened = files.open_volume(tmp_path / "i.nii")
    np.testing.assert_allclose(files.spacing(opened), np.multiply((2, 3, 4), mm), rtol=1e-6)
    np.testing.assert_allclose(files.affine(opened), np.diag([2, 3, 4, 1])[:3] * mm)
