"""The page that needs nothing installed, in a real browser: tools/explorer/page.py."""

from __future__ import annotations

import json

import numpy as np
import pytest

import crfrnn
from tests.tolerances import FLOAT32

pytestmark = pytest.mark.once
PROBS = "app.engine.ask('probabilities', {}).then((f) => Array.from(f.arrays.probs))"
LABELS = "Array.from(app.after.arrays.labels)"


def choose(page, title):
    for option in page.driver.find_elements("css selector", "header select option"):
        if title in option.text:
            option.click()
    page.wait("document.querySelector('.crf-explorer').explorer.result")
    page.rest()


def seen(page):
    """What the CRF of the page has: image, probabilities, labels."""
    height, width, grey = page.run("[app.case.height, app.case.width, app.case.grey]")
    image = np.array(page.run("Array.from(app.picture.data)"), np.uint8)
    image = image.reshape(height, width, 4)[..., 0 if grey else slice(3)]
    probs = np.array(page.run(PROBS), np.float32).reshape(height, width, -1)
    return image, probs, np.array(page.run(LABELS)).reshape(height, width)


@pytest.mark.parametrize("title", ["Coffee", "Phantom"])
def test_the_labels_are_those_of_refine(page, title):
    choose(page, title)
    page.slide("theta_alpha", 430)
    image, probs, labels = seen(page)
    parameters = page.run("app.parameters")
    expected = crfrnn.refine(image, probs, **parameters).argmax(-1)
    assert np.mean(labels == expected) >= 0.9999
    assert np.mean(labels == probs.argmax(-1)) < 0.99  # there was something to do


def test_the_first_guess_is_that_of_python(page):
    choose(page, "Phantom")
    page.wait("!document.querySelectorAll('.crf-mark')[0].hidden")
    image, probs, _ = seen(page)
    expected = crfrnn.first_guess(image, probs)
    found = page.run("app.guess")
    for name, value in expected.items():
        assert found[name] == (value if isinstance(value, str) else pytest.approx(value, FLOAT32))
    assert expected.reasons in page.run("app.reasons.textContent")


def test_sliders_and_views_change_the_picture_and_ask_nobody(page):
    page.requests()
    pictures = [page.run("app.stage.canvas.toDataURL()")]
    for name, step in (("theta_beta", 900), ("spatial_weight", 1000), ("num_iterations", 0)):
        page.slide(name, step)
        pictures.append(page.run("app.stage.canvas.toDataURL()"))
    for view in ("probability", "entropy", "changes"):
        page.run(f"app.root.querySelector('input[value={view}]').click()")
        page.rest()
        pictures.append(page.run("app.stage.canvas.toDataURL()"))
    page.run("app.pointAt(200, 150)")
    page.rest()
    pictures.append(page.run("app.stage.canvas.toDataURL()"))
    page.run("(app.setCurtain(), app.show('labels'))")
    page.rest()
    pictures.append(page.run("app.stage.canvas.toDataURL()"))
    assert len(set(pictures)) == len(pictures)
    assert page.requests() == []


def test_what_the_crf_sees_are_the_weights_of_its_kernels(page):
    choose(page, "Phantom")
    image, *_ = seen(page)
    page.run("app.pointAt(100, 120)")
    page.rest()
    p = page.run("app.parameters")
    found = np.array(page.run("Array.from(app.heat.bilateral)")).reshape(image.shape)
    rows, columns = np.indices(image.shape)
    square = (rows - 120) ** 2 + (columns - 100) ** 2
    tone = (image.astype(float) - image[120, 100]) ** 2
    expected = np.exp(-square / (2 * p["theta_alpha"] ** 2) - tone / (2 * p["theta_beta"] ** 2))
    assert np.abs(found - 255 * expected).max() <= 0.51  # whole numbers


def test_scores_are_those_of_python(page):
    from crfrnn.parameters.scores import boundary_dice, dice

    choose(page, "Phantom")
    _, _, labels = seen(page)
    truth = np.array(page.run("Array.from(app.case.arrays.truth)")).reshape(labels.shape)
    found = page.run("app.result.scores")
    for label in range(1, 4):
        pair = truth == label, labels == label
        assert found["dice"][label] == pytest.approx(dice(*pair))
        assert found["boundary"][label] == pytest.approx(boundary_dice(*pair, (1.0, 1.0)))


