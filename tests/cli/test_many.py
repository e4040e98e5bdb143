"""Many cases from Python: order, errors, what is there already, and workers."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("filelock")

import crfrnn
from crfrnn import refine
from crfrnn.cli import batch, workers
from tests.cli.scenes import CRF, SHAPE, picture, read, scene


def made(root, count=4):
    """Pairs of files, in an order that is not that of their names, and what is expected."""
    pairs, expected = [], []
    for number in reversed(range(count)):
        image, probs, _ = scene(seed=number)
        np.save(root / f"p{number}.npy", probs)
        pairs.append((picture(root / f"case{number}.png", image), root / f"p{number}.npy"))
        expected.append(refine(image, probs, **CRF).argmax(-1))
    return pairs, expected


@pytest.mark.parametrize("jobs", [None, 1, 2])
def test_results_come_in_the_order_of_the_cases(tmp_path, jobs):
    pairs, expected = made(tmp_path)
    found = crfrnn.refine_many(pairs, tmp_path / "out", jobs=jobs, progress=False, **CRF)
    assert [result.name for result in found] == ["case3", "case2", "case1", "case0"]
    for result, labels in zip(found, expected, strict=True):
        np.testing.assert_array_equal(read(result.output), labels)
        assert result.error is None and 0 < result.outcome.changed < 1


def test_errors_are_those_of_their_cases(tmp_path):
    pairs, expected = made(tmp_path, 5)
    pairs[1][1].write_bytes(b"no array")
    pairs[2][0].unlink()
    pairs[3][1].unlink()
    with pytest.warns(UserWarning, match=r"3 of 5 cases failed; the first, case3: .*no NumPy file"):
        found = crfrnn.refine_many(pairs, tmp_path / "out", jobs=1, **CRF)
    assert [result.error is None for result in found] == [True, False, False, False, True]
    for result, pair in zip(found[1:4], (pairs[1][1], pairs[2][0], pairs[3][1]), strict=True):
        assert str(pair) in result.error and not result.output.exists()
    np.testing.assert_array_equal(read(found[4].output), expected[4])
    # The same call again, when they are mended, does these.
    pairs, expected = made(tmp_path, 5)
    again = crfrnn.refine_many(pairs, tmp_path / "out", jobs=1, **CRF, overwrite=True)
    assert [result.outcome is None for result in again if result.name == "case0"] == [False]
    for result, labels in zip(again, expected, strict=True):
        np.testing.assert_array_equal(read(result.output), labels)


def test_a_name_that_no_folder_takes_fails_alone(tmp_path):
    pairs, expected = made(tmp_path, 2)
    named = {"a": pairs[0], 300 * "b": pairs[0], "c": pairs[1]}
    with pytest.warns(UserWarning, match="1 of 3 cases failed"):
        found = crfrnn.refine_many(named, tmp_path / "out", jobs=1, **CRF)
    assert "too long" in found[1].error
    for result, labels in zip(found[::2], expected, strict=True):
        np.testing.assert_array_equal(read(result.output), labels)


def test_what_is_complete_is_not_done_again(tmp_path):
    pairs, _ = made(tmp_path, 3)
    crfrnn.refine_many(pairs, tmp_path / "out", jobs=1, **CRF)
    (tmp_path / "out/case1.png").unlink()
    found = crfrnn.refine_many(pairs, tmp_path / "out", jobs=1, **CRF)
    assert [result.outcome is None for result in found] == [True, False, True]
    with pytest.raises(ValueError, match="holds 3 results"):
        crfrnn.refine_many(pairs, tmp_path / "out", jobs=1, **CRF, confidence=0.9)
    # Arrays are kept by the record as lists.
    weights = {**CRF, "bilateral_weight": np.array([1.0, 2.0, 3.0])}
    for expected in (False, True):
        found = crfrnn.refine_many(pairs[:1], tmp_path / "other", **weights)
        assert (found[0].outcome is None) == expected


def test_options_are_those_of_the_command(tmp_path):
    image, _, _ = scene((40, 54), channels=3)
    _, probs, _ = scene((5, 7))
    crfrnn.pack(tmp_path / "p.npz", probs)
    picture(tmp_path / "i.png", image)
    pair = {"name": (tmp_path / "i.png", tmp_path / "p.npz")}
    weak = dict(bilateral_weight=0.5)
    how = dict(upsample=True, agree_with=weak, confidence=0.6, palette=True)
    (found,) = crfrnn.refine_many(pair, tmp_path / "out", **how, **CRF, ignore_below=1e-3)
    upsampled = crfrnn.unpack(tmp_path / "p.npz", (40, 54))
    strong = refine(image, upsampled, **CRF)
    other = refine(image, upsampled, **{**CRF, **weak}).argmax(-1)
    expected = np.where(strong.max(-1) < 0.6, 255, strong.argmax(-1))
    expected[strong.argmax(-1) != other] = 255
    assert found.output.name == "name.png"
    np.testing.assert_array_equal(read(found.output), expected)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (dict(theta_bta=3), TypeError, r"arguments of refine: theta_alpha, .*Received theta_bta"),
        (dict(mask=3), TypeError, "Received mask"),
        (dict(agree_with=dict(theta=3)), TypeError, "Received theta"),
        (dict(theta_beta=0), ValueError, "`theta_beta` to be positive"),
        (dict(jobs=0), ValueError, "`jobs` to be a whole number, 1 or more"),
        (dict(layout="labels"), ValueError, "`layout` to be one of 'auto'"),
        (dict(suffix=".doc"), ValueError, "expected one of"),
        (dict(suffix="npy"), ValueError, r"suffix of results: expected .*\.npy.*'npy'"),
        (dict(suffix="_refined.npy"), ValueError, "Received '_refined.npy'"),
        (dict(suffix=".jpg"), ValueError, r"\*\.jpg: label maps are written as \.png"),
        (dict(suffix=".png", packed=True), ValueError, r"expected a \.npz with `packed`"),
        (dict(suffix=".npy", confidence=0.9), ValueError, "only label maps have 255"),
        (dict(suffix=".tif", palette=True), ValueError, r"expected a \.png with `palette`"),
        (dict(cases=[np.zeros((3, 4))]), ValueError, r"pairs of paths.*crfrnn\.refine"),
        (dict(cases=[("a/i.png", "p.npy"), ("b/i.jpg", "q.npy")]), ValueError, "both 'i'"),
        (dict(cases=["a.png"]), ValueError, "pairs of paths"),
        (dict(cases={"../b": ("i.png", "p.npy")}), ValueError, r"stay in the folder.*'\.\./b'"),
        (dict(cases={"/b": ("i.png", "p.npy")}), ValueError, "stay in the folder.*'/b'"),
        (dict(cases={".unfinished/b": ("i.png", "p.npy")}), ValueError, "stay in the folder"),
        (dict(cases={"": ("i.png", "p.npy")}), ValueError, "stay in the folder"),
        (dict(cases={n: ("i.png", "p.npy") for n in (1, "1")}), ValueError, "both '1'"),
        (dict(cases={n: ("i.png", "p.npy") for n in ("a", "./a")}), ValueError, "both 'a'"),
        (dict(confidence=90), ValueError, "`confidence` to be a number, 0 or more, at most 1"),
        (dict(labels_as_probs=0), ValueError, "`labels_as_probs` to be a positive number, at most"),
        (dict(slice_axis=3), ValueError, r"`slice_axis` to be a whole number 0\.\.2"),
        (dict(spacing=(1, 0)), ValueError, "`spacing` to be positive"),
        (dict(logits=True, labels_as_probs=0.9), ValueError, "Received both"),
    ],
)
def test_bad_arguments(tmp_path, change, error, message):
    call = {"cases": [("i.png", "p.npy")], **CRF, **change}
    with pytest.raises(error, match=f"(?s){message}"):
        crfrnn.refine_many(output=tmp_path / "out", **call)


def test_an_output_that_is_a_file(tmp_path):
    output = tmp_path / "out"
    output.write_text("mine")
    with pytest.raises(ValueError, match=r"out is a file\. Give a folder"):
        crfrnn.refine_many([("i.png", "p.npy")], output, **CRF)
    assert output.read_text() == "mine"


def test_inputs_are_no_outputs(tmp_path):
    pairs, _ = made(tmp_path, 2)
    before = [pair[0].read_bytes() for pair in pairs]
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "link"):
        for overwrite in (False, True):
            with pytest.raises(ValueError, match=r"case1\.png is an input\. Choose another folder"):
                crfrnn.refine_many(pairs, folder, overwrite=overwrite, **CRF)
    # Of another case, too.
    swapped = {pair[0].stem[:-1] + f"{n}": pair for n, pair in enumerate(pairs)}
    with pytest.raises(ValueError, match="is an input"):
        crfrnn.refine_many(swapped, tmp_path, overwrite=True, **CRF)
    assert [pair[0].read_bytes() for pair in pairs] == before
    found = crfrnn.refine_many(pairs, tmp_path, suffix=".tif", jobs=1, **CRF)
    assert [result.error for result in found] == [None, None]


def test_numbers_of_numpy_are_recorded_however_deep_they_are(tmp_path):
    pairs, _ = made(tmp_path, 1)
    one = np.float32(1)
    crf = {**CRF, "theta_alpha": (np.float32(6), 6), "bilateral_weight": (one, one * 2, 3)}
    how = dict(spacing=(one, one), confidence=np.float32(0.5))
    how["agree_with"] = {"theta_gamma": (one, one)}
    for complete in (False, True):
        (found,) = crfrnn.refine_many(pairs, tmp_path / "out", jobs=1, **how, **crf)
        assert found.error is None and (found.outcome is None) == complete


def test_probabilities_that_are_nan(tmp_path):
    pairs, _ = made(tmp_path, 1)
    probs = np.load(pairs[0][1])
    probs[:4] = np.nan
    np.save(pairs[0][1], probs)
    with pytest.warns(UserWarning, match="add `nan_outside`"):
        crfrnn.refine_many(pairs, tmp_path / "out", **CRF)
    (found,) = crfrnn.refine_many(pairs, tmp_path / "out", **CRF, nan_outside=True)
    assert found.error is None and not read(found.output)[:4].any()


def test_options_that_messages_name_are_arguments(tmp_path):
    image, probs, _ = scene((3, 18, 24), channels=3)
    np.save(tmp_path / "i.npy", image)
    np.save(tmp_path / "p.npy", probs)
    pair = tmp_path / "i.npy", tmp_path / "p.npy"
    (found,) = crfrnn.refine_many([pair], tmp_path / "out", suffix=".tif", **CRF)
    assert "add `slice_axis` 0" in found.outcome.warnings[0]
    with pytest.raises(ValueError, match="add `overwrite` to replace them"):
        crfrnn.refine_many([pair], tmp_path / "out", suffix=".tif", **CRF, slice_axis=0)


def test_a_script_needs_no_guard(tmp_path):
    """Started workers would run it again; so would one of them the other's, without end."""
    made(tmp_path, 3)
    script = tmp_path / "script.py"
    script.write_text(
        "import crfrnn\n"
        "print('script')\n"
        "pairs = [(f'case{n}.png', f'p{n}.npy') for n in range(3)]\n"
        f"found = crfrnn.refine_many(pairs, 'out', jobs=2, **{CRF})\n"
        "print([result.error for result in found])\n"
    )
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "script\n[None, None, None]\n", done.stderr
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_it_works_in_a_thread_and_leaves_the_process_as_it_was(tmp_path):
    pairs, _ = made(tmp_path, 2)
    before = dict(os.environ), sys.modules["__main__"]
    found = []

    def call():
        found.extend(crfrnn.refine_many(pairs, tmp_path / "out", jobs=2, **CRF))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert [result.error for result in found] == [None, None]
    assert before == (dict(os.environ), sys.modules["__main__"])


