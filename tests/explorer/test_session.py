"""The engine in Python: what it answers is what the functions of the package give."""

from __future__ import annotations

import numpy as np
import pytest

import crfrnn
from crfrnn.explorer.bundle import FRONT, bundled
from crfrnn.explorer.messages import answered, packed, unpacked
from crfrnn.explorer.plane import Plane, seen_from
from crfrnn.explorer.session import Session
from tests.tolerances import EXACT
from tools.explorer.wasm import LARGEST, WASM

pytestmark = pytest.mark.once
RNG = np.random.default_rng(3)
IMAGE = RNG.uniform(-2, 5, (30, 41, 2))
PROBS = RNG.dirichlet(np.ones(3), (30, 41))
SPACING = (2.0, 0.5)
CRF = dict(
    theta_alpha=6.0, theta_beta=1.5, theta_gamma=2.0, bilateral_weight=4.0, spatial_weight=2.0
)
CRF |= dict(num_iterations=4, normalization="after")


def refined(session, parameters, iterations, view="labels", **more):
    options = dict(parameters=parameters, iterations=iterations, view=view, **more)
    return session.answer("refine", options)


def test_any_order_of_settings_gives_the_bits_of_refine():
    """What is kept between two settings is never used for a third."""
    plane = Plane(IMAGE, PROBS, SPACING)
    changes = [{}, {"theta_beta": 3.0}, {"theta_gamma": 1.0}, {"spatial_weight": 0.0}]
    changes += [{"bilateral_weight": 9.0}, {"normalization": "symmetric"}, {"theta_alpha": 2.0}]
    for change in [*changes, *reversed(changes)]:
        for iterations in (4, 1, 2):
            given = {**CRF, **change}
            found = plane.run(given, iterations)
            given["num_iterations"] = iterations
            expected = crfrnn.refine(IMAGE, PROBS, spacing=SPACING, **given)
            assert np.abs(found - expected).max() == EXACT


def test_a_session_answers_with_labels_layers_and_scores_of_the_truth():
    session = Session(IMAGE, PROBS, PROBS.argmax(-1), SPACING, CRF)
    expected = crfrnn.refine(IMAGE, PROBS, spacing=SPACING, **CRF)
    answer, arrays = refined(session, CRF, 4, "probability", label=2)
    assert np.array_equal(arrays["labels"], expected.argmax(-1))
    assert np.abs(arrays["layer"] - 255 * expected[..., 2]).max() <= 0.51
    entropy = -(expected * np.log(np.maximum(expected, 1e-30))).sum(-1)
    assert answer["entropy"] == pytest.approx(entropy.mean(), 1e-4)
    found, arrays = session.answer("start", {})
    assert found["spacing"] == list(SPACING) and found["labels"][2] == "label 2"
    assert np.array_equal(arrays["truth"], PROBS.argmax(-1))
    assert np.array_equal(session.refined(), expected)
    sentences = session.answer("diagnose", {"parameters": CRF})[0]["sentences"]
    assert (
        sentences
        == crfrnn.diagnose(
            IMAGE, PROBS, PROBS.argmax(-1), spacing=SPACING, unknown=255, **CRF
        ).verdict
    )


@pytest.mark.parametrize("coarse", [2, 4])
def test_fewer_points_give_alike_labels(coarse):
    smooth = RNG.dirichlet(np.ones(3), (5, 7)).repeat(16, 0).repeat(16, 1)
    image = smooth[..., 0]
    session = Session(image, smooth, crf={**CRF, "theta_beta": 0.1})
    whole = refined(session, session.parameters, 4)[1]["labels"]
    found = refined(session, session.parameters, 4, coarse=coarse)[1]["labels"]
    assert found.shape == whole.shape
    assert np.mean(found == whole) > 0.85


def test_what_the_crf_sees_in_loops():
    found = seen_from(IMAGE, (7, 30), CRF, SPACING)
    for row, column in ((7, 30), (9, 12), (29, 40)):
        square = (2.0 * (row - 7)) ** 2 + (0.5 * (column - 30)) ** 2
        tone = sum((IMAGE[row, column] - IMAGE[7, 30]) ** 2)
        bilateral = np.exp(-square / (2 * 6.0**2) - tone / (2 * 1.5**2))
        assert found["bilateral"][row, column] == pytest.approx(bilateral)
        assert found["spatial"][row, column] == pytest.approx(np.exp(-square / (2 * 2.0**2)))


