"""`import pydensecrf` gives the drop-in: call sites of public code, unedited, and who wins."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SITES = Path(__file__).with_name("call_sites.py")
TASKS = {  # how many labels of the truth each of them tells apart
    **dict.fromkeys(("pseudo_labels", "trusted_labels", "deeplab", "unsupervised", "watched"), 3),
    **dict.fromkeys(("saliency", "text_mask", "volumes"), 2),
}


def run(*arguments, **environment):
    command = [sys.executable, *map(str, arguments)]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        command, env=os.environ | path | environment, capture_output=True, text=True
    )


# ---- Call sites ---------------------------------------------------------------------------------


def truth_of(shape):
    """A block and, above all, a disc in it, off the centre: labels 0, 1, 2."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    block = (y > shape[0] // 4) & (x > shape[1] // 5)
    disc = (y - 0.6 * shape[0]) ** 2 + (x - 0.55 * shape[1]) ** 2 < (0.22 * shape[0]) ** 2
    return np.where(disc, 2, block.astype(int))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    rng = np.random.default_rng(0)
    truth = truth_of((61, 82))
    colours = np.array([[40, 60, 90], [120, 100, 70], [200, 190, 210]])
    image = (colours[truth] + rng.normal(0, 6, (*truth.shape, 3))).clip(0, 255).astype(np.uint8)
    logits = 1.5 * np.eye(3)[truth] + rng.normal(0, 1, (*truth.shape, 3))
    volume_truth = np.stack([truth_of((30, 41)) == 2] * 8)
    volume = (60 + 90 * volume_truth + rng.normal(0, 8, volume_truth.shape)).astype(np.uint8)
    volume_logits = 1.5 * np.eye(2)[volume_truth.astype(int)]
    volume_logits = volume_logits + rng.normal(0, 1, volume_logits.shape)
    folder = tmp_path_factory.mktemp("scene")

    def softmax(array):
        powers = np.exp(array)
        return np.moveaxis(powers / powers.sum(-1, keepdims=True), -1, 0)

    arrays = {
        "image": image,
        "volume": volume,
        "probs": softmax(logits),
        "volume_probs": softmax(volume_logits),
    }
    np.savez(folder / "scene.npz", **arrays)
    return folder / "scene.npz", arrays, {"image": truth, "volume": volume_truth.astype(int)}


@pytest.fixture(scope="module")
def ours(scene, tmp_path_factory):
    labels = tmp_path_factory.mktemp("ours") / "labels.npz"
    done = run("-m", "crfrnn.pydensecrf", "--replace", SITES, scene[0], labels)
    assert done.returncode == 0, done.stderr
    return dict(np.load(labels))


def test_call_sites_run_unedited_and_find_the_scene(scene, ours):
    _, arrays, truths = scene
    assert ours.keys() == TASKS.keys()
    for name, labels in ours.items():
        kind = "volume" if name == "volumes" else "image"
        probs = arrays["volume_probs" if name == "volumes" else "probs"]
        truth, given = truths[kind], probs.argmax(0)
        if TASKS[name] == 2 and kind == "image":
            truth, given = truth == 2, probs[2] > 0.5
        assert labels.shape == truth.shape
        wrong_before, wrong = np.mean(given != truth), np.mean(labels != truth)
        assert wrong < 0.5 * wrong_before, (name, wrong_before, wrong)


def test_call_sites_beside_pydensecrf(scene, ours, tmp_path):
    pytest.importorskip("pydensecrf.densecrf", reason="the extra `bench` has pydensecrf2")
    done = run(SITES, scene[0], tmp_path / "theirs.npz")
    assert done.returncode == 0, done.stderr
    for name, expected in np.load(tmp_path / "theirs.npz").items():
        assert np.mean(ours[name] == expected) >= 0.999, name


# ---- Who wins -----------------------------------------------------------------------------------

