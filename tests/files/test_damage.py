"""Files that are damaged where only a checksum tells, and small ones that ask for much memory."""

import gzip
import io
import struct
import warnings
import zipfile
import zlib

import h5py
import nibabel
import numpy as np
import pytest
from PIL import Image

from crfrnn import files
from crfrnn.files import sizes

RNG = np.random.default_rng(0)


def test_a_volume_whose_checksum_is_wrong(tmp_path):
    """One bit of the values, stored without compression, so that gzip's checksum alone tells."""
    path = tmp_path / "a.nii.gz"
    image = nibabel.Nifti1Image(RNG.integers(0, 99, (9, 8, 7), np.uint8), np.eye(4))
    content = bytearray(gzip.compress(image.to_bytes(), 0))
    path.write_bytes(content)
    files.volume_values(files.open_volume(path), path)
    content[600] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read .*a\.nii\.gz.*damaged"):
        files.open_volume(path)


@pytest.mark.parametrize(("offset", "name"), [(80, "distances"), (280, "an affine")])
def test_a_volume_whose_header_says_nan(tmp_path, offset, name):
    """Of pixdim and of sform, which the spacing and what is written would have."""
    path = tmp_path / "a.nii"
    content = bytearray(nibabel.Nifti1Image(np.ones((4, 3, 2), np.uint8), np.eye(4)).to_bytes())
    path.write_bytes(content)
    files.open_volume(path)
    struct.pack_into("<f", content, offset, np.nan)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.nii: expected the place .* {name} .*nan.*repair"):
        files.open_volume(path)


@pytest.mark.parametrize("size", [100, 2**18])
def test_an_npz_whose_checksum_is_wrong(tmp_path, size):
    path = tmp_path / "a.npz"
    np.savez(path, a=RNG.integers(0, 99, size, np.uint8))
    content = bytearray(path.read_bytes())
    content[220] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read .*a\.npz.*damaged"):
        files.read_array(path)


