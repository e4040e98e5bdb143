"""The real sets, where CRFRNN_DATA holds them: counts, sizes, classes, groups."""

import os

import numpy as np
import pytest

import data

# name: (cases, groups, split sizes, smallest and largest size per axis, channels, class shares).
# The shares are those published with the sets, to the three digits given there.
EXPECTED = {
    "hippocampus": (
        200,
        129,
        (119, 31, 50),
        ((31, 40, 24), (42, 58, 47)),
        1,
        (0.948, 0.027, 0.025),
    ),
    "wbc1": (300, 298, (179, 45, 76), ((88, 88), (120, 120)), 3, (0.688, 0.189, 0.123)),
    "nuclei_stain": (107, 107, (64, 16, 27), ((256, 320), (256, 320)), 3, (0.787, 0.213)),
    "vnc_em": (80, 20, (48, 12, 20), ((512,) * 2,) * 2, 1, (0.741, 0.172, 0.054, 0.006, 0.029)),
    "hc18": (240, 240, (144, 36, 60), ((346, 512), (355, 512)), 1, (0.685, 0.315)),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_real_set(name):
    if not (data.root_folder() / name).is_dir():
        set_or_not = "set" if "CRFRNN_DATA" in os.environ else "not set"
        pytest.skip(f"{name} is not in {data.root_folder()} (CRFRNN_DATA is {set_or_not})")
    number, groups, parts, sizes, channels, shares = EXPECTED[name]
    cases = data.load(name)
    if name == "hippocampus" and len(cases) == 260:
        pytest.skip("the official archive with 260 volumes; the numbers here are those of 200")
    assert (len(cases), len({case.group for case in cases})) == (number, groups)
    assert tuple(len(part) for part in data.split(cases).values()) == parts

    counts = np.zeros(len(shares))
    for case in cases:
        counts += np.bincount(case.label.ravel(), minlength=len(shares))
        assert case.image.shape == (*case.label.shape, channels)
        assert case.image.dtype == "float32" and case.label.dtype == "uint8"
        assert case.image.min() >= 0 and 0.3 < case.image.max() <= 1
        assert case.spacing == (1.0,) * case.label.ndim
    shapes = np.array([case.label.shape for case in cases])
    assert (tuple(shapes.min(0)), tuple(shapes.max(0))) == sizes
    np.testing.assert_allclose(counts / counts.sum(), shares, atol=1.1e-3)
    assert len(data.labels(name)) == len(shares)


def test_camvid_has_points_without_label_and_no_background():
    if not (data.root_folder() / "camvid").is_dir():
        pytest.skip("camvid is not here; set CRFRNN_DATA")
    cases = data.load("camvid")
    assert (len(cases), len({case.group for case in cases})) == (701, 35)
    assert {(case.ignore, case.background) for case in cases} == {(255, None)}
    some = cases[::7]  # a seventh, which takes half a second
    void = np.mean([(case.label == 255).mean() for case in some])
    assert abs(void - 0.038) < 2e-3  # 3.8 % of all, as published; of these 3.8 to 3.9 %
    assert max(case.label[case.label != 255].max() for case in some) < len(data.labels("camvid"))
    with pytest.raises(ValueError, match="ignore=255 and background=None"):
        data.require_plain(cases, "this metric")


def test_the_two_sides_of_a_person_are_one_group():
    if not (data.root_folder() / "hippocampus").is_dir():
        pytest.skip("hippocampus is not here; set CRFRNN_DATA")
    cases = {case.id: case for case in data.load("hippocampus")}
    # What the set says and what is inferred where a copy says nothing must agree.
    for name, case in cases.items():
        assert case.group == f"p{-(-int(name[-3:]) // 2):03d}"
    assert cases["hippocampus_007"].group == cases["hippocampus_008"].group
    train, test = (data.load("hippocampus", split=part) for part in ("train", "test"))
    assert not {c.group for c in train} & {c.group for c in test}
