"""The command itself: help, other commands, start."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

from crfrnn import refine
from crfrnn.cli import batch, cases, layouts
from crfrnn.cli.refining import Settings
from tests.cli.scenes import (
    OPTIONS,
    SHAPE,
    folder,
    picture,
    read,
    run,
    scene,
)
from tests.tolerances import FLOAT32, assert_close


def test_warnings_name_the_case(tmp_path):
    arguments, _ = folder(tmp_path, 1)
    text = run(*arguments, *OPTIONS, "--theta-beta=1e6", "--jobs=1")
    assert "Warning: case0: theta_beta" in text
    image, probs = tmp_path / "images/case0.png", tmp_path / "probs/case0.npy"
    text = run("refine", image, probs, "-o", tmp_path / "o.png", *OPTIONS, "--theta-beta=1e6")
    assert "Warning: theta_beta" in text


def test_search_writes_what_refine_takes(tmp_path):
    pytest.importorskip("optuna")
    pytest.importorskip("scipy")
    arguments, _ = folder(tmp_path, 3)
    images, probs, labels, best = (tmp_path / n for n in ("images", "probs", "labels", "b.json"))
    (labels / "case2.png").unlink()
    how = ["-o", best, "--trials=3", "--storage", tmp_path / "trials.log", "--metric=iou"]
    text = run("search", images, probs, labels, *how, "--plot", tmp_path / "search.png")
    assert "Left out: case2: there are no labels" in text and f"Written: {best}" in text
    content = json.loads(best.read_text())
    assert content["search"]["cases"] == 2 and content["search"]["metric"] == "iou"
    assert read(tmp_path / "search.png").shape[1] > 300
    run(*arguments, "--parameters", best, "--suffix=.npy", "--jobs=1")
    image, likely, _ = scene(seed=0)
    expected = refine(image, likely, **content["parameters"])
    assert_close(np.load(tmp_path / "out/case0.npy"), expected, FLOAT32)
    assert "Add --overwrite" in run("search", images, probs, labels, *how, status=1)
    mixed = ["search", images / "case0.png", probs, labels, "-o", "x.json"]
    assert "three files, or three folders" in run(*mixed, status=2)
    one = [path / f"case0.{end}" for path, end in ((images, "png"), (probs, "npy"))]
    how = ["-o", tmp_path / "one.json", "--trials=2", "--spacing=2,3"]
    run("search", *one, labels / "case0.png", *how)
    assert "NaN" not in (text := (tmp_path / "one.json").read_text())  # which is not JSON
    assert json.loads(text)["search"]["p_value"] is None
    assert json.loads(text)["spacing"] == [2, 3]  # the bandwidths are in its unit


def test_search_names_bad_labels(tmp_path):
    pytest.importorskip("optuna")
    image, probs, truth = scene(labels=2)
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npy"
    np.save(p, probs)
    arguments = ["search", i, p, tmp_path / "l.png", "-o", tmp_path / "b.json", "--trials=2"]
    picture(tmp_path / "l.png", 7 * truth)
    assert "expected labels 0..1" in run(*arguments, status=1)
    picture(tmp_path / "l.png", truth[:5])
    assert "the image's size (18, 24)" in run(*arguments, status=1)
    picture(tmp_path / "l.png", 255 * truth)  # one mask is usually stored so
    run(*arguments)


def test_diagnose(tmp_path):
    image, probs, truth = scene()
    i, p, t = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "t.png"
    np.save(p, probs)
    picture(t, truth)
    text = run("diagnose", i, p, *OPTIONS, "--theta-beta=9999")
    assert "the CRF cannot see edges" in text and "dice" not in text
    pytest.importorskip("matplotlib")
    text = run("diagnose", i, p, "--labels", t, "-o", tmp_path / "why.png", *OPTIONS)
    assert "dice" in text and read(tmp_path / "why.png").shape[1] > 300
    assert "Add --overwrite" in run("diagnose", i, p, "-o", tmp_path / "why.png", status=1)


def test_info():
    text = run("info")
    facts = json.loads(run("info", "--json"))
    from crfrnn import __version__, native_status

    assert facts["crfrnn"] == __version__ and __version__ in text
    assert facts["native library"] == native_status()
    assert facts["packages"]["numpy"] == np.__version__ in text


def test_help_has_examples():
    assert "crfrnn refine photo.jpg" in run("--help")
    for command in ("refine", "search", "diagnose"):
        text = run(command, "--help")
        assert "Examples:" in text and f"crfrnn {command} " in text
    assert "Usage" in run("refine", status=2)
    assert "3,3,1.5" in run("refine", ".", ".", "-o", "x", "--theta-alpha=wide", status=2)


@pytest.mark.parametrize(
    ("shape", "grid", "options", "name"),
    [
        ((5, 6, 3), (5, 6), {}, "last"),
        ((3, 5, 6), (5, 6), {}, "first"),
        ((5, 6), (5, 6), {}, "foreground"),
        ((1, 5, 6), (5, 6), {}, "first"),
        ((3, 1, 5, 6), (5, 6), dict(is_nnunet=True), "first"),
        ((3, 7, 6, 5), (5, 6, 7), dict(is_nnunet=True, is_nifti=True), "reversed"),
        ((3, 1, 6, 5), (5, 6), dict(is_nnunet=True, is_nifti=True), "reversed"),
        ((5, 6, 7, 3), (5, 6, 7), dict(is_nnunet=True, is_nifti=True), "last"),
        ((3, 7, 6, 5), (5, 6, 7), dict(name="nnunet", is_nifti=True), "reversed"),
        ((3, 3, 3), (3, 3), {}, "last"),
        ((3, 3, 3), (3, 3), dict(name="first"), "first"),
    ],
)
def test_layouts_there_and_back(shape, grid, options, name):
    array = np.random.default_rng(0).random(shape)
    if len(shape) > len(grid):
        array /= array.sum(-1 if name == "last" else 0, keepdims=True)
    layout = layouts.find(shape, [grid], **options, values=array)
    assert layout.name == name
    probs = layout.to_probs(array)
    assert probs.shape[:-1] == grid and probs.shape[-1] >= 2
    np.testing.assert_array_equal(layout.from_probs(probs), array)


def test_settings_are_recorded_and_compared_as_json(tmp_path):
    """Tuples and lists are the same parameters."""
    case = cases.Paths("a", (tmp_path / "a.png",), tmp_path / "a.npy")
    for path in (*case.image, case.probs):
        path.write_text("")
    entries = [
        batch._entry(case, ".png", Settings({"theta_alpha": theta}, spacing=spacing))
        for theta, spacing in (((3.0, 2.0), (1.0, 2.0)), ([3.0, 2.0], (1.0, 2.0)))
    ]
    assert entries[0] == entries[1] and json.loads(json.dumps(entries[0])) == entries[0]


def test_the_entry_point_is_quick_and_needs_no_keras(tmp_path):
    image, probs, _ = scene()
    picture(tmp_path / "i.png", image)
    np.save(tmp_path / "p.npy", probs)
    code = (
        "import sys\n"
        "from crfrnn.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    slow = {'keras', 'tensorflow', 'jax', 'torch', 'optuna', 'matplotlib', 'scipy'}\n"
        "    assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    arguments = ["refine", "i.png", "p.npy", "-o", "o.png"]
    for extra in (["--help"], arguments):
        subprocess.run([sys.executable, "-c", code, *extra], check=True, cwd=tmp_path)
    assert read(tmp_path / "o.png").shape == SHAPE


def test_ctrl_c_while_the_command_is_imported():
    code = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'crfrnn.cli.batch':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "import crfrnn.cli\n"
        "crfrnn.cli.main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (130, "Interrupted.\n")


def test_without_its_packages_the_command_says_what_to_install():
    code = "import sys\nsys.modules['click'] = None\nimport crfrnn.cli\ncrfrnn.cli.main()\n"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1 and "pip install 'crfrnn[cli]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_no_warning_is_swallowed_by_the_runner(tmp_path):
    """The CRF's warnings are printed, not raised, whatever the filters say."""
    image, probs, _ = scene()
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npy"
    np.save(p, probs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, "--theta-beta=1e6")
    assert "Warning: theta_beta = 1000000. is large" in told
