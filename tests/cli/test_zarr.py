"""`crfrnn refine` on Zarr and OME-Zarr: the labels of memory, resumption, metadata, refusals."""

import importlib
import itertools
import shutil
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock

from crfrnn import probs_from_logits, refine
from crfrnn.cli.commands import crfrnn
from crfrnn.offline.upsampling import upsample
from tests.cli.stores import GRID, IMAGE, POINTS, PROBS, ome, plain
from tests.conftest import ROOT

zarr = pytest.importorskip("zarr")
pytest.importorskip("dask")

CRF = dict(theta_alpha=4.0, theta_beta=30.0, theta_gamma=1.0, bilateral_weight=3.0)
CRF |= dict(spatial_weight=1.0)
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in CRF.items()]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """So that this image has some."""
    # The package has a function of that name as well.
    monkeypatch.setattr(importlib.import_module("crfrnn.large.plan"), "POINTS", POINTS)


def run(*arguments, fails=False):
    result = CliRunner().invoke(crfrnn, ["refine", *map(str, arguments)])
    assert (result.exit_code != 0) == fails, result.output
    return result.output


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("version", [2, 3])
def test_labels_and_probabilities_are_those_of_memory(tmp_path, version):
    image, probs = plain(tmp_path, version)
    expected = refine(IMAGE, PROBS, **CRF)
    said = run(image, probs, "-o", tmp_path / "labels.zarr", *OPTIONS)
    assert "tiles of 75x" in said and "minutes" in said
    # No terminal: lines, and no bar.
    assert all(f"refine: {tile} of 4\n" in said for tile in (1, 2, 3, 4)) and "\r" not in said
    labels = zarr.open_array(tmp_path / "labels.zarr", mode="r")
    assert labels.dtype == "uint8" and labels.chunks[0] == 75
    assert labels.metadata.zarr_format == version
    np.testing.assert_array_equal(labels[:], expected.argmax(-1))
    run(image, probs, "-o", tmp_path / "q.zarr", *OPTIONS, "--zarr-output", "probabilities")
    np.testing.assert_allclose(zarr.open_array(tmp_path / "q.zarr")[:], expected, atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["image.zarr", "probs.zarr", "labels.zarr", "q.zarr"]
    )


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr_s_metadata_are_used_and_written(tmp_path, version):
    image, probs = ome(tmp_path, version)
    labels = tmp_path / "labels.ome.zarr"
    run(image, probs, "-o", labels, *OPTIONS, "--levels", 3)
    expected = refine(IMAGE, PROBS, **CRF, spacing=(0.5, 1.0)).argmax(-1)
    assert (expected != refine(IMAGE, PROBS, **CRF).argmax(-1)).any()
    group = zarr.open_group(labels, mode="r")
    for level in range(3):
        step = 2**level
        np.testing.assert_array_equal(group[str(level)][:], expected[::step, ::step])
    attributes = group.attrs.asdict()
    attributes = attributes if version == 2 else attributes["ome"]
    assert "image-label" in attributes
    (multiscale,) = attributes["multiscales"]
    assert multiscale["axes"] == [
        {"name": n, "type": "space", "unit": "micrometer"} for n in ("y", "x")
    ]
    scales = [d["coordinateTransformations"][0]["scale"] for d in multiscale["datasets"]]
    assert scales == [[0.5, 1.0], [1.0, 2.0], [2.0, 4.0]]
    # Probabilities go in again as they have come out.
    run(image, probs, "-o", tmp_path / "q.zarr", *OPTIONS, "--zarr-output", "probabilities")
    none = ["--bilateral-weight=0", "--spatial-weight=0"]
    run(image, tmp_path / "q.zarr", "-o", tmp_path / "again.zarr", *OPTIONS, *none)
    again = zarr.open_group(tmp_path / "again.zarr", mode="r")["0"][:]
    np.testing.assert_array_equal(again, expected)


# Dies as by kill -9 when the third tile is written, but not noted yet.
KILLED = """
import importlib, os, signal, sys
import zarr
plan = importlib.import_module("crfrnn.large.plan")
plan.POINTS = int(sys.argv.pop(1))
from pathlib import Path
touch, noted = Path.touch, []
def touch_or_die(path, *arguments):
    noted.append(path)
    if len(noted) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    touch(path, *arguments)
Path.touch = touch_or_die
from crfrnn.cli import main
main()
"""


