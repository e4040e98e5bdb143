"""Volumes in the page that needs nothing installed: what it reads, shows and refuses."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

import crfrnn
from crfrnn.explorer.session import Session

pytestmark = pytest.mark.once
RNG = np.random.default_rng(11)
TRUTH = (np.indices((22, 17, 9)).sum(0) > 22).astype(np.uint8)
VOLUME = np.rint(300.0 * TRUTH + RNG.normal(100, 40, TRUTH.shape))
PROBS = crfrnn.probs_from_labels(np.where(RNG.random(TRUTH.shape) < 0.2, 1 - TRUTH, TRUTH), 2)
ZOOMS = (0.5, 0.75, 2.0)
# NIfTI's numbers of the types.
CODES = dict(uint8=2, int16=4, int32=8, float32=16, float64=64, int8=256, uint16=512)
CASE = "document.querySelector('.crf-explorer').explorer.case"


def nifti(array, version=1, order="<", slope=0.0, inter=0.0, zooms=ZOOMS, code=None):
    """A file, by the standard and not by nibabel, so that its rarer kinds can be had."""
    code = CODES[array.dtype.name] if code is None else code
    bits = 8 * array.dtype.itemsize
    dim = [array.ndim, *array.shape, *[1] * (7 - array.ndim)]
    pixdim = [1.0, *zooms, *[1.0] * (7 - len(zooms))]
    if version == 1:
        head = bytearray(352)
        fields = [(0, "i", 348), (40, "8h", *dim), (70, "2h", code, bits), (76, "8f", *pixdim)]
        fields += [(108, "3f", 352.0, slope, inter), (123, "B", 2), (344, "4s", b"n+1\0")]
    else:
        head = bytearray(544)
        fields = [(0, "i", 540), (4, "8s", b"n+2\0\r\n\x1a\n"), (12, "2h", code, bits)]
        fields += [(16, "8q", *dim), (104, "8d", *pixdim), (168, "q", 544)]
        fields += [(176, "2d", slope, inter), (500, "i", 2)]
    for at, kind, *values in fields:
        struct.pack_into(order + kind, head, at, *values)
    return bytes(head) + array.astype(array.dtype.newbyteorder(order)).tobytes("F")


def opened(page, path, name):
    """Opens a file and waits for the slice of this name."""
    page.upload(path)
    ready = f"{CASE}?.name.startsWith('{name}-axis')"
    page.wait(f"document.querySelector('dialog[open]') || {ready}")
    if page.run("document.querySelector('dialog[open]') !== null"):  # one as large was open
        page.click("Another picture")
    page.wait(ready)
    page.rest()


def turned(page, axis, index):
    """Another slice, by events."""
    for element, event, value in (("select", "axis", axis), ("input", "index", index)):
        page.run(
            f"(() => {{ const e = app.volume.querySelector('{element}'); e.value = {value};"
            "e.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )
        page.wait(f"{CASE}?.volume?.{event} === {value}")
        page.rest()


def shown(page):
    """Grey levels, values, and distances of the points of the slice."""
    height, width, spacing = page.run("[app.case.height, app.case.width, app.case.spacing]")
    grey = np.array(page.run("Array.from(app.picture.data)")).reshape(height, width, 4)[..., 0]
    values = np.array(page.run("Array.from(app.case.values)")).reshape(height, width)
    return grey, values, tuple(spacing)


def test_every_slice_is_that_of_the_engine_in_python(page, tmp_path):
    np.save(tmp_path / "whole.npy", VOLUME.astype(np.float32))
    np.save(tmp_path / "turned.npy", np.asfortranarray(VOLUME.astype(">i2")))
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(nifti(VOLUME.astype(np.int16))))
    for file, name, spacing in (
        ("whole.npy", "whole", None),
        ("turned.npy", "turned", None),
        ("scan.nii.gz", "scan", ZOOMS),
    ):
        opened(page, tmp_path / file, name)
        session = Session(VOLUME.astype(np.float32)[..., None], spacing=spacing)
        assert page.run("app.case.volume") == {"sizes": [22, 17, 9], "axis": 2, "index": 4}
        assert "refined by itself" in page.run("app.volume.textContent")
        for axis, index in ((2, 4), (0, 3), (1, 16)):
            turned(page, axis, index)
            found, arrays = session.answer("slice", dict(axis=axis, index=index, parameters={}))
            grey, values, steps = shown(page)
            assert np.array_equal(values, VOLUME.take(index, axis))
            assert np.abs(grey - arrays["picture"][..., 0].astype(int)).max() <= 1
            assert list(steps) == found["spacing"]


@pytest.mark.parametrize("kind", CODES)
def test_every_kind_of_nifti_is_read(page, tmp_path, kind):
    given = RNG.integers(0, 100, (7, 6, 5)).astype(kind)
    for version, order, slope in ((1, ">", 0.25), (2, "<", np.nan)):
        name = f"{kind}{version}{'le' if order == '<' else 'be'}"
        path = tmp_path / f"{name}.nii"
        path.write_bytes(nifti(given, version, order, slope, -3.0))
        opened(page, path, name)
        scaled = slope * given - 3.0 if slope > 0 else given
        _, values, spacing = shown(page)
        assert np.array_equal(values, scaled[..., 2])
        assert spacing == ZOOMS[:2]


def test_nibabel_writes_what_the_page_reads(page, tmp_path):
    nibabel = pytest.importorskip("nibabel", reason="the extra `medical` has it")
    image = nibabel.Nifti1Image(VOLUME.astype(np.float64), np.diag([*ZOOMS, 1]))
    image.header.set_data_dtype(np.int16)
    image.header.set_slope_inter(0.5, 20)
    nibabel.save(image, tmp_path / "scaled.nii.gz")
    opened(page, tmp_path / "scaled.nii.gz", "scaled")
    expected = np.asarray(nibabel.load(tmp_path / "scaled.nii.gz").dataobj)
    assert np.array_equal(shown(page)[1], expected[..., 4])


def test_labels_probabilities_and_truth_belong_to_every_slice(page, tmp_path):
    (tmp_path / "scan.nii").write_bytes(nifti(VOLUME.astype(np.float32)))
    np.save(tmp_path / "probs.npy", np.moveaxis(PROBS, -1, 0).astype(np.float32))
    (tmp_path / "truth.nii.gz").write_bytes(gzip.compress(nifti(TRUTH)))
    opened(page, tmp_path / "scan.nii", "scan")
    page.upload(tmp_path / "probs.npy")
    page.wait(f"{CASE} && !{CASE}.scribbles")
    page.wait("document.querySelector('.crf-explorer').explorer.guess?.theta_alpha")
    page.rest()
    page.upload(tmp_path / "truth.nii.gz")
    page.wait("document.querySelector('dialog[open]')")
    page.click("The true labels")
    page.wait(f"{CASE}?.arrays.truth")
    page.rest()
    turned(page, 0, 12)
    page.slide("theta_beta", 800)
    parameters = page.run("app.parameters")
    probs = np.float32(PROBS[12])
    spacing = ZOOMS[1:]
    expected = crfrnn.refine(VOLUME[12], probs, spacing=spacing, **parameters).argmax(-1)
    assert np.array_equal(page.run("Array.from(app.after.arrays.labels)"), expected.ravel())
    assert 0 < np.mean(expected != probs.argmax(-1))
    assert np.array_equal(page.run("Array.from(app.case.arrays.truth)"), TRUTH[12].ravel())
    assert page.run("app.case.workflow") == {"slice_axis": 0}
    page.run("app.pointAt(3, 5)")
    page.rest()
    rows, columns = np.indices(expected.shape)
    square = (0.75 * (rows - 5)) ** 2 + (2.0 * (columns - 3)) ** 2
    weights = 255 * np.exp(-square / (2 * parameters["theta_gamma"] ** 2))
    assert np.abs(page.run("Array.from(app.heat.spatial)") - weights.ravel()).max() <= 0.51
    turned(page, 2, 0)
    assert page.run("app.parameters") == parameters


def test_strokes_on_a_slice_and_the_command_on_what_is_saved(page, tmp_path):
    testing = pytest.importorskip("click.testing")
    pillow = pytest.importorskip("PIL.Image")
    from crfrnn.cli.commands import crfrnn as command

    (tmp_path / "scan.nii").write_bytes(nifti(VOLUME.astype(np.int16)))
    opened(page, tmp_path / "scan.nii", "scan")
    page.run(
        "(() => { const s = app.stage.strokes.labels; s.fill(1, 0, 12); s.fill(2, 355, 374);"
        "app.stage.onstroke(); })()"
    )
    page.wait("document.querySelector('.crf-explorer').explorer.after")
    page.rest()
    names = (f"scan-axis2-slice4{end}" for end in ("-labels.png", "-probs.npy", ".npy"))
    labels, probs, picture = map(page.save, ("Label map", "Probabilities", "Picture"), names)
    best = page.save("best.json", "best.json")
    assert np.array_equal(np.load(picture), VOLUME[..., 4])
    out = tmp_path / "out.npy"
    words = ["refine", picture, probs, "-o", out, "--parameters", best]
    result = testing.CliRunner().invoke(command, list(map(str, words)))
    assert result.exit_code == 0, result.output
    expected = np.load(out).argmax(-1)
    found = np.array(page.run("Array.from(app.after.arrays.labels)")).reshape(expected.shape)
    assert np.array_equal(found, expected)
    assert 0.2 < found.mean() < 0.8
    assert np.array_equal(np.asarray(pillow.open(labels)), expected)


def test_what_is_no_volume_is_refused_in_words(page, tmp_path):
    whole = nifti(VOLUME.astype(np.int16))
    packed = gzip.compress(whole)
    far = VOLUME.astype(np.float32)
    far[3, 3, 3] = np.nan
    cases = {
        "short.nii": (whole[:-9], "6732 bytes of values, and 6723 are there"),
        "cut.nii.gz": (packed[:-200], "ends early"),
        "noise.nii.gz": (packed[:40] + bytes(300) + packed[340:], "whole gzip file"),
        "other.nii": (b"GIF89a" + bytes(900), "expected NIfTI in one file"),
        "colours.nii": (nifti(VOLUME.astype(np.uint8), code=128), "data type 128"),
        "flat.nii": (nifti(VOLUME.astype(np.uint8), zooms=(1, 0, 1)), "positive distances"),
        "holes.nii": (nifti(far), "finite intensities"),
        "empty.nii": (nifti(np.zeros((4, 0, 4), np.uint8)), "sizes of 1 and more"),
        "four.nii": (nifti(np.zeros((4, 5, 6, 7), np.uint8)), "volume of 3 axes"),
        "text.npy": (b"no array at all, but text", "array of NumPy"),
    }
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "photo.npy", np.zeros((20, 30, 3), np.uint8))
    np.save(tmp_path / "void.npy", np.zeros((0, 6, 7)))
    for name, (content, _) in cases.items():
        (tmp_path / name).write_bytes(content)
    said = {name: words for name, (_, words) in cases.items()}
    said |= {"words.npy": "expected an array of", "photo.npy": "each longer than 4"}
    said |= {"void.npy": "array with points"}
    for name, words in said.items():
        page.upload(tmp_path / name)
        page.wait(f"document.querySelector('.crf-message').textContent.includes(`{words}`)")
        assert name in page.message()
        assert page.run("app.case.name") == "coffee"


# What opens a file waits in the engine until `release()`.
HOLD = """(() => {
  window.opened = [];
  const { open } = app;
  app.open = (found) => (window.opened.push(found.name), open.call(app, found));
  app.engine.ask = (method, ...rest) => {
    const ask = () => (delete app.engine.ask, app.engine.ask(method, ...rest));
    if (method !== "open") return ask();
    return new Promise((resolve) => (window.release = () => resolve(ask())));
  };
})()"""
TURN = """(() => {{
  const slider = app.volume.querySelector("input");
  slider.value = {};
  slider.dispatchEvent(new Event("change"));
}})()"""
SEE = "app.engine.ask('see', {parameters: app.parameters, point: [0, 0]})"


def turn_while_opening(page, path):
    """Ask for slice 2 between the choice of a file and the answer of the engine."""
    page.run(HOLD)
    page.upload(path)
    page.wait("window.release")
    page.run(TURN.format(2))
    page.run("window.release()")


def test_a_slice_asked_for_while_another_file_is_opened_does_not_replace_it(page, tmp_path):
    (tmp_path / "first.nii").write_bytes(nifti(VOLUME.astype("int16")))
    (tmp_path / "second.nii").write_bytes(nifti(VOLUME[2:, 3:].astype("int16")))
    opened(page, tmp_path / "first.nii", "first")
    turn_while_opening(page, tmp_path / "second.nii")
    page.wait(f"{CASE}?.name.startsWith('second-axis')")
    page.rest()
    for _ in range(4):  # so that what still waits has its turn
        page.run(SEE)
    assert page.run("window.opened") == ["second-axis2-slice4"]
    grey, values, _ = shown(page)
    assert grey.shape == VOLUME[2:, 3:, 4].shape
    assert np.array_equal(values, VOLUME[2:, 3:, 4].astype("int16"))


def test_a_slice_asked_for_while_its_labels_are_opened_has_them(page, tmp_path):
    (tmp_path / "scan.nii").write_bytes(nifti(VOLUME.astype("int16")))
    np.save(tmp_path / "probs.npy", PROBS)
    opened(page, tmp_path / "scan.nii", "scan")
    turn_while_opening(page, tmp_path / "probs.npy")
    page.wait(f"{CASE}?.volume?.index === 2")
    page.rest()
    assert page.run("app.case.scribbles") is False
    found = page.run("app.engine.ask('probabilities', {}).then((f) => [...f.arrays.probs])")
    assert np.abs(np.reshape(found, PROBS[:, :, 2].shape) - PROBS[:, :, 2]).max() < 1e-6


def test_of_an_engine_in_python_only_the_latest_slice_is_shown(page, tmp_path):
    (tmp_path / "scan.nii").write_bytes(nifti(VOLUME.astype("int16")))
    opened(page, tmp_path / "scan.nii", "scan")
    page.run(
        """(() => {
  window.own = app.engine;
  window.asked = [];
  const ask = (method, { index }) => {
    window.asked.push(`${method} ${index}`);
    const answer = { ...app.case, volume: { ...window.volume, index } };
    return new Promise((resolve) => (window.release = () => resolve(answer)));
  };
  window.volume = app.case.volume;
  app.engine = { ask };
})()"""
    )
    page.run(TURN.format(1))
    page.run(TURN.format(2))
    page.run(TURN.format(3))
    page.run("app.settingChanged({ theta_alpha: 5 })")  # of the slice that is shown no more
    assert page.run("window.asked") == ["slice 1"]
    page.run("window.release()")
    page.wait("window.asked.length === 2")
    page.run("window.release()")
    page.wait(f"{CASE}?.volume?.index === 3")
    assert page.run("window.asked.slice(0, 2)") == ["slice 1", "slice 3"]
    assert (
        page.run("app.case.name") == "scan-axis2-slice4"
    )  # of the page, which Python does not say
    page.run("(window.release?.(), app.engine = window.own)")
