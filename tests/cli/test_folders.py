"""Which files belong together, what is written where, and two commands in one folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from crfrnn.cli import batch, pairing
from tests.cli.scenes import CRF, OPTIONS, SHAPE, folder, picture, read, results, run, scene


def test_files_without_partner_are_one_line_and_no_failure(tmp_path):
    arguments, _ = folder(tmp_path, 2)
    for number in range(30):
        picture(tmp_path / f"images/lonely{number:02d}.png", np.zeros(SHAPE, np.uint8))
    text = run(*arguments, *OPTIONS, "--jobs=1")
    line = "Left out: lonely00, lonely01, lonely02 and 27 others: there are no probabilities"
    assert [part for part in text.splitlines() if "lonely" in part] == [line]
    assert "2 refined, 0 complete already, 0 failed" in text


def test_names_that_differ(tmp_path):
    arguments, expected = folder(tmp_path, 2)
    for number in range(2):
        for kind, old, new in (
            ("images", ".png", "_leftImg8bit.png"),
            ("probs", ".npy", "_probs.npy"),
            ("labels", ".png", "_gt(1).png"),
        ):
            path = tmp_path / kind / f"case{number}"
            os.rename(f"{path}{old}", f"{path}{new}")
    (tmp_path / "probs/notes_probs.txt").write_text("")
    named = ["--image-name={case}_leftImg8bit", "--probs-name={case}_probs"]
    assert "2 refined" in run(*arguments, *OPTIONS, *named, "--jobs=1")
    assert results(tmp_path / "out") == sorted(expected)
    names = pairing.Names(image="{case}_leftImg8bit", probs="{case}_probs", labels="{case}_gt(1)")
    found = pairing.find(*(tmp_path / kind for kind in ("images", "probs", "labels")), names=names)
    assert [case.name for case in found.cases] == ["case0", "case1"]
    assert found.cases[0].labels == tmp_path / "labels/case0_gt(1).png"
    for wrong in ("probs", "{case}{case}", "{case}_{label}_{label}"):
        text = run(*arguments, *OPTIONS, f"--probs-name={wrong}", status=1)
        assert "{case} once" in text and wrong in text
    text = run(*arguments, *OPTIONS, "--image-name={case}_{label}", status=1)
    assert "--probs-name only" in text


def test_absolute_patterns(tmp_path):
    arguments, _ = folder(tmp_path, 3)
    inside = tmp_path / "images" / "case[01].png"
    assert "2 refined" in run(*arguments, *OPTIONS, "--glob", inside, "--jobs=1")
    for wrong in (tmp_path / "elsewhere/*.png", "", "../images/*"):
        text = run(*arguments, *OPTIONS, "--glob", wrong, status=1)
        assert "Expected a pattern of names in" in text and "Traceback" not in text


def test_masks_of_a_folder_are_paired(tmp_path):
    folder(tmp_path, 2)
    picture(tmp_path / "masks/case1.png", np.ones(SHAPE, np.uint8))
    found = pairing.find(tmp_path / "images", tmp_path / "probs", None, tmp_path / "masks")
    assert [case.mask for case in found.cases] == [tmp_path / "masks/case1.png"]
    assert found.unpaired == {"there is no mask": ["case0"]}


@pytest.mark.parametrize("wrong", [254, -1, 1.5])
def test_errors_about_labels_show_the_wrong_value(tmp_path, wrong):
    pytest.importorskip("optuna")
    image, probs, _ = scene(labels=12)
    labels = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 12 + np.zeros(SHAPE)
    labels[-1, -1] = wrong
    i, p, t = (tmp_path / f"{name}.npy" for name in "ipt")
    for path, array in ((i, image), (p, probs), (t, labels)):
        np.save(path, array)
    text = run("search", i, p, t, "-o", tmp_path / "b.json", "--trials=2", status=1)
    assert str(t) in text and f"{wrong}" in text.split("Received")[1]


def test_labels_that_resampling_has_moved(tmp_path):
    pytest.importorskip("optuna")
    image, probs, truth = scene(labels=2)
    i, p, t = (tmp_path / f"{name}.npy" for name in "ipt")
    np.save(i, image), np.save(p, probs)
    for labels in (truth * np.float32(1.0000152), np.full(SHAPE, 255, np.uint8), truth[..., None]):
        np.save(t, labels)
        run("search", i, p, t, "-o", tmp_path / "b.json", "--trials=2", "--overwrite")


def test_no_output_is_an_input_or_another_output(tmp_path):
    pytest.importorskip("optuna")
    pytest.importorskip("matplotlib")
    image, probs, truth = scene()
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npy"
    t, m = picture(tmp_path / "t.png", truth), picture(tmp_path / "m.png", truth)
    np.save(p, probs)
    j = tmp_path / "crf.json"
    j.write_text(json.dumps(CRF))
    before = {path: path.read_bytes() for path in (i, p, t, m, j)}
    for arguments in (
        ["diagnose", i, p, "--labels", t, "-o", t],
        ["diagnose", i, p, "--parameters", j, "-o", j],
        ["refine", i, p, "--parameters", j, "-o", j],
        ["refine", i, p, "--mask", m, "-o", m],
        ["search", i, p, t, "-o", t],
        ["search", i, p, t, "-o", tmp_path / "b.json", "--plot", p],
    ):
        assert "is an input" in run(*arguments, "--overwrite", status=1)
    same = ["-o", tmp_path / "b.png", "--plot", tmp_path / "./b.png"]
    assert "is given twice" in run("search", i, p, t, *same, "--overwrite", status=1)
    assert before == {path: path.read_bytes() for path in before}


def test_a_link_to_nothing_is_not_replaced_unasked(tmp_path):
    image, probs, _ = scene()
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "o.png"
    np.save(p, probs)
    o.symlink_to(tmp_path / "nowhere.png")
    assert "Add --overwrite" in run("refine", i, p, "-o", o, *OPTIONS, status=1)
    assert o.is_symlink()
    text = run("refine", tmp_path, tmp_path, "-o", o, "--glob=*.png", *OPTIONS, status=1)
    assert "is a file" in text
    arguments, _ = folder(tmp_path / "many", 1)
    link = tmp_path / "many/out/case0.png"
    link.parent.mkdir()
    link.symlink_to("nowhere.png")
    assert "holds 1 results (case0.png)" in run(*arguments, *OPTIONS, status=1)
    assert link.is_symlink()


def test_two_commands_in_one_folder(tmp_path):
    arguments, expected = folder(tmp_path, 2)
    with batch.alone(tmp_path / "out"):
        text = run(*arguments, *OPTIONS, "--jobs=1", status=1)
        assert "Another command is at work in" in text and "Wait" in text
        assert results(tmp_path / "out") == [".unfinished"]
    run(*arguments, *OPTIONS, "--jobs=1")
    assert results(tmp_path / "out") == sorted(expected)


def many(tmp_path, count):
    """A folder with as many cases, by links."""
    arguments, _ = folder(tmp_path, 1)
    for number in range(1, count):
        for kind, ending in (("images", "png"), ("probs", "npy")):
            os.link(tmp_path / f"{kind}/case0.{ending}", tmp_path / f"{kind}/case{number}.{ending}")
    return [sys.executable, "-m", "crfrnn", *map(str, arguments), *OPTIONS]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_a_killed_parent(tmp_path, number):
    command = [*many(tmp_path, 400), "--jobs=2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300  # for a machine with other work
    while time.monotonic() < deadline and not (tmp_path / "out" / batch.RECORD).exists():
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    process.wait(60)
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=60)  # 400 cases would take them longer
    assert not alive
    # What it has left behind is no hindrance, and goes.
    shutil.rmtree(tmp_path / "images"), shutil.rmtree(tmp_path / "probs")
    arguments, _ = folder(tmp_path, 1)
    run(*arguments, *OPTIONS, "--jobs=1", "--overwrite")
    assert not (tmp_path / "out/.unfinished").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="hard links")
def test_two_commands_started_together(tmp_path):
    """One does all, the other says why it does nothing; nothing is lost."""
    command = [*many(tmp_path, 12), "--jobs=1"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    texts = [process.communicate(timeout=300)[0] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 1], [0, 0]), texts  # 0, 0: one had ended before the other began
    assert len(results(tmp_path / "out")) == 12
    if codes == [0, 1]:
        assert any("Another command is at work" in text for text in texts)


def test_records_of_earlier_versions_are_taken_up(tmp_path):
    """Settings that they did not know make no result stale."""
    arguments, _ = folder(tmp_path, 2)
    run(*arguments, *OPTIONS, "--jobs=1")
    record = tmp_path / "out" / batch.RECORD
    entries = [json.loads(line) for line in record.read_text().splitlines()]
    known = {"parameters", "spacing", "slice_axis", "rescale", "layout"}
    assert all(set(entry["settings"]) == known for entry in entries)
    assert "0 refined, 2 complete already" in run(*arguments, *OPTIONS)
    assert "holds 2 results" in run(*arguments, *OPTIONS, "--logits", status=1)


def test_too_little_memory_gets_a_reason(tmp_path, monkeypatch):
    arguments, _ = folder(tmp_path, 1)

    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr("crfrnn.cli.refining.refine_upsampled", no_memory)
    assert "There is not enough memory" in run(*arguments, *OPTIONS, "--jobs=1", status=1)
    single = ["refine", tmp_path / "images/case0.png", tmp_path / "probs/case0.npy"]
    text = run(*single, "-o", tmp_path / "o.png", *OPTIONS, status=1)
    assert "There is not enough memory" in text


def test_warnings_are_ours(tmp_path):
    """Images of different scales: in words, without the line of code that said so."""
    pytest.importorskip("optuna")
    folder(tmp_path, 2)
    deep = read(tmp_path / "images/case1.png").astype(np.uint16) * 200
    picture(tmp_path / "images/case1.png", deep)
    images, probs, labels = (tmp_path / name for name in ("images", "probs", "labels"))
    how = ["-o", tmp_path / "b.json", "--trials=2"]
    text = run("search", images, probs, labels, *how)
    assert "Warning: The images are of different intensity scales" in text
    assert "add --rescale" in text and ".py" not in text and "first_guess(" not in text


@pytest.mark.parametrize("ending", [".npy", ".npz", ".png", ".tif"])
def test_a_full_disk_is_named_with_the_file(tmp_path, ending):
    resource = pytest.importorskip("resource")  # not on Windows
    image, probs, _ = scene((90, 80))
    i, p, o = tmp_path / "images/a.npy", tmp_path / "probs/a.npy", tmp_path / f"a{ending}"
    for path, array in ((i, image), (p, probs)):
        path.parent.mkdir()
        np.save(path, array)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        alone = run("refine", i, p, "-o", o, *OPTIONS, status=1)
        many = ["refine", i.parent, p.parent, "-o", tmp_path / "out", f"--suffix={ending}"]
        folder = run(*many, *OPTIONS, status=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"cannot write {o}: " in alone
    assert f"Failed: a: cannot write {tmp_path / 'out' / o.name}: " in folder
    assert not o.exists() and not list((tmp_path / "out").iterdir())
    run(*many, *OPTIONS)


def test_a_record_that_no_room_is_left_for_is_named(tmp_path):
    resource = pytest.importorskip("resource")  # not on Windows
    arguments, _ = folder(tmp_path, 2, shape=(4, 5))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))  # enough for such a picture
    try:
        text = run(*arguments, *OPTIONS, "--jobs=1", status=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"cannot write {tmp_path / 'out' / batch.RECORD}: " in text
    assert not results(tmp_path / "out")
    assert "2 refined, 0 complete already, 0 failed" in run(*arguments, *OPTIONS)


def test_names_of_several_lines(tmp_path):
    arguments, expected = folder(tmp_path, 1)
    for name in ("images/case0.png", "probs/case0.npy"):
        path = tmp_path / name
        path.rename(path.with_stem("a\nb"))
    assert "1 refined" in run(*arguments, *OPTIONS)
    np.testing.assert_array_equal(read(tmp_path / "out" / "a\nb.png"), expected["case0.png"])
