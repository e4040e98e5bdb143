"""The page of a run, from a made-up run and tiny images: what it holds."""

import base64
import dataclasses
import html
import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image

import data
from experiments import runs
from experiments.config import Config
from experiments.rows import Comparison
from experiments.show import cases
from experiments.show.report import browser as case_browser
from experiments.show.report import page
from tests.experiments.report.made_up import COMPARED, DATASET, LABELS, ROW

BEST_FIRST = (1, 3, 0, 4, 2)


class Reader(html.parser.HTMLParser):
    """The tags of a page with their attributes, and its text without scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.inside = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        self.text += " "
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, content):
        if not {"script", "style"} & {*self.inside}:
            self.text += content


def picture(uri):
    start = "data:image/png;base64,"
    assert uri.startswith(start)
    return Image.open(io.BytesIO(base64.b64decode(uri[len(start) :])))


def test_what_is_written(text):
    written = " ".join(Reader(text).text.split())
    for part in (
        f"{DATASET}: does a CRF help this U-Net?",
        "U-Net & CRF: both [here](http://example.org).",
        # Means over 5 cases: 80 to 84, and 1.3 more.
        f"{ROW} 82.00 ± 0.00 1.00 ± 0.00",
        "U-Net & CRF 83.30 ± 0.00 1.00 ± 0.00",
        "5 of 5 test cases",
        "0.50 hours",
        "keras 3.15, numpy 2.4",
        "abc1234",
        "a machine",
        "pretrain_steps 20",
    ):
        assert part in written
    assert "| U-Net & CRF | 83.30 ± 0.00 |" in written  # in what the button copies


def test_one_file_without_anything_from_elsewhere(text):
    for tag, attributes in Reader(text).tags:
        assert tag not in ("link", "iframe", "object", "embed")
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"@import|url\(", text)
    assert len(text) < 1e6


def test_names_stay_text(text):
    tags = Reader(text).tags
    assert not {tag for tag, _ in tags} & {"i", "b", "u", "s"}
    assert f"Labels by {ROW}" not in text  # the script writes it, as text
    alternatives = [attributes["alt"] for tag, attributes in tags if tag == "img"]
    assert any("bandwidths of U-Net & CRF over the updates" in one for one in alternatives)


def test_every_picture_and_control_has_words(text):
    tags = Reader(text).tags
    labelled = re.sub(r"<label>.*?</label>", "", text, flags=re.S)
    for tag, attributes in tags:
        if tag == "img":
            assert attributes["alt"]
    for tag, attributes in Reader(labelled).tags:
        if tag in ("input", "select", "textarea"):
            assert attributes["aria-label"]


def test_the_same_page_again(run, text):
    assert page.render(run, number=5) == text


def test_cases_from_the_best_to_the_worst(browser, tested):
    assert [one["id"] for one in browser["cases"]] == [tested[index].id for index in BEST_FIRST]
    assert [one["gain"] for one in browser["cases"]] == [
        "+4.50",
        "+3.00",
        "+1.00",
        "+0.00",
        "-2.00",
    ]
    assert browser["sides"] == [ROW, "U-Net & CRF", "ground truth"]
    assert (browser["before"], browser["after"]) == (0, 1)
    assert [name for name, _ in browser["labels"]] == [*LABELS[1:]]
    # Case 0, the third: its Dice, a missing HD95, and changed points of rows with a CRF only.
    plain, joint = (
        dict(zip(browser["columns"], n, strict=True)) for n in browser["cases"][2]["numbers"]
    )
    assert (plain["Dice %"], plain["HD95 ↓"], plain["changed %"]) == ("80.00", "-", "-")
    assert (joint["Dice %"], joint["HD95 ↓"], joint["changed %"]) == ("81.00", "1.00", "2.50")


def test_fewer_cases(run):
    results = runs.read_json(run / "results.json")
    shown = case_browser.browser(results, run, number=3)
    ranks = [one["title"].split("rank ")[1] for one in shown["cases"]]
    assert ranks == ["1 of 5", "3 of 5", "5 of 5"]
    assert shown["total"] == 5


def test_a_row_alone_is_compared_with_the_truth(run):
    results = runs.read_json(run / "results.json")
    alone = Comparison({"plain": COMPARED.rows["plain"]}, [], ("plain",), None)
    shown = case_browser.browser(
        {**results, "comparison": dataclasses.asdict(alone)}, run, number=2
    )
    assert (shown["sides"][shown["before"]], shown["sides"][shown["after"]]) == (
        ROW,
        "ground truth",
    )
    assert all(one["title"] == one["id"] and not one["gain"] for one in shown["cases"])


def test_pictures(browser, tested):
    # The margin around the structures is wider than these images: nothing is cut off.
    for one, index in zip(browser["cases"], BEST_FIRST, strict=True):
        case = tested[index]
        height, width = case.label.shape
        assert one["size"] == [width, height]
        assert one["ratio"] == pytest.approx(width / height, abs=1e-4)
        found = np.asarray(picture(one["image"]))
        np.testing.assert_array_equal(found, np.round(255 * case.image))
        shifted = [np.roll(case.label, shift, axis=1) for shift in (2, 1, 0)]
        for uri, expected in zip(one["maps"], shifted, strict=True):
            np.testing.assert_array_equal(np.asarray(picture(uri)), expected)
            colours = np.asarray(picture(uri).convert("RGBA"))
            np.testing.assert_array_equal(colours[..., 3], 255 * (expected > 0))
            for label, (_, colour) in enumerate(browser["labels"], 1):
                assert [
                    "#{:02x}{:02x}{:02x}".format(*c) for c in colours[expected == label][:1, :3]
                ] == [colour]


def test_outline():
    labels = np.random.default_rng(0).integers(0, 3, (5, 7))
    found = set()
    for x, y, way, end in re.findall(r"M(\d+) (\d+)([HV])(\d+)", case_browser.outline(labels)):
        x, y, end = int(x), int(y), int(end)
        steps = range(x, end) if way == "H" else range(y, end)
        found |= {(way, step, y) if way == "H" else (way, x, step) for step in steps}
    padded = np.pad(labels, 1)
    expected = set()
    for y in range(6):
        for x in range(7):
            if padded[y, x + 1] != padded[y + 1, x + 1]:
                expected.add(("H", x, y))
    for y in range(5):
        for x in range(8):
            if padded[y + 1, x] != padded[y + 1, x + 1]:
                expected.add(("V", x, y))
    assert found == expected


def test_slice_of_a_volume():
    # Across axis 1, plain and joint differ in slice 2 the most.
    label = np.zeros((5, 4, 6), "uint8")
    label[1:4, :, 2:5] = 1
    plain, joint = label.copy(), label.copy()
    joint[1:3, 2] = 0
    joint[1, 1, 2] = 0
    image = np.random.default_rng(0).random((5, 4, 6, 1)).astype("float32")
    case = data.Case(image, label, (3.0, 1.0, 2.0), "a", "a")
    tested = cases.Ranked(case, 0.5, {"plain": plain, "joint": joint}, {})
    shown = cases.show(tested, Config(slice_axis=1), COMPARED)
    np.testing.assert_array_equal(shown.image, image[:, 2])
    np.testing.assert_array_equal(shown.truth, label[:, 2])
    np.testing.assert_array_equal(shown.maps["joint"], joint[:, 2])
    assert shown.spacing == (3.0, 2.0)