def test_killed_and_resumed_it_gives_the_same_bytes(tmp_path):
    image, probs = plain(tmp_path)
    output = tmp_path / "killed.zarr"
    arguments = ["refine", str(image), str(probs), "-o", str(output), *OPTIONS, "--jobs", "1"]
    command = [sys.executable, "-c", KILLED, str(POINTS), *arguments]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    record = tmp_path / ".killed.zarr.unfinished"
    noted = sorted(p.name for p in (record / "written").iterdir())
    assert len(noted) == 2
    # What is there and not noted may be half of a chunk.
    assert not output.exists()
    begun = zarr.open_array(record / output.name, mode="r+")
    for i, j in itertools.product(range(2), range(2)):
        if f"{i}.{j}" not in noted:
            begun[75 * i : 75 * i + 75, 55 * j : 55 * j + 55] = 99
    other = run(image, probs, "-o", output, *OPTIONS, "--theta-beta=31", fails=True)
    assert "begun with other inputs or parameters" in other
    # What is noted is not made again.
    kept = files_of(record / output.name)
    said = run(image, probs, "-o", output, *OPTIONS)
    assert "Complete already: 2 of 4 tiles" in said
    assert not record.exists()
    run(image, probs, "-o", tmp_path / "whole.zarr", *OPTIONS)
    assert files_of(output) == files_of(tmp_path / "whole.zarr") != kept
    assert "exists" in run(image, probs, "-o", output, *OPTIONS, fails=True)


def test_a_preview_is_a_part_of_it(tmp_path):
    image, probs = plain(tmp_path)
    part = tmp_path / "part.npy"
    run(image, probs, "-o", part, *OPTIONS, "--preview", "60:95,40:70")
    expected = refine(IMAGE, PROBS, **CRF)[60:95, 40:70]
    np.testing.assert_allclose(np.load(part), expected, atol=1e-5)
    for wrong in ("60:95", "60:95,40:200", "9:3,0:5", "a:b,0:5"):
        said = run(image, probs, "-o", tmp_path / "x.png", *OPTIONS, "--preview", wrong, fails=True)
        assert "Expected a --preview such as 0:150,0:110" in said


def test_logits_at_a_stride(tmp_path):
    image, _ = plain(tmp_path)
    logits = np.log(PROBS[::5, ::2])
    target = zarr.create_array(tmp_path / "logits.zarr", shape=logits.shape, dtype="float32")
    target[:] = logits
    arguments = [image, tmp_path / "logits.zarr", "-o", tmp_path / "labels.zarr", *OPTIONS]
    assert "with --upsample" in run(*arguments, "--logits", fails=True)
    run(*arguments, "--logits", "--upsample")
    probs = probs_from_logits(upsample(logits, GRID))
    expected = refine(IMAGE, probs, **CRF).argmax(-1)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "labels.zarr")[:], expected)


def test_what_is_wrong_is_refused(tmp_path, monkeypatch):
    image, probs = plain(tmp_path)
    np.save(tmp_path / "probs.npy", PROBS)
    output = tmp_path / "labels.zarr"
    assert "expected Zarr" in run(image, tmp_path / "probs.npy", "-o", output, fails=True)
    cut = zarr.create_array(tmp_path / "cut.zarr", shape=(149, 110, 3), dtype="float32")
    cut[:] = PROBS[1:]
    said = run(image, tmp_path / "cut.zarr", "-o", output, *OPTIONS, fails=True)
    assert "(150, 110, 3) and probabilities of shape (149, 110, 3)" in " ".join(said.split())
    assert "sum to 1" in run(image, image, "-o", output, *OPTIONS, fails=True)
    said = run(image, probs, "-o", output, "--palette", "--layout=last", fails=True)
    assert "--layout, --palette: not for Zarr" in said
    assert "is an input" in run(image, probs, "-o", image, *OPTIONS, fails=True)
    assert "expected one of .zarr" in run(image, probs, "-o", "x.png", *OPTIONS, fails=True)
    group = zarr.open_group(tmp_path / "group.zarr", mode="w")
    group.create_array("raw", shape=(3, 4), dtype="uint8")
    said = run(tmp_path / "group.zarr", probs, "-o", output, fails=True)
    assert "Received a group of raw" in said
    assert "are of OME-Zarr" in run(image, probs, "-o", output, *OPTIONS, "--levels=2", fails=True)
    cv2.imwrite(str(tmp_path / "image.png"), IMAGE)
    picture = [tmp_path / "image.png", tmp_path / "probs.npy", "-o", tmp_path / "labels.png"]
    said = run(*picture, *OPTIONS, "--zarr-output", "probabilities", fails=True)
    assert "are for Zarr images" in " ".join(said.split())
    picture[1] = probs
    assert "both to Zarr, or neither" in " ".join(run(*picture, *OPTIONS, fails=True).split())
    monkeypatch.setattr(zarr, "__version__", "2.18.3")
    assert "Zarr files need zarr 3" in run(image, probs, "-o", output, *OPTIONS, fails=True)
    assert not output.exists()


