"""Points without label, and sets without background, from dataset.json to whatever uses them."""

import json

import numpy as np
import pytest
from PIL import Image
from skimage import transform

import data
from data.case import Case
from data.prepare import _resized
from tests.data.test_data_folder import LABEL, picture_folder

VOID = np.array([[0, 1, 255], [2, 255, 1]], "uint8")


def conventions(folder, label=VOID, **keys):
    folder = picture_folder(folder, label=label)
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**content, **keys}))
    return folder


def test_the_keys_of_dataset_json_reach_the_cases(tmp_path):
    (case,) = data.load(str(conventions(tmp_path, ignore=255, background=None)))
    assert (case.ignore, case.background) == (255, None)
    assert np.array_equal(case.label, VOID)
    assert np.array_equal(case.foreground(), VOID != 255)
    (case,) = data.load(str(conventions(tmp_path / "plain", LABEL)))
    assert (case.ignore, case.background) == (None, 0)
    data.require_plain([case], "anything")
    assert np.array_equal(case.foreground(), LABEL > 0)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ignore": 2}, '"ignore" to be a number from 3 to 255'),
        ({"ignore": 256}, '"ignore" to be a number from 3 to 255'),
        ({"ignore": True}, "received True"),
        ({"ignore": "255"}, "received '255'"),
        ({"background": 1}, '"background" to be 0, or null'),
        ({"background": False}, '"background" to be 0, or null'),
    ],
)
def test_keys_that_mean_nothing(tmp_path, keys, message):
    with pytest.raises(ValueError, match=message):
        data.load(str(conventions(tmp_path, **keys)))


def test_values_that_are_no_classes_are_named(tmp_path):
    (case,) = data.load(str(conventions(tmp_path)))  # 255, and no word about it
    with pytest.raises(ValueError, match=r'values \[255\].* as "ignore"'):
        _ = case.label
    (case,) = data.load(str(conventions(tmp_path / "b", np.where(VOID == 255, 7, VOID), ignore=9)))
    with pytest.raises(ValueError, match=r"values \[7\]"):
        _ = case.label


def test_resampled_labels_are_rounded(tmp_path):
    folder = conventions(tmp_path, LABEL)
    moved = LABEL * np.float32(1.0000152)
    Image.fromarray(moved).save(folder / "labels/a.tif")
    text = (folder / "dataset.json").read_text().replace("labels/a.png", "labels/a.tif")
    (folder / "dataset.json").write_text(text)
    (case,) = data.load(str(folder))
    assert np.array_equal(case.label, LABEL)


def test_a_dataset_json_of_a_windows_editor_and_one_of_an_attacker(tmp_path):
    folder = conventions(tmp_path, LABEL)
    text = (folder / "dataset.json").read_bytes()
    (folder / "dataset.json").write_bytes(b"\xef\xbb\xbf" + text)
    assert len(data.load(str(folder))) == 1
    (folder / "dataset.json").write_bytes(b"[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        data.load(str(folder))


@pytest.mark.parametrize("spacing", [1, "1 1", [1, "1"], {"x": 1}])
def test_spacings_of_a_wrong_type(tmp_path, spacing):
    folder = picture_folder(tmp_path, spacing=spacing)
    with pytest.raises(ValueError, match=r'"spacing": \[numbers\] may be added'):
        data.load(str(folder))


def case(label, **keys):
    return Case(
        np.zeros((*label.shape, 1), "float32"), label, (1.0,) * label.ndim, "a", "g", **keys
    )


def test_what_is_cut_from_a_case_keeps_what_counts():
    label = np.zeros((4, 8, 6), "uint8")
    label[1], label[2, 2:5] = 255, 1
    volume = case(label, ignore=255)
    pieces = [
        *data.slices([volume], 0),
        data.crop(volume, (2, 4, 4)),
        data.shrink(volume, 2),
        data.resize(volume, 0.7),
        data.weaken(volume, "points", 0),
    ]
    assert {(piece.ignore, piece.background, piece.group) for piece in pieces} == {(255, 0, "g")}
    # Points without label are no foreground; where there is no background, all others are.
    assert len(data.slices([volume], 0, foreground_only=True)) == 1
    assert len(data.slices([volume.but(background=None)], 0, foreground_only=True)) == 3


@pytest.mark.parametrize("kind", ["scribbles", "points", "outlines"])
def test_weak_labels_leave_out_what_has_no_label(kind):
    label = np.zeros((30, 40), "uint8")
    label[8:22, 10:30] = 1
    label[:, 25:] = 255
    weak = data.weaken(case(label, ignore=255), kind, 0)
    assert (weak.label[label == 255] == 255).all() and weak.ignore == 255
    assert {0, 1} <= set(np.unique(weak.label)) <= {0, 1, 255}
    whole = data.weaken(case(np.where(label == 255, 0, label)), kind, 0)
    assert whole.ignore == (None if kind == "outlines" else 255)
    nothing = data.weaken(case(np.full((5, 6), 255, "uint8"), ignore=255), kind, 0)
    assert (nothing.label == 255).all()


@pytest.mark.parametrize("scale", [0.3, 0.5, 0.9, 1.7])
@pytest.mark.parametrize("shape", [(23, 31), (23, 31, 3), (9, 12, 11, 2)])
def test_resizing_is_that_of_scikit_image(shape, scale):
    """To the last digit."""
    image = np.random.default_rng(0).random(shape, np.float32)
    axes = 3 if len(shape) == 4 else 2
    new = tuple(round(scale * size) for size in shape[:axes])
    np.testing.assert_array_equal(_resized(image, new), transform.resize(image, new))
