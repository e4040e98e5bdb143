"""Files of the formats people have, and of those they think they have."""

import io
import struct
import zlib

import nibabel
import numpy as np
import pytest
from PIL import Image

from crfrnn import files

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), np.uint8)


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def sixteen_bit_png(values):
    """A PNG of 16 bits per channel, which Pillow cannot write: (H, W, 3) uint16."""

    def chunk(name, content):
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp", ".TIFF"])
@pytest.mark.parametrize("array", [GREY, COLOUR], ids=["grey", "colour"])
def test_eight_bit_pictures(tmp_path, ending, array):
    read = files.read_picture(saved(tmp_path / f"a{ending}", array))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_values_beyond_eight_bits_are_kept(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    for ending in (".png", ".tif"):
        read = files.read_picture(saved(tmp_path / f"a{ending}", deep))
        np.testing.assert_array_equal(read, deep)
    fractions = (GREY / 255).astype(np.float32)
    np.testing.assert_array_equal(
        files.read_picture(saved(tmp_path / "f.tif", fractions)), fractions
    )


def test_sixteen_bit_colour_keeps_its_values(tmp_path):
    deep = COLOUR.astype(np.uint16) * 256 + 7
    (tmp_path / "a.png").write_bytes(sixteen_bit_png(deep))
    np.testing.assert_array_equal(files.read_picture(tmp_path / "a.png"), deep)


def test_transparency_palettes_and_bits(tmp_path):
    alpha = np.dstack([COLOUR, GREY])
    np.testing.assert_array_equal(files.read_picture(saved(tmp_path / "a.png", alpha)), COLOUR)
    np.testing.assert_array_equal(
        files.read_picture(saved(tmp_path / "la.png", np.dstack([GREY, GREY]))), GREY
    )
    palette = Image.fromarray(GREY % 3)
    palette = palette.convert("P")
    indices = np.array([[0, 2, 1], [1, 0, 2]], np.uint8)
    palette = Image.fromarray(indices).convert("P")
    palette.putdata(indices.ravel().tolist())
    palette.putpalette([0, 0, 0, 255, 0, 51, 9, 8, 7])
    palette.save(tmp_path / "p.png")
    colours = np.array([[0, 0, 0], [255, 0, 51], [9, 8, 7]], np.uint8)
    np.testing.assert_array_equal(files.read_picture(tmp_path / "p.png"), colours[indices])
    np.testing.assert_array_equal(files.read_picture(tmp_path / "p.png", classes=True), indices)
    bits = saved(tmp_path / "b.png", GREY > 99)
    np.testing.assert_array_equal(files.read_picture(bits), 255 * (GREY > 99))
    np.testing.assert_array_equal(files.read_picture(bits, classes=True), GREY > 99)


def test_pages_are_a_volume_in_tiff_only(tmp_path):
    pages = RNG.integers(0, 256, (3, 5, 7), np.uint8)
    first, *others = map(Image.fromarray, pages)
    first.save(tmp_path / "v.tif", save_all=True, append_images=others)
    np.testing.assert_array_equal(files.read_picture(tmp_path / "v.tif"), pages)
    first.save(tmp_path / "v.png", save_all=True, append_images=others)  # an animation
    assert files.read_picture(tmp_path / "v.png").shape == (5, 7)


@pytest.mark.parametrize(("largest", "dtype"), [(20, np.uint8), (300, np.uint16)])
@pytest.mark.parametrize(
    ("shape", "ending"), [((5, 7), ".png"), ((5, 7), ".tif"), ((3, 5, 7), ".tif")]
)
def test_label_maps_come_back(tmp_path, shape, ending, largest, dtype):
    labels = np.arange(np.prod(shape)).reshape(shape) % largest
    labels.flat[-1] = largest
    files.write_labels(tmp_path / f"l{ending}", labels)
    read = files.read_picture(tmp_path / f"l{ending}", classes=True)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, labels)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_label_maps_keep_the_header_of_the_image(tmp_path, kind):
    affine = np.array([[0, -1.5, 0, 9], [0, 0, 2, -4], [3, 0, 0, 7], [0, 0, 0, 1.0]])
    values = RNG.normal(100, 30, (4, 5, 6, 2)).astype(np.float32)
    image = kind(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"scanner"
    image.header["cal_max"] = 400
    image.header.set_data_dtype(np.int16)  # stored with a slope
    image.to_filename(tmp_path / "i.nii.gz")
    labels = RNG.integers(0, 3, (4, 5, 6))
    files.write_labels(tmp_path / "l.nii.gz", labels, files.open_volume(tmp_path / "i.nii.gz"))
    written = nibabel.load(tmp_path / "l.nii.gz")
    assert type(written) is kind and written.get_data_dtype() == np.uint8
    assert written.header["descrip"] == b"scanner" and written.header["cal_max"] == 0
    assert written.header.get_xyzt_units()[0] == "mm"
    assert written.header["sform_code"] == image.header["sform_code"]
    np.testing.assert_allclose(written.header.get_zooms(), (3, 1.5, 2))
    np.testing.assert_array_equal(written.affine, affine)
    np.testing.assert_array_equal(np.asarray(written.dataobj), labels)


@pytest.mark.parametrize(
    ("name", "axes", "message"),
    [
        ("a.jpg", 2, "label maps are written as"),
        ("a.png", 3, "PNG cannot hold a volume"),
        ("a.nii.gz", 3, "affine and header from a NIfTI image"),
        ("a.xyz", 2, r"expected one of \.nii"),
    ],
)
def test_formats_that_cannot_hold_labels(tmp_path, name, axes, message):
    with pytest.raises(ValueError, match=message):
        files.write_labels(tmp_path / name, np.zeros((2,) * axes, int))
    assert list(tmp_path.iterdir()) == []


def test_arrays(tmp_path):
    array = RNG.random((3, 4))
    files.write_array(tmp_path / "a.npy", array)
    files.write_array(tmp_path / "a.npz", array, "p")
    files.write_array(tmp_path / "b.npz", array)
    for name, key in (("a.npy", None), ("a.npz", "p"), ("b.npz", "probabilities")):
        read, found = files.read_array(tmp_path / name)
        assert found == key
        np.testing.assert_array_equal(read, array)


def content(path, value):
    path.write_bytes(value)


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.npy", lambda p: np.save(p, np.array([{}, 1]), allow_pickle=True), "can run code"),
        ("a.npz", lambda p: np.savez(p, a=np.array([None])), "can run code"),
        ("a.npy", lambda p: content(p, b"hello"), "no NumPy file"),
        ("a.npy", lambda p: content(p, b""), "a.npy"),
        ("a.npz", lambda p: np.savez(p, a=np.ones(2), b=np.ones(2)), r"received \['a', 'b'\]"),
        ("a.npy", lambda p: np.save(p, np.array(["x"])), "real numbers; received <U1"),
        ("a.npy", lambda p: np.save(p, np.ones(2, complex)), "received complex128"),
        ("a.npy", lambda p: np.save(p, np.float32(0.5)), "an array; received a single number"),
        ("a.npz", lambda p: np.savez(p, a=np.float32(0.5)), "an array; received a single number"),
        ("a.npy", lambda p: None, "there is no such file"),
    ],
)
def test_arrays_that_are_none(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        files.read_array(tmp_path / name)


def test_pictures_and_volumes_that_are_none(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(COLOUR).save(whole, "png")
    content(tmp_path / "half.png", whole.getvalue()[:60])
    with pytest.raises(ValueError, match=r"cannot read .*half\.png.*damaged"):
        files.read_picture(tmp_path / "half.png")
    with pytest.raises(ValueError, match="received mode RGB"):
        files.read_picture(saved(tmp_path / "c.png", COLOUR), classes=True)
    content(tmp_path / "a.nii.gz", b"no volume")
    with pytest.raises(ValueError, match=r"cannot read .*a\.nii\.gz"):
        files.open_volume(tmp_path / "a.nii.gz")
    rgb = np.zeros((2, 3, 4), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    nibabel.Nifti1Image(rgb, np.eye(4)).to_filename(tmp_path / "c.nii")
    with pytest.raises(ValueError, match="real numbers"):
        files.volume_values(files.open_volume(tmp_path / "c.nii"), tmp_path / "c.nii")


def test_a_file_that_is_replaced_is_never_half_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as part:
        part.write_text("ne")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and path.read_text() == "old"
    with files.replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.suffix == ".txt"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and path.read_text() == "new"


def test_a_missing_package_is_named():
    with pytest.raises(ImportError, match=r"Maps need the package no_such: pip .*crfrnn\[maps\]"):
        files.needed("no_such.module", "Maps", "maps")