def test_a_volume_is_explored_slice_by_slice_along_any_axis():
    image, probs = RNG.uniform(0, 1, (5, 12, 9)), RNG.dirichlet(np.ones(2), (5, 12, 9))
    session = Session(image, probs, spacing=(3.0, 1.0, 0.5), crf=CRF)
    assert session.answer("start", {})[0]["volume"] == {"sizes": (5, 12, 9), "axis": 0, "index": 2}
    turned, _ = session.answer("slice", {"axis": 1, "index": 7, "parameters": CRF})
    assert (turned["height"], turned["width"], turned["spacing"]) == (5, 9, [3.0, 0.5])
    assert turned["workflow"] == {"slice_axis": 1}
    labels = refined(session, CRF, 4)[1]["labels"]
    expected = crfrnn.refine(image[:, 7], probs[:, 7], spacing=(3.0, 0.5), **CRF)
    assert np.array_equal(labels, expected.argmax(-1))
    assert np.array_equal(session.refined()[:, 7], expected)


def test_without_settings_a_session_starts_at_the_first_guess():
    truth = (np.indices((40, 30)).sum(0) > 34).astype(int)
    image = truth + RNG.normal(0, 0.1, truth.shape)
    probs = crfrnn.probs_from_labels(np.where(RNG.random(truth.shape) < 0.1, 1 - truth, truth), 2)
    guess = crfrnn.first_guess(image, probs)
    assert guess["bilateral_weight"] > 0
    assert Session(image, probs).parameters == dict(guess)
    assert Session(image, probs, crf={"theta_beta": 2}).parameters == {**guess, "theta_beta": 2}
    assert session_guess(image, probs) == guess.reasons


def session_guess(image, probs):
    return Session(image, probs).answer("guess", {})[0]["reasons"]


def test_the_axis_and_labels_left_out_are_those_of_the_user():
    image, probs = RNG.uniform(0, 1, (5, 12, 9)), RNG.dirichlet(np.ones(2), (5, 12, 9))
    session = Session(image, probs, crf=CRF, axis=1)
    assert session.answer("start", {})[0]["volume"] == {"sizes": (5, 12, 9), "axis": 1, "index": 6}
    rare = np.concatenate([PROBS * (1 - 1e-6), np.full((30, 41, 1), 1e-6)], -1)
    session = Session(IMAGE, rare, crf={**CRF, "ignore_below": 1e-3})
    assert session.answer("start", {})[0]["parameters"]["ignore_below"] == 1e-3
    expected = crfrnn.refine(IMAGE, rare, **CRF, ignore_below=1e-3)
    assert np.abs(expected - crfrnn.refine(IMAGE, rare, **CRF)).max() > 0
    assert np.array_equal(session.refined(), expected)
    labels = refined(session, session.parameters, 4)[1]["labels"]
    assert np.array_equal(labels, expected.argmax(-1))
    session.answer("diagnose", {"parameters": session.parameters})


def test_an_image_of_bool_is_black_and_white():
    image = RNG.random((20, 30)) < 0.1
    session = Session(image, PROBS[:20, :30], crf=CRF)
    found, arrays = session.answer("start", {})
    assert np.array_equal(arrays["picture"][..., 0], np.where(image, 255, 0))
    assert found["high"] == 1
    labels = refined(session, CRF, 4)[1]["labels"]
    expected = crfrnn.refine(image.astype(float), PROBS[:20, :30], **CRF)
    assert np.array_equal(labels, expected.argmax(-1))


def test_strokes_become_probabilities():
    pytest.importorskip("sklearn", reason="the extra `explorer` has it")
    rows, columns = np.mgrid[:60, :80]
    disc = (rows - 25) ** 2 + (columns - 50) ** 2 < 18**2
    image = (60 * disc[..., None] + RNG.normal(100, 8, (60, 80, 3))).clip(0, 255).astype(np.uint8)
    session = Session(image)
    with pytest.raises(ValueError, match="draw a stroke"):
        refined(session, session.parameters, 5)
    strokes = np.zeros(disc.shape, np.uint8)
    strokes[20:30, 48:52], strokes[5:50, 4:8], strokes[55, 10:70] = 2, 1, 1
    session.answer("learn", {"labels": 2}, {"strokes": strokes.ravel()})
    labels = refined(session, session.parameters, 5)[1]["labels"] == 1
    assert np.sum(labels & disc) / np.sum(labels | disc) > 0.95
    probs = session.answer("probabilities", {})[1]["probs"]
    assert np.allclose(probs.sum(-1), 1, atol=1e-5) and probs[22, 50, 1] > 0.99