def test_inputs_are_spared(tmp_path):
    """--overwrite would have deleted the group that they are in."""
    store = tmp_path / "store.zarr"
    zarr.open_group(store, mode="w")
    image, probs = plain(store)
    before = files_of(store)
    for output, said in ((store, "holds the input"), (image / "x.zarr", "lies in the input")):
        text = run(image, probs, "-o", output, *OPTIONS, "--overwrite", fails=True)
        assert said in " ".join(text.split())
    assert files_of(store) == before


def test_a_run_that_fails_leaves_the_old_result(tmp_path, monkeypatch):
    # What is wrong is met only in the tiles.
    monkeypatch.setattr("crfrnn.cli.sampling._SAMPLE", 400)
    image, probs = plain(tmp_path)
    output, record = tmp_path / "labels.zarr", tmp_path / ".labels.zarr.unfinished"
    arguments = [image, probs, "-o", output, *OPTIONS]
    run(*arguments)
    before = files_of(output)
    array = zarr.open_array(probs, mode="r+")
    array[:5, :5] = 0.9
    assert "sum to 1" in run(*arguments, "--overwrite", fails=True)
    assert files_of(output) == before
    # Inputs that have changed since are other ones, wherever they are.
    shutil.rmtree(output)
    array[:] = PROBS[:, :, ::-1]
    assert "begun with other inputs" in run(*arguments, fails=True)
    # Of the same ones, what is noted counts only with the array that it is about.
    array[:5, :5] = 0.9
    run(*arguments, "--overwrite", fails=True)
    for name in itertools.product("01", "01"):
        (record / "written" / ".".join(name)).touch()
    shutil.rmtree(record / output.name)
    assert "sum to 1" in run(*arguments, "--overwrite", fails=True)
    # One at a time.
    array[:5, :5] = PROBS[:5, -1:-6:-1]
    with FileLock(record / "lock"):
        said = run(*arguments, "--overwrite", fails=True)
    assert "Another command is at work on" in said
    # Another old result lies where one killed at its very end has left it.
    for folder in (output, record / "replaced"):
        shutil.copytree(image, folder)
    run(*arguments, "--overwrite")
    assert not record.exists()
    expected = refine(IMAGE, np.array(array), **CRF).argmax(-1)
    np.testing.assert_array_equal(zarr.open_array(output)[:], expected)


def test_labels_first_of_fewer_points(tmp_path):
    """(2, 50, 50) is not 50 labels of 2 x 50 points; (50, 50, 50) may be this or that."""
    picture, few = IMAGE[:100, :100], PROBS[:100:2, :100:2, 0]
    few = np.stack([few, 1 - few])
    paths = [tmp_path / f"{name}.zarr" for name in ("image", "few", "square")]
    for path, values in zip(paths, (picture, few, np.ones((50, 50, 50), "f4")), strict=True):
        zarr.create_array(path, data=values)
    image, probs, square = paths
    run(image, probs, "-o", tmp_path / "labels.zarr", *OPTIONS, "--upsample")
    expected = refine(picture, upsample(np.moveaxis(few, 0, -1), (100, 100)), **CRF).argmax(-1)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "labels.zarr")[:], expected)
    said = run(image, square, "-o", tmp_path / "x.zarr", *OPTIONS, "--upsample", fails=True)
    assert "may have the labels first or last" in " ".join(said.split())


@pytest.mark.nightly  # a cluster takes ten seconds to start
def test_a_cluster_writes_the_same_bytes(tmp_path):
    distributed = pytest.importorskip("distributed")
    image, probs = plain(tmp_path)
    run(image, probs, "-o", tmp_path / "here.zarr", *OPTIONS)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        there = ["--cluster", cluster.scheduler_address]
        run(image, probs, "-o", tmp_path / "there.zarr", *OPTIONS, *there)
    assert files_of(tmp_path / "there.zarr") == files_of(tmp_path / "here.zarr")