@pytest.mark.parametrize("keys", [{}, {"keys.npy": np.array([0, 1])}])
def test_two_arrays_of_one_name(tmp_path, keys):
    """Which is meant?"""
    path = tmp_path / "a.npz"
    maps = np.full((2, 3, 4), 0.5, np.float32)
    with zipfile.ZipFile(path, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, array in [*keys.items(), ("probs.npy", maps), ("probs.npy", 2 * maps)]:
            stream = io.BytesIO()
            np.save(stream, array)
            file.writestr(name, stream.getvalue())
    with pytest.raises(ValueError, match=r'a\.npz.*received two "probs"'):
        (files.read_packed if keys else files.read_array)(path)


def npy_header(shape, dtype="<f8"):
    stream = io.BytesIO()
    header = {"shape": shape, "fortran_order": False, "descr": dtype}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def huge_npy(path):
    path.write_bytes(npy_header((10**6, 10**6)) + bytes(1000))


def huge_npz(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", npy_header((10**6, 10**6)) + bytes(1000))


def huge_nii(path):
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_data_dtype(np.float64)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    content = header.binaryblock + bytes(4 + 1000)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def huge_png(path):
    def chunk(name, content):
        crc = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + crc

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def huge_hdf5(path):
    with h5py.File(path, "w") as file:  # of which no piece is written
        file.create_dataset("a", (10**6, 10**6), chunks=(1000, 1000))


def huge_jpeg(path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    content = path.read_bytes()
    start = content.index(b"\xff\xc0") + 5  # of the frame: height and width
    path.write_bytes(content[:start] + struct.pack(">HH", 65500, 65500) + content[start + 4 :])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.jpg", huge_jpeg),
        ("a.npy", huge_npy),
        ("a.npz", huge_npz),
        ("a.nii", huge_nii),
        ("a.nii.gz", huge_nii),
        ("a.png", huge_png),
        ("a.h5", huge_hdf5),
    ],
)
def test_small_files_that_ask_for_much(tmp_path, name, make):
    path = tmp_path / name
    make(path)
    with pytest.raises(ValueError, match=rf"{name}: its header asks for [\d,]+ bytes, and at most"):
        if ".nii" in name:
            files.open_volume(path)
        elif name.endswith((".png", ".jpg")):
            files.read_picture(path)
        else:
            files.read_array(path)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.nii.gz", "a.png", "a.tif", "a.h5"])
def test_a_limit_for_what_is_taken(tmp_path, monkeypatch, name):
    """Zeros pack well: what can be in the file is compared with what is allowed."""
    path, array = tmp_path / name, np.zeros((2000, 600), np.uint8)
    if name.endswith(".h5"):
        with h5py.File(path, "w") as file:
            file.create_dataset("a", data=array, compression="gzip")
    elif name.endswith(".nii.gz"):
        nibabel.Nifti1Image(array[..., None], np.eye(4)).to_filename(path)
    elif name.endswith((".npy", ".npz")):
        files.write_array(path, array)
    else:
        Image.fromarray(array).save(path)

    def read():
        if name.endswith(".nii.gz"):
            return files.volume_values(files.open_volume(path), path)
        reader = files.read_picture if name.endswith((".png", ".tif")) else files.read_array
        return reader(path)

    read()
    monkeypatch.setenv("CRFRNN_LIMIT_GIB", "0.001")
    with pytest.raises(ValueError, match=r"0.0 GiB of memory, and 0.001 are allowed\. Cut it"):
        read()
    monkeypatch.setenv("CRFRNN_LIMIT_GIB", "much")
    with pytest.raises(ValueError, match="CRFRNN_LIMIT_GIB to be a number"):
        read()


def test_values_that_are_scaled_take_the_memory_of_what_they_become(tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    image = nibabel.Nifti1Image(np.zeros((100, 90, 80), np.uint8), np.eye(4))
    monkeypatch.setenv("CRFRNN_LIMIT_GIB", "0.002")  # 720,000 bytes, or 5,760,000
    image.to_filename(path)
    assert files.volume_values(files.open_volume(path), path).dtype == np.uint8
    image.header.set_slope_inter(0.5, 1)
    image.to_filename(path)
    with pytest.raises(ValueError, match=r"0\.0 GiB of memory, and 0\.002 are allowed"):
        files.open_volume(path)


def test_no_compressor_packs_more_than_deflate_is_said_to():
    for size in (10**5, 10**7):
        packed = zlib.compress(bytes(size), 9)
        assert 0.9 * size < sizes.DEFLATE * len(packed)


def test_too_little_memory_gets_a_reason(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.ones(3))

    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np.lib.format, "read_array", no_memory)
    with pytest.raises(ValueError, match=r"a\.npy: there is not enough memory for it"):
        files.read_array(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5"])
def test_empty_arrays_are_named(tmp_path, name):
    if name.endswith(".h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["a"] = np.zeros((0, 3))
    else:
        files.write_array(tmp_path / name, np.zeros((0, 3)))
    with pytest.raises(ValueError, match=rf"{name}: expected at least one value.*\(0, 3\)"):
        files.read_array(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xef\xbb\xbf{}", None),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[1]", "a JSON object; received list"),
        (b'{"a": {"theta": 3, "b": 4, "theta": 3.5}}', "'theta' is given twice"),
    ],
)
def test_json_that_people_have(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_bytes(text)
    if message is None:
        assert files.read_json(path) == {}
    else:
        with pytest.raises(ValueError, match=message):
            files.read_json(path)


def test_two_processes_write_one_file_apart(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    with files.replacing(path) as mine:
        monkeypatch.setattr("os.getpid", lambda: -1)
        with files.replacing(path) as theirs:
            mine.write_text("mine"), theirs.write_text("theirs")
        assert path.read_text() == "theirs"
    assert path.read_text() == "mine" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]