def test_what_cannot_be_answered_is_said_in_words():
    session = Session(IMAGE, PROBS, crf=CRF)
    for message in (
        {"method": "dance", "options": {}},
        {"method": "refine", "options": {"tempo": 3}},
        {"method": "save", "options": {"parameters": CRF}},
    ):
        assert "error" in answered(session, message, {})[0]
    assert "start, slice" in answered(session, {"method": "dance", "options": {}}, {})[0]["error"]
    for crf, words in (
        ({"theta_alpha": [3.0, 4.0]}, "one number for theta_alpha"),
        ({"theta_beta": [3.0, 4.0]}, "the page has one slider for it"),
        ({"theta_beta": -1.0}, "theta_beta"),
        ({"window": 3}, "'window'"),
    ):
        with pytest.raises(ValueError, match=words):
            Session(IMAGE, PROBS, crf=crf)
    with pytest.raises(ValueError, match=r"Received shape \(30,"):
        Session(IMAGE[:, 0, 0], PROBS[:, 0])
    with pytest.raises(ValueError, match=r"at most 255 labels.* Received 256\."):
        Session(IMAGE[:2], np.full((2, 41, 256), 1 / 256))
    with pytest.raises(ValueError, match=r"Expected a volume.* image of 2 axes, and axis 0\."):
        Session(IMAGE, PROBS, axis=0)


def test_what_goes_wrong_behind_the_page_is_said_and_logged(caplog):
    def save(_):
        raise OSError(28, "No space left on device")

    session = Session(RNG.uniform(0, 1, (5, 12, 9)), RNG.dirichlet(np.ones(2), (5, 12, 9)), crf=CRF)
    session._save = save
    for method, options, words in (
        ("save", {}, "No space left on device"),
        ("slice", {"axis": 0, "index": 99}, "IndexError: index 99 is out of bounds"),
    ):
        message = {"method": method, "options": {"parameters": CRF, **options}}
        assert words in answered(session, message, {})[0]["error"]
        assert words in caplog.text and "Traceback" in caplog.text
        caplog.clear()


@pytest.mark.parametrize("damage", [b"", b"\0\0\0\5{}", b"\0\0\0\2[]", b"\xff" * 9])
def test_bytes_that_are_no_question_are_refused(damage):
    with pytest.raises(ValueError, match="Expected a question"):
        unpacked(damage)
    whole = packed({"method": "x"}, {"a": np.arange(6, dtype=np.uint8)})
    with pytest.raises(ValueError, match="Expected a question"):
        unpacked(whole.replace(b"uint8", b"pickl"))


def test_modules_become_one_text(tmp_path):
    (tmp_path / "a.js").write_text('import { two } from "./b.js";\nexport const one = two - 1;\n')
    (tmp_path / "b.js").write_text("const hidden = 1;\nexport const two = 2 * hidden;\n")
    text = bundled("a.js", [tmp_path])
    assert text.index("const two = 2") < text.index("const { two } = b_js;")
    assert text.count("import") == 0 and "export const one" in text
    (tmp_path / "b.js").write_text('import { one } from "./a.js";\nexport const two = 2;\n')
    with pytest.raises(ValueError, match=r"a.js -> b.js -> a.js"):
        bundled("a.js", [tmp_path])
    with pytest.raises(ValueError, match=r"Expected c.js in one of"):
        bundled("c.js", [tmp_path])


def test_the_page_stays_small():
    """One style sheet and modules without a framework; the engines behind it are not counted."""
    lines = sum(len(file.read_text("utf-8").splitlines()) for file in FRONT.glob("*"))
    assert lines - len((FRONT / "remote.js").read_text("utf-8").splitlines()) <= 1500
    assert WASM.stat().st_size <= LARGEST