def test_little_work_stays_in_this_process(tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("workers were started")

    monkeypatch.setattr(workers, "beside", never)
    pairs, _ = made(tmp_path, 3)
    assert all(r.error is None for r in crfrnn.refine_many(pairs, tmp_path / "out", **CRF))


def test_workers_are_started_as_soon_as_they_pay(monkeypatch):
    clock = iter(np.arange(0, 100, 0.5))  # each item takes half a second
    monkeypatch.setattr(workers.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(workers, "beside", lambda work, items, n: ((i, "beside") for i in items))

    def where(count, processes=2):
        found = list(workers.as_many_as_pay(lambda item: "here", range(count), processes))
        assert [item for item, _ in found] == list(range(count))
        return [place for _, place in found].count("here")

    assert where(4) == 4  # of three that are left, one process saves half: 0.75 s
    assert where(6) == 1  # of five: 1.25 s
    assert where(50, processes=1) == 50


def test_the_format_of_the_results_is_that_of_the_images(tmp_path):
    assert crfrnn.refine_many([], tmp_path / "out") == []
    pairs, _ = made(tmp_path, 1)
    (found,) = crfrnn.refine_many(pairs, tmp_path / "packed", **CRF, packed=True)
    assert found.output.suffix == ".npz" and crfrnn.unpack(found.output).shape == (*SHAPE, 3)
    pair = picture(tmp_path / "i.tif", read(pairs[0][0])), pairs[0][1]
    (found,) = crfrnn.refine_many([pair], tmp_path / "tif", **CRF)
    assert found.output.name == "i.tif" and read(found.output).shape == SHAPE


def test_two_calls_in_one_folder(tmp_path):
    pairs, _ = made(tmp_path, 1)
    with batch.alone(tmp_path / "out"), pytest.raises(ValueError, match="Another command is at"):
        crfrnn.refine_many(pairs, tmp_path / "out", **CRF)


def test_missing_parameters_are_guessed_for_each_case(tmp_path):
    pairs, _ = made(tmp_path, 2)
    found = crfrnn.refine_many(pairs, tmp_path / "out", jobs=1, theta_beta=25.0)
    for result, (image, probs) in zip(found, pairs, strict=True):
        guess = {**crfrnn.first_guess(read(image), np.load(probs)), "theta_beta": 25.0}
        expected = refine(read(image), np.load(probs), **guess).argmax(-1)
        assert read(result.output).shape == SHAPE
        np.testing.assert_array_equal(read(result.output), expected)
