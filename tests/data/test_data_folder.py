"""Folders in the Decathlon's layout: pictures, volumes, and what may be wrong with them."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

import data
from data.folder import load_folder
from tests.tolerances import FLOAT32, assert_close


def write_json(folder, training, labels=("background", "one", "two"), **more):
    description = {
        "labels": {str(i): name for i, name in enumerate(labels)},
        "relase": "1.0",  # as spelled by the Decathlon
        "training": training,
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def write_volume(path, array, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine), path)


def write_picture(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


LABEL = np.array([[0, 1, 2], [2, 0, 1]], "uint8")
COLOUR = np.arange(18, dtype="uint8").reshape(2, 3, 3) * 14


def picture_folder(folder, image=COLOUR, label=LABEL, ending="png", **item):
    write_picture(folder / f"images/a.{ending}", image)
    write_picture(folder / "labels/a.png", label)
    return write_json(folder, [{"image": f"images/a.{ending}", "label": "labels/a.png", **item}])


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_colour_picture(tmp_path, ending):
    (case,) = data.load(str(picture_folder(tmp_path, ending=ending)))
    assert (case.id, case.group, case.spacing) == ("a", "a", (1.0, 1.0))
    assert case.image.shape == (2, 3, 3) and case.image.dtype == "float32"
    assert_close(case.image, [[[v / 255 for v in p] for p in r] for r in COLOUR], FLOAT32)
    assert np.array_equal(case.label, LABEL) and case.label.dtype == "uint8"
    assert data.labels(str(tmp_path)) == ("background", "one", "two")


def test_grey_jpeg_group_and_spacing(tmp_path):
    grey = np.full((2, 3), 102, "uint8")  # constant: JPEG keeps it exactly
    folder = picture_folder(tmp_path, grey, ending="jpg", group=7, spacing=[0.5, 0.25])
    (case,) = load_folder(folder)
    assert (case.group, case.spacing) == ("7", (0.5, 0.25))
    assert_close(case.image, np.full((2, 3, 1), 0.4), FLOAT32)


def test_sixteen_bit_picture_is_normalised(tmp_path):
    values = (np.arange(6).reshape(2, 3) * 700 + 300).astype("uint16")
    (case,) = load_folder(picture_folder(tmp_path, values))
    assert case.image.min() == 0 and case.image.max() == 1
    assert np.array_equal(np.argsort(case.image.ravel()), np.arange(6))


def test_palette_and_bilevel_pictures(tmp_path):
    palette = Image.fromarray(LABEL, "P")
    palette.putpalette([0, 0, 0, 255, 0, 51, 9, 9, 9])
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        palette.save(tmp_path / kind / "a.png")
    bits = np.zeros((20, 30), bool)
    bits[3, 4] = True  # a rare value, which percentiles would clip away
    write_picture(tmp_path / "images/b.png", bits)
    write_picture(tmp_path / "labels/b.png", bits)
    names = ["images/a.png", "labels/a.png"], ["images/b.png", "labels/b.png"]
    write_json(tmp_path, [dict(zip(("image", "label"), pair, strict=True)) for pair in names])
    indexed, bilevel = load_folder(tmp_path)
    assert np.array_equal(indexed.label, LABEL)  # indices are classes
    np.testing.assert_allclose(indexed.image[0, 1], [1, 0, 0.2])  # and colours in the image
    assert np.array_equal(bilevel.image[..., 0], bits) and np.array_equal(bilevel.label, bits)


def test_volume_is_turned_to_right_anterior_superior(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.random((4, 5, 6)).astype("float32")
    label = rng.integers(0, 3, (4, 5, 6)).astype("uint8")
    # Stored axes: superior, left, anterior with 3, 1 and 2 mm.
    affine = np.array([[0, -1, 0, 9], [0, 0, 2, 0], [3, 0, 0, 0], [0, 0, 0, 1.0]])
    write_volume(tmp_path / "imagesTr/v_001.nii.gz", image, affine)
    write_volume(tmp_path / "labelsTr/v_001.nii.gz", label.astype("float32"), affine)
    item = {"image": "./imagesTr/v_001.nii.gz", "label": "./labelsTr/v_001.nii.gz"}
    (case,) = load_folder(write_json(tmp_path, [item]))
    assert case.id == "v_001" and case.spacing == (1.0, 2.0, 3.0)
    assert case.image.shape == (5, 6, 4, 1) and case.label.dtype == "uint8"
    low, high = np.percentile(image, (0.5, 99.5))
    for i, j, k in np.ndindex(5, 6, 4):
        stored = (k, 4 - i, j)
        assert case.label[i, j, k] == label[stored]
        expected = min(max((image[stored] - low) / (high - low), 0), 1)
        assert abs(case.image[i, j, k, 0] - expected) < FLOAT32


def test_volume_with_channels(tmp_path):
    image = np.random.default_rng(0).random((3, 4, 5, 2)).astype("float32")
    write_volume(tmp_path / "i.nii", image)
    write_volume(tmp_path / "l.nii", np.zeros((3, 4, 5), "uint8"))
    (case,) = load_folder(write_json(tmp_path, [{"image": "i.nii", "label": "l.nii"}]))
    assert case.image.shape == (3, 4, 5, 2) and case.spacing == (1.0, 1.0, 1.0)


def test_incomplete_items_are_left_out_and_counted(tmp_path):
    folder = picture_folder(tmp_path)
    write_picture(tmp_path / "images/b.png", COLOUR)  # image without label
    write_picture(tmp_path / "labels/c.png", LABEL)  # label without image
    whole = {"image": "images/a.png", "label": "labels/a.png"}
    training = [
        whole,
        {"image": "images/b.png", "label": "labels/b.png"},
        {"image": "images/c.png", "label": "labels/c.png"},
        {"image": "images/b.png"},
        {"image": "images/._a.png", "label": "labels/._a.png"},
    ]
    write_json(folder, training)
    with pytest.warns(UserWarning, match=r"left out 3 items .* b\.png, c\.png, b\.png"):
        assert [case.id for case in load_folder(folder)] == ["a"]
    write_json(folder, training[1:])
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="4 items, none complete"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object; received list"),
        ('{"training": []}', 'expected "labels"'),
        ('{"labels": {"0": "a", "2": "b"}, "training": []}', "without gaps"),
        ('{"labels": {"0": "a"}}', 'expected "training"'),
        ('{"labels": {"0": "a"}, "training": [{"image": 3}]}', 'expected "training"'),
        ('{"labels": {"0": "a"}, "training": []}', "at least one item"),
    ],
)
def test_malformed_description(tmp_path, text, message):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path)


def test_missing_files_and_names_used_twice(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dataset\.json"):
        load_folder(tmp_path)
    item = {"image": "images/a.png", "label": "labels/a.png"}
    with pytest.raises(FileNotFoundError, match="neither file is there"):
        load_folder(write_json(tmp_path, [item]))
    picture_folder(tmp_path)
    with pytest.raises(ValueError, match="received a twice"):
        load_folder(write_json(tmp_path, [item, item]))


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (COLOUR, LABEL[:, :2], r"received \(2, 3\) in .*a\.png and \(2, 2\)"),
        (COLOUR, LABEL + 100, r"classes 0\.\.2 .* received values \[100, 101, 102\]"),
        (COLOUR, COLOUR, "one channel whose values are classes; received mode RGB"),
    ],
)
def test_pictures_that_do_not_fit(tmp_path, image, label, message):
    (case,) = load_folder(picture_folder(tmp_path, image, label))
    with pytest.raises(ValueError, match=message):
        case.image  # noqa: B018


def test_labels_in_jpeg_are_refused(tmp_path):
    write_picture(tmp_path / "images/a.png", COLOUR)
    write_picture(tmp_path / "labels/a.jpg", LABEL)
    write_json(tmp_path, [{"image": "images/a.png", "label": "labels/a.jpg"}])
    with pytest.raises(ValueError, match=r"a\.jpg: expected classes.*JPEG"):
        load_folder(tmp_path)[0].label  # noqa: B018


def test_distances_of_volumes_are_in_mm(tmp_path):
    volume = nibabel.Nifti1Image(np.zeros((3, 4, 5), "float32"), np.diag([-200, 300, 400, 1]))
    volume.header.set_xyzt_units("micron")
    for name in ("i", "l"):
        volume.to_filename(tmp_path / f"{name}.nii.gz")
    write_json(tmp_path, [{"image": "i.nii.gz", "label": "l.nii.gz"}])
    np.testing.assert_allclose(load_folder(tmp_path)[0].spacing, (0.2, 0.3, 0.4))


def test_labels_in_another_place_are_warned_of(tmp_path):
    moved = np.diag([2.0, 3, 4, 1])
    moved[0, 3] = 1.5
    write_volume(tmp_path / "i.nii.gz", np.zeros((3, 4, 5), "float32"), np.diag([2.0, 3, 4, 1]))
    write_volume(tmp_path / "l.nii.gz", np.zeros((3, 4, 5), "uint8"), moved)
    write_json(tmp_path, [{"image": "i.nii.gz", "label": "l.nii.gz"}])
    with pytest.warns(UserWarning, match=r"l\.nii\.gz: its header puts points up to 1\.5 mm from"):
        assert load_folder(tmp_path)[0].spacing == (2.0, 3.0, 4.0)


def test_spacing_must_fit(tmp_path):
    (case,) = load_folder(picture_folder(tmp_path, spacing=[1.0, 0.0]))
    with pytest.raises(ValueError, match=r"2 positive spacings; received \(1.0, 0.0\)"):
        case.spacing  # noqa: B018


def test_damaged_and_unknown_files_are_named(tmp_path):
    folder = picture_folder(tmp_path)
    content = (folder / "images/a.png").read_bytes()
    (folder / "images/a.png").write_bytes(content[:40])
    with pytest.raises(ValueError, match=r"cannot read .*images/a\.png.*damaged"):
        load_folder(folder)[0].label  # noqa: B018
    (folder / "a.xyz").write_text("")
    with pytest.raises(ValueError, match=r"a\.xyz: expected one of \.nii"):
        load_folder(write_json(folder, [{"image": "a.xyz", "label": "labels/a.png"}]))


def test_damaged_volume_and_headers_that_disagree(tmp_path):
    values = np.random.default_rng(0).random((6, 7, 8)).astype("float32")
    write_volume(tmp_path / "i.nii.gz", values)
    mirrored = np.diag([-1.0, 1, 1, 1])
    mirrored[0, 3] = 5  # so that both have the same place
    write_volume(tmp_path / "l.nii.gz", np.zeros((6, 7, 8), "uint8"), mirrored)
    write_json(tmp_path, [{"image": "i.nii.gz", "label": "l.nii.gz"}])
    assert load_folder(tmp_path)[0].label.shape == (6, 7, 8)  # both turned to one orientation
    content = (tmp_path / "i.nii.gz").read_bytes()
    (tmp_path / "i.nii.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cannot read .*i\.nii\.gz"):
        load_folder(tmp_path)[0].image  # noqa: B018


def test_image_and_label_of_different_orientation(tmp_path):
    write_volume(tmp_path / "i.nii", np.ones((4, 5), "float32"))
    write_volume(tmp_path / "l.nii", np.zeros((4, 5), "uint8"), np.diag([-1.0, 1, 1, 1]))
    write_picture(tmp_path / "l.png", np.zeros((4, 5), "uint8"))
    for label in ("l.nii", "l.png"):
        (case,) = load_folder(write_json(tmp_path, [{"image": "i.nii", "label": label}]))
        with pytest.raises(ValueError, match="expected image and label of one orientation"):
            case.image  # noqa: B018


def test_volume_with_nan_is_named(tmp_path):
    values = np.ones((2, 3, 4), "float32")
    values[0, 0, 0] = np.nan
    write_volume(tmp_path / "i.nii", values)
    write_volume(tmp_path / "l.nii", np.zeros((2, 3, 4), "uint8"))
    (case,) = load_folder(write_json(tmp_path, [{"image": "i.nii", "label": "l.nii"}]))
    with pytest.raises(ValueError, match=r"i\.nii: expected finite intensities; received 1 NaN"):
        case.image  # noqa: B018


def test_known_names_are_found_below_the_root(tmp_path, monkeypatch):
    monkeypatch.delenv("CRFRNN_DATA", raising=False)
    picture_folder(tmp_path / "wbc1")
    assert len(data.load("wbc1", tmp_path)) == 1
    monkeypatch.setenv("CRFRNN_DATA", str(tmp_path))
    assert len(data.load("wbc1")) == 1 and len(data.labels("wbc1")) == 3
    with pytest.raises(
        FileNotFoundError, match=r"download it with: .*python.* -m data hippocampus"
    ):
        data.load("hippocampus")
    with pytest.raises(FileNotFoundError, match="not automated: get it from https://zenodo"):
        data.load("hc18")
    with pytest.raises(ValueError, match=r"expected one of phantom, hippocampus, .*'brains'"):
        data.load("brains")
    with pytest.raises(ValueError, match='split must be "train"'):
        data.load("wbc1", split="training")


def test_hippocampus_groups_are_inferred_where_not_given(tmp_path):
    folder = tmp_path / "hippocampus"
    training = []
    for number in (1, 2, 3, 394):
        name = f"hippocampus_{number:03d}.nii"
        write_volume(folder / "imagesTr" / name, np.zeros((2, 2, 2), "float32"))
        write_volume(folder / "labelsTr" / name, np.zeros((2, 2, 2), "uint8"))
        training.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    training[3]["group"] = "given"
    write_json(folder, training)
    cases = data.load("hippocampus", tmp_path)
    assert [case.group for case in cases] == ["p001", "p001", "p002", "given"]