def draw(page, label, *points):
    """A stroke with the pointer; points are shares of the picture."""
    from selenium.webdriver.common.action_chains import ActionChains

    page.click(label)
    stage = "[app.case.width, app.case.height, app.stage.scale, app.stage.left, app.stage.top]"
    width, height, scale, left, top = page.run(stage)
    canvas = page.driver.find_element("css selector", "canvas")
    box = canvas.size
    chain = ActionChains(page.driver, duration=20)
    for i, (u, v) in enumerate(points):
        x = left + u * width * scale - box["width"] / 2
        y = top + v * height * scale - box["height"] / 2
        chain.move_to_element_with_offset(canvas, round(x), round(y))
        if not i:
            chain.click_and_hold()
    chain.release().perform()
    page.rest()


def test_two_strokes_on_a_photograph_of_ones_own_give_a_mask(page, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    rows, columns = np.mgrid[:180, :240]
    disc = (rows - 80) ** 2 + (columns - 150) ** 2 < 50**2
    noise = np.random.default_rng(0).normal(0, 12, (180, 240, 3))
    image = np.where(disc[..., None], (190, 120, 60), (70, 110, 150)) + noise
    pillow.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / "disc.png")
    page.upload(tmp_path / "disc.png")
    page.wait("document.querySelector('.crf-message').textContent.includes('Draw a stroke')")
    hint = "document.querySelector('.crf-message span').getBoundingClientRect()"
    under = f"(({{x, y}}) => document.elementFromPoint(x + 9, y + 9) === app.stage.canvas)({hint})"
    assert page.run(under)  # what says where to draw keeps nobody from drawing there
    assert page.run("app.sliderBox.scrollWidth - app.sliderBox.clientWidth") == 0
    draw(page, "object 1", (0.55, 0.4), (0.7, 0.5))
    assert "Now draw a stroke on the background" in page.message()
    draw(page, "background", (0.1, 0.1), (0.1, 0.8), (0.8, 0.95))
    assert page.message() == ""
    labels = np.array(page.run(LABELS)).reshape(disc.shape)
    assert np.sum((labels == 1) & disc) / np.sum((labels == 1) | disc) > 0.98
    saved = page.save("Save the mask", "disc-labels.png")
    assert np.array_equal(np.asarray(pillow.open(saved)), labels)
    page.click("Clear")
    page.rest()
    assert "Draw a stroke on the object" in page.message()
    page.click("Undo")
    page.rest()
    assert np.array_equal(page.run(LABELS), labels.ravel())


def test_the_command_gives_the_labels_of_the_page(page, tmp_path):
    """To the last label: the picture is small enough for one thread, and the page has no other."""
    testing = pytest.importorskip("click.testing")
    pillow = pytest.importorskip("PIL.Image")
    from crfrnn.cli.commands import crfrnn as command

    rng = np.random.default_rng(1)
    truth = (np.indices((60, 64)).sum(0) > 64).astype(np.uint8)
    image = 60 * truth[..., None] + rng.integers(40, 120, (60, 64, 3))
    pillow.fromarray(image.astype(np.uint8)).save(tmp_path / "small.png")
    probs = crfrnn.probs_from_labels(np.where(rng.random((60, 64)) < 0.2, 1 - truth, truth), 2)
    np.save(tmp_path / "first.npy", np.moveaxis(probs, -1, 0))
    page.upload(tmp_path / "small.png")
    page.wait("document.querySelector('.crf-message').textContent.includes('Draw a stroke')")
    page.upload(tmp_path / "first.npy")
    page.wait("document.querySelector('.crf-explorer').explorer.guess?.theta_alpha")
    page.slide("theta_beta", 700)
    names = ("small-labels.png", "best.json", "small-probs.npy", "small.png")
    buttons = ("Label map", "best.json", "Probabilities", "Picture")
    labels, best, given, picture = map(page.save, buttons, names)
    assert np.array_equal(np.asarray(pillow.open(picture)), image)
    assert np.array_equal(np.load(given), probs)
    assert json.loads(best.read_text())["parameters"] == page.run("app.parameters")
    out = tmp_path / "out.png"
    words = ["refine", picture, given, "-o", out, "--parameters", best]
    result = testing.CliRunner().invoke(command, list(map(str, words)))
    assert result.exit_code == 0, result.output
    expected = np.asarray(pillow.open(out))
    assert np.array_equal(np.asarray(pillow.open(labels)), expected)
    assert 0 < np.mean(expected != probs.argmax(-1)) < 0.5


