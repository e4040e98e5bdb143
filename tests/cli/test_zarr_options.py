"""Options of `crfrnn refine` that see the whole image: on Zarr they do as they do in memory."""

import importlib

import numpy as np
import pytest
from click.testing import CliRunner

from crfrnn.cli.commands import crfrnn
from crfrnn.offline.intensities import normalise
from tests.cli.test_zarr import IMAGE, OPTIONS, POINTS, PROBS, ome

zarr = pytest.importorskip("zarr")
pytest.importorskip("dask")

OF_RESCALED = [text.replace("theta-beta=30.0", "theta-beta=0.15") for text in OPTIONS]
MASK = np.zeros(IMAGE.shape[:2], np.uint8)
MASK[20:140, 5:60] = 7
FLOATS = IMAGE.astype(np.float32)
VOLUME = np.stack([IMAGE[:60, :50, 0], IMAGE[60:120, 40:90, 1], IMAGE[90:, 60:, 2]], 1)
LIKELY = np.stack([PROBS[:60, :50], PROBS[60:120, 40:90], PROBS[90:, 60:]], 1)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(importlib.import_module("crfrnn.large.plan"), "POINTS", POINTS)


def run(*arguments, fails=False):
    result = CliRunner().invoke(crfrnn, ["refine", *map(str, arguments)])
    assert (result.exit_code != 0) == fails, result.output
    return " ".join(result.output.split())


def refined(folder, ending, arrays, output, *options, fails=False):
    given = [folder / f"{name}.{ending}" for name in ("image", "probs")]
    mask = ["--mask", folder / f"mask.{ending}"] if "mask" in arrays else []
    return run(*given, "-o", folder / output, *mask, *options, fails=fails)


