"""`crfrnn explore` before its page is there: what it reads, refuses and starts."""

from __future__ import annotations

import json
import threading
import types

import numpy as np
import pytest

import crfrnn
from crfrnn.cli import cases
from crfrnn.explorer import serve
from crfrnn.explorer.session import Session
from crfrnn.offline.intensities import normalise

pytestmark = pytest.mark.once
RNG = np.random.default_rng(7)
VOLUME = RNG.uniform(-300, 900, (5, 6, 7)).astype(np.float32)
PROBS = RNG.dirichlet(np.ones(2), VOLUME.shape).astype(np.float32)
CRF = dict(
    theta_alpha=6.0, theta_beta=0.5, theta_gamma=2.0, bilateral_weight=4.0, spatial_weight=2.0
)


@pytest.fixture
def explored(monkeypatch, tmp_path):
    """Runs the command in a folder; returns the session it would serve, or what it says."""
    testing = pytest.importorskip("click.testing", reason="the extra `cli` has it")
    from crfrnn.cli.commands import crfrnn as command

    served = []
    monkeypatch.setattr(serve, "serve", lambda session, *_, **__: served.append(session))
    monkeypatch.chdir(tmp_path)

    def run(*words):
        result = testing.CliRunner().invoke(command, ["explore", *words])
        return served.pop() if served else result.output

    return run


def test_an_image_without_probabilities_is_prepared_as_one_with_them(explored, tmp_path):
    nibabel = pytest.importorskip("nibabel", reason="the extra `cli` has it")
    nibabel.save(nibabel.Nifti1Image(VOLUME, np.diag([0.5, 2, 3, 1])), tmp_path / "scan.nii.gz")
    np.save(tmp_path / "probs.npy", PROBS)
    for files in (["scan.nii.gz"], ["scan.nii.gz", "probs.npy"]):
        session = explored(*files, "--rescale")
        assert np.array_equal(session.image, normalise(VOLUME[..., None]))
        assert session.spacing == (0.5, 2, 3)
        started, _ = session.answer("start", {})
        assert started["workflow"]["rescale"] is True
        assert "percentiles 0.5 and 99.5 of each channel" in started["python"]["note"]
    assert explored("scan.nii.gz", "--spacing", "1,2,4").spacing == (1, 2, 4)


def test_a_parameter_file_of_search_is_taken_and_saved_by(explored, tmp_path):
    np.save(tmp_path / "scan.npy", VOLUME / 1000)
    np.save(tmp_path / "probs.npy", PROBS)
    content = {"parameters": {**CRF, "ignore_below": 0.001}, "slice_axis": 1, "rescale": False}
    (tmp_path / "best.json").write_text(json.dumps(content))
    words = "scan.npy", "probs.npy", "--parameters", "best.json"
    session = explored(*words, "-o", "out.npy")
    assert (session.axis, session.parameters["ignore_below"]) == (1, 0.001)
    session.answer("save", {"parameters": session.parameters})
    saved = np.load(tmp_path / "out.npy")
    expected = crfrnn.refine(VOLUME[:, 3] / 1000, PROBS[:, 3], **CRF, ignore_below=0.001)
    assert np.array_equal(saved[:, 3], expected)
    assert explored(*words, "--slice-axis", "2").axis == 2
    assert explored("scan.npy", "--slice-axis", "2").axis == 2


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_array_whose_last_axis_is_short_is_a_picture(explored, tmp_path, channels):
    np.save(tmp_path / "photo.npy", VOLUME[..., :channels])
    with pytest.warns(UserWarning, match=rf"a picture of {channels} channels"):
        cases.without_probs(tmp_path / "photo.npy")
    session = explored("photo.npy")
    assert (session.axis, session.image.shape) == (None, (5, 6, channels))
    np.save(tmp_path / "scans.npy", np.stack([VOLUME, VOLUME], -1))
    assert explored("scans.npy").image.shape == (*VOLUME.shape, 2)
    nibabel = pytest.importorskip("nibabel", reason="the extra `cli` has it")
    nibabel.save(nibabel.Nifti1Image(VOLUME[..., :channels], np.eye(4)), tmp_path / "few.nii")
    assert explored("few.nii").image.shape == (5, 6, channels, 1)


def test_what_says_nothing_is_refused(explored, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(np.arange(30, dtype=np.uint8).reshape(5, 6)).save(tmp_path / "photo.png")
    for option in ("--logits", "--layout=first", "--labels-as-probs=0.9", "-oout.png"):
        said = explored("photo.png", option)
        name = option.split("=")[0] if option[1] == "-" else "--output"
        assert f"Expected PROBS with {name}." in said
    assert "Expected a volume for --slice-axis" in explored("photo.png", "--slice-axis", "0")
    assert "page has one slider" in explored("photo.png", "--theta-alpha", "3,4")


@pytest.mark.parametrize("system", ["posix", "nt"])
def test_a_browser_that_blocks_does_not_keep_the_page_from_being_served(monkeypatch, system):
    """And on Windows nobody else's port is shared."""
    import socket

    uvicorn = pytest.importorskip("uvicorn", reason="the extra `explorer` has it")
    pytest.importorskip("starlette", reason="the extra `explorer` has it")
    running, opened, seen, shared = threading.Event(), threading.Event(), [], []

    def browse(_):
        seen.append(running.wait(5))
        opened.set()

    def run(_, sockets):
        shared.append(sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
        running.set()
        assert opened.wait(60)

    monkeypatch.setattr(serve.webbrowser, "open", browse)
    monkeypatch.setattr(serve, "os", types.SimpleNamespace(name=system), raising=False)
    monkeypatch.setattr(uvicorn.Server, "run", run)
    serve.serve(Session(np.zeros((3, 4, 1))), "photo", say=lambda _: None)
    assert seen == [True]
    assert [bool(value) for value in shared] == [system == "posix"]