def test_what_is_wrong_is_said_in_the_page(page, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    np.save(tmp_path / "other.npy", np.full((5, 4, 2), 0.5, np.float32))
    np.save(tmp_path / "logits.npy", np.full((400, 600, 2), 3.0, np.float32))
    pillow.fromarray(np.zeros((3900, 5200), np.uint8)).save(tmp_path / "large.png")
    for name, words in (
        ("broken.png", "damaged"),
        ("other.npy", r"Received shape (5, 4, 2)"),
        ("logits.npy", "sum to 1"),
        ("large.png", "scaled down to 836 \u00d7 627"),
    ):
        page.upload(tmp_path / name)
        page.wait(f"document.querySelector('.crf-message').textContent.includes('{words}')")
    grey = np.array([[0, 300], [300, 700]], np.uint16).repeat(20, 0).repeat(15, 1)
    pillow.fromarray((grey // 3).astype(np.uint8)).save(tmp_path / "picture.png")
    pillow.fromarray(grey).save(tmp_path / "deep.png")
    faint = pillow.fromarray((grey > 0).astype(np.uint8), "P")
    faint.putpalette([0, 0, 0, 201, 101, 51])
    faint.save(tmp_path / "faint.png", transparency=bytes([255, 1]))
    page.upload(tmp_path / "picture.png")
    page.wait("document.querySelector('.crf-explorer').explorer.case?.name === 'picture'")
    for name, words in (("deep.png", "Received one of 16 bits"), ("faint.png", "of its palette")):
        page.upload(tmp_path / name)
        page.wait("document.querySelector('dialog[open]')")
        page.click("Labels to refine")
        page.wait(f"document.querySelector('.crf-message').textContent.includes('{words}')")
    choose(page, "Phantom")
    page.run("app.engine.worker.onerror({message: 'out of memory'})")
    assert "has stopped (out of memory). Load the page again." in page.message()
    page.slide("theta_beta", 100)
    assert "Load the page again." in page.message()


def test_numbers_that_no_lattice_can_hold_are_refused_in_words(page):
    page.run("app.use({theta_alpha: 1e-5})")
    page.rest()
    assert "bandwidth" in page.message() or "range" in page.message()
    page.run("app.use({theta_alpha: 20})")
    page.rest()
    assert page.run("app.result.changed") > 0


@pytest.mark.nightly
def test_the_committed_module_is_what_the_sources_give(browser, tmp_path, monkeypatch):
    """Other compilers give other bytes, and the same labels."""
    from tools.explorer import page, wasm

    if wasm.compiler() is None:
        pytest.skip("there is no em++ (Debian: apt-get install emscripten)")
    made = tmp_path / "made.wasm"
    wasm.compile_to(made)
    assert made.stat().st_size <= wasm.LARGEST
    found = []
    for module in (wasm.WASM, made):
        monkeypatch.setattr(page, "WASM", module)
        page.write(tmp_path / "index.html")
        browser.open((tmp_path / "index.html").as_uri())
        browser.rest()
        found.append(browser.run(LABELS))
    assert found[0] == found[1]


@pytest.mark.nightly
def test_the_benchmark_writes_what_it_has_measured(browser, tmp_path):
    pytest.importorskip("skimage", reason="the benchmarks need the extra `bench`")
    from benchmarks import explorer

    output = tmp_path / "result.json"
    explorer.main(["--repeats", "2", "--output", str(output)])
    result = json.loads(output.read_text())
    for times in result["sliders"].values():
        assert times["whole picture"]["every"] == [1]
        assert all(len(times[kind]["times_ms"]) == 2 for kind in times)
    assert [bar["what"] for bar in result["bars"]] == ["slider", "stroke"]