def saved(folder, **arrays):
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
        shape = {"shape": values.shape, "chunks": tuple(max(1, n // 2 - 3) for n in values.shape)}
        zarr.create_array(folder / f"{name}.zarr", dtype=values.dtype, **shape)[:] = values
    return arrays


def of_both(folder, *options, **arrays):
    """The probabilities made of arrays in memory, when Zarr has been seen to give them, too."""
    saved(folder, **arrays)
    refined(folder, "npy", arrays, "refined.npy", *options)
    refined(folder, "zarr", arrays, "q.zarr", *options, "--zarr-output", "probabilities")
    refined(folder, "zarr", arrays, "labels.zarr", *options)
    expected = np.load(folder / "refined.npy")
    np.testing.assert_allclose(zarr.open_array(folder / "q.zarr")[:], expected, atol=1e-5)
    labels = np.where(np.isnan(expected).any(-1), 0, expected.argmax(-1))
    np.testing.assert_array_equal(zarr.open_array(folder / "labels.zarr")[:], labels)
    return expected


def changed(expected, probs, where):
    return np.abs(expected - probs).max(-1)[where].max() > 0.1


def test_a_mask(tmp_path):
    expected = of_both(tmp_path, *OPTIONS, image=IMAGE, probs=PROBS, mask=MASK)
    np.testing.assert_array_equal(expected[MASK == 0], PROBS[MASK == 0])
    assert changed(expected, PROBS, MASK > 0)


def test_points_without_image_or_probabilities(tmp_path):
    image, probs = FLOATS.copy(), PROBS.copy()
    image[30:70, 20:50, 1] = np.nan
    probs[:, 80:] = np.nan
    expected = of_both(tmp_path, *OPTIONS, "--nan-outside", image=image, probs=probs)
    np.testing.assert_array_equal(expected[30:70, 20:50], PROBS[30:70, 20:50])
    assert np.isnan(expected[:, 80:]).all()
    # Nobody has said so: a network has failed.
    said = refined(tmp_path, "zarr", {}, "x.zarr", *OPTIONS, fails=True)
    assert "without NaN" in said


def test_points_outside_of_a_mask_may_be_nan(tmp_path):
    probs = np.where(MASK[..., None] > 0, PROBS, np.nan).astype(np.float32)
    probs[0, 0] = [0.2, np.nan, 0.8]
    expected = of_both(tmp_path, *OPTIONS, image=IMAGE, probs=probs, mask=MASK)
    assert np.isnan(expected[MASK == 0]).any(-1).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("masked", [False, True])
def test_rescaling(tmp_path, dtype, masked):
    """With one odd value, which no percentile of a part would know of."""
    image = IMAGE.astype(dtype)
    image[149, 109] = 127
    arrays = dict(image=image, probs=PROBS, **({"mask": MASK} if masked else {}))
    expected = of_both(tmp_path, *OF_RESCALED, "--rescale", **arrays)
    assert changed(expected, PROBS, MASK > 0)


def test_rescaling_and_guessing(tmp_path):
    """The whole image is the part that is guessed from, so that guesses are the same."""
    assert normalise(IMAGE).max() == 1
    of_both(tmp_path, "--rescale", image=IMAGE, probs=PROBS, mask=MASK)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_of_a_volume(tmp_path, axis):
    arrays = dict(image=VOLUME, probs=LIKELY)
    options = [*OPTIONS, "--slice-axis", axis, "--spacing", "0.5,2,1"]
    of_both(tmp_path, *options, **arrays)
    whole = tmp_path / "whole.zarr"
    run(*(tmp_path / f"{name}.zarr" for name in arrays), "-o", whole, *OPTIONS, "--spacing=0.5,2,1")
    labels = zarr.open_array(tmp_path / "labels.zarr")[:]
    assert (labels != zarr.open_array(whole)[:]).any()


def test_slices_with_everything(tmp_path):
    mask = np.zeros(VOLUME.shape, bool)
    mask[:, 1, 10:40] = mask[20:50, 2] = True  # none of slice 0
    image = VOLUME.astype(np.float32)
    image[30, 2, 5:9] = np.nan
    options = [*OF_RESCALED, "--slice-axis", 1, "--rescale", "--ignore-below", 0.05]
    of_both(tmp_path, *options, image=image, probs=LIKELY, mask=mask)


def test_a_mask_of_ome_zarr(tmp_path):
    """With and without a channel; the middle of the image takes no part, so another is tried."""
    image, probs = ome(tmp_path, 3)
    mask = np.zeros(MASK.shape, np.uint8)
    mask[:30, :30] = 1
    for axes, values in (("yx", mask), ("cyx", mask[None])):
        group = zarr.open_group(tmp_path / f"{axes}.zarr", mode="w")
        group.create_array("0", data=values)
        named = [{"name": name} for name in axes]
        group.attrs["ome"] = {"multiscales": [{"axes": named, "datasets": [{"path": "0"}]}]}
        output = tmp_path / f"{axes}-labels.zarr"
        run(image, probs, "-o", output, *OPTIONS, "--mask", tmp_path / f"{axes}.zarr")
        labels = zarr.open_group(output, mode="r")["0"][:]
        np.testing.assert_array_equal(labels[30:, 30:], PROBS[30:, 30:].argmax(-1))
        assert (labels[:30, :30] != PROBS[:30, :30].argmax(-1)).any()


def test_what_does_not_fit_is_refused(tmp_path):
    arrays = saved(tmp_path, image=IMAGE, probs=PROBS, mask=MASK[1:])
    said = refined(tmp_path, "zarr", arrays, "x.zarr", *OPTIONS, fails=True)
    assert "expected a mask of the image's size (150, 110). Received shape (149, 110)" in said
    given = [tmp_path / "image.zarr", tmp_path / "probs.zarr", "-o", tmp_path / "x.zarr", *OPTIONS]
    assert "expected Zarr" in run(*given, "--mask", tmp_path / "mask.npy", fails=True)
    assert "Expected a volume for --slice-axis" in run(*given, "--slice-axis", 0, fails=True)
    assert "Expected a --spacing of 2 numbers" in run(*given, "--spacing", "1,2,3", fails=True)
    zarr.create_array(tmp_path / "none.zarr", data=np.zeros_like(MASK))
    said = run(*given, "--mask", tmp_path / "none.zarr", fails=True)
    assert "some point that counts" in said
    place = [*given[:3], tmp_path / "mask.zarr", *OPTIONS]
    said = run(*place, "--mask", tmp_path / "mask.zarr", "--overwrite", fails=True)
    assert "is an input" in said
    zarr.create_array(tmp_path / "few.zarr", data=PROBS[::5, ::2])
    given[1] = tmp_path / "few.zarr"
    said = run(*given, "--upsample", "--nan-outside", fails=True)
    assert "for --nan-outside" in said
    assert not (tmp_path / "x.zarr").exists()


def test_pictures_that_are_read_as_a_volume_are_warned_of(tmp_path):
    image = np.stack([IMAGE[:40, :30], IMAGE[50:90, :30]])
    probs = np.stack([PROBS[:40, :30], PROBS[50:90, :30]])
    arrays = saved(tmp_path, image=image, probs=probs)
    said = refined(tmp_path, "zarr", arrays, "x.zarr", *OPTIONS)
    assert "is read as a volume" in said
    of_both_said = refined(tmp_path, "zarr", arrays, "y.zarr", *OPTIONS, "--slice-axis", 0)
    assert "is read as a volume" not in of_both_said


def test_damage_is_named(tmp_path):
    saved(tmp_path, image=IMAGE, probs=PROBS)
    for name, words in (("image", "image.zarr"), ("probs", "probs.zarr")):
        (chunk, *_) = (p for p in (tmp_path / f"{name}.zarr").rglob("c/*/*/*") if p.is_file())
        content = chunk.read_bytes()
        chunk.write_bytes(content[:-20])
        said = refined(tmp_path, "zarr", {}, "x.zarr", *OPTIONS, fails=True)
        assert f"{words}: a part cannot be read: " in said
        chunk.write_bytes(content)


DATASETS = [{"path": "0"}]
YX = [{"name": "y"}, {"name": "x"}]


def scaled(*scale):
    return [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": list(scale)}]}]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ({"axes": YX}, "there is no 'datasets'"),
        ({"datasets": DATASETS}, "there is no 'axes'"),
        ({"axes": YX, "datasets": []}, "index out of range"),
        ({"axes": YX, "datasets": [{"path": "7"}]}, "there is no '7'"),
        ({"axes": YX, "datasets": [{"path": "../image.zarr"}]}, "is invalid"),
        ({"axes": [{}, {}], "datasets": DATASETS}, "there is no 'name'"),
        ({"axes": YX[:1], "datasets": DATASETS}, "expected 2 axes among t, c, z, y, x"),
        ({"axes": YX, "datasets": scaled(0, 1)}, "a scale of 2 positive numbers"),
        ({"axes": YX, "datasets": scaled(1)}, "a scale of 2 positive numbers"),
        ({"axes": YX, "datasets": scaled("a", 1)}, "could not convert"),
        ({"axes": YX, "datasets": scaled("NaN", 1)}, "a scale of 2 positive numbers"),
        ("nonsense", "string indices"),
    ],
)
def test_what_ome_zarr_may_say_wrongly(tmp_path, image, said):
    saved(tmp_path, image=IMAGE, probs=PROBS)
    group = zarr.open_group(tmp_path / "ome.zarr", mode="w")
    group.create_array("0", data=IMAGE[..., 0])
    group.attrs["ome"] = {"multiscales": [image]}
    given = [tmp_path / "ome.zarr", tmp_path / "probs.zarr", "-o", tmp_path / "x.zarr"]
    text = run(*given, *OPTIONS, fails=True)
    assert "ome.zarr: what it says of its image is not OME-Zarr: " in text and said in text


def test_a_mask_of_fractions_is_refused(tmp_path):
    mask = (MASK > 0).astype(np.float32)
    mask[30, 30] = np.nan
    arrays = saved(tmp_path, image=IMAGE, probs=PROBS, mask=mask)
    said = refined(tmp_path, "zarr", arrays, "out.zarr", *OPTIONS, fails=True)
    assert "mask.zarr: expected a mask, whole numbers. Received also [nan]" in said