WHICH = """
import sys, warnings
warnings.simplefilter("always")
{before}
import crfrnn.pydensecrf
print(crfrnn.pydensecrf.install({replace}), crfrnn.pydensecrf.install({replace}))
from pydensecrf import densecrf
import pydensecrf.utils as utils
print(densecrf.__name__, utils.__name__)
"""
HIDDEN = """
class Hide:
    def find_spec(name, path=None, target=None):
        if name == "pydensecrf":
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Hide)
"""


def other(folder, densecrf="", utils=""):
    """Another package of this name, first on the path."""
    package = folder / "pydensecrf"
    package.mkdir()
    for name, text in {"__init__": "", "densecrf": densecrf, "utils": utils}.items():
        (package / f"{name}.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}


OURS = "True True\ncrfrnn.pydensecrf.densecrf crfrnn.pydensecrf.utils\n"


def test_where_there_is_none():
    done = run("-c", WHICH.format(before=HIDDEN, replace=""))
    assert (done.stdout, done.stderr) == (OURS, "")


def test_a_real_one_stays_and_that_is_said(tmp_path):
    done = run("-c", WHICH.format(before="", replace=""), **other(tmp_path))
    assert done.stdout == "False False\npydensecrf.densecrf pydensecrf.utils\n", done.stderr
    assert f"pydensecrf is installed ({tmp_path}" in done.stderr
    assert "install(replace=True)" in done.stderr


@pytest.mark.parametrize("before", ["", "import pydensecrf.densecrf, pydensecrf.utils"])
def test_a_real_one_gives_way_when_told(tmp_path, before):
    program = WHICH.format(before=before, replace="replace=True")
    done = run("-c", program, **other(tmp_path))
    assert (done.stdout, done.stderr) == (OURS, "")


@pytest.mark.parametrize("broken", ["import no_such_part", "raise ValueError('numpy.dtype size')"])
def test_one_that_cannot_be_imported_gives_way_and_that_is_said(tmp_path, broken):
    done = run("-c", WHICH.format(before="", replace=""), **other(tmp_path, densecrf=broken))
    assert done.stdout == OURS, done.stderr
    assert "cannot be imported (" in done.stderr


# ---- python -m crfrnn.pydensecrf ----------------------------------------------------------------

SCRIPT = """
import multiprocessing
import sys

import beside
import pydensecrf.densecrf as dcrf
from pydensecrf.utils import unary_from_softmax


def module(_):
    return dcrf.DenseCRF.__module__, unary_from_softmax.__module__


if __name__ == "__main__":
    print(sys.argv)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map_async(module, [0]).get(timeout=100))
    sys.exit(7)
"""


def test_a_script_and_the_processes_it_starts(tmp_path):
    (tmp_path / "beside.py").touch()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = run("-m", "crfrnn.pydensecrf", "--replace", script, "--replace", "-x", "a b")
    modules = "('crfrnn.pydensecrf.densecrf', 'crfrnn.pydensecrf.utils')"
    expected = f"{[str(script), '--replace', '-x', 'a b']}\n[{modules}]\n"
    assert (done.stdout, done.returncode) == (expected, 7), done.stderr


def test_a_module(tmp_path):
    (tmp_path / "program.py").write_text("import pydensecrf.eigen, sys\nprint(sys.argv[1:])")
    path = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = run("-m", "crfrnn.pydensecrf", "--replace", "-m", "program", "-m", "1", **path)
    assert done.stdout == "['-m', '1']\n", done.stderr


@pytest.mark.parametrize("arguments", [[], ["--replace"], ["-m"], ["--help"], ["-x", "a.py"]])
def test_without_a_program_it_says_how(arguments):
    done = run("-m", "crfrnn.pydensecrf", *arguments)
    assert done.returncode == 1 and "python -m crfrnn.pydensecrf [--replace] SCRIPT.py" in (
        done.stderr
    )


def test_the_folder_for_other_processes_is_in_the_package():
    assert importlib.util.find_spec("crfrnn.pydensecrf.elsewhere.pydensecrf")
