"""All benchmarks run on tiny workloads and write complete JSON. Nothing is said about time."""

from __future__ import annotations

import json

import numpy as np
import pytest

import crfrnn
from tests.tolerances import FLOAT32

pytest.importorskip("skimage", reason="the benchmarks need the extra `bench`")
pytest.importorskip("psutil", reason="the benchmarks need the extra `bench`")
if not crfrnn.native_status()["available"]:
    pytest.skip("the benchmarks compare the native library", allow_module_level=True)

from benchmarks import contention, damping, filtering, mean_field, measure, pseudo_labels, workloads

TINY = ["--workloads", "C", "--scale", "0.2", "--repeats", "1"]


def test_mean_field(tmp_path):
    output = tmp_path / "result.json"
    mean_field.main(
        [*TINY, "--threads", "1", "--methods", "lattice-native", "--output", str(output)]
    )
    result = json.loads(output.read_text())
    assert result["versions"]["crfrnn"] == crfrnn.__version__
    (offline,), (layer,) = result["offline"], result["layer"]
    for part in (offline, layer):
        assert all(len(time["times_ms"]) == 1 for time in part["times"].values())
        assert part["load"]["cores_busy_with_others"] >= 0
        if measure.has_pydensecrf():
            assert part["max_difference_q"] < FLOAT32  # probabilities: the scale is 1
    assert set(layer["times"]) >= {"forward", "forward_backward"}
    assert {m["who"] for m in result["memory"]} >= {"refine", "forward", "forward_backward"}
    # Bars are for full workloads; theirs are checked on made-up times.
    assert result["bars"] == []


def test_filtering(tmp_path):
    output = tmp_path / "result.json"
    filtering.main([*TINY, "--threads", "1", "--output", str(output)])
    result = json.loads(output.read_text())
    assert set(result["kernels"]["C"]) == {"spatial", "bilateral"}
    errors = result["errors"]["C"]["bilateral"]
    assert errors["exact"]["rel_l2"] < FLOAT32 < errors["native"]["rel_l2"] < 0.1
    assert len(result["sweep"]) == 9


def test_bars_compare_medians_with_their_bounds():
    def part(threads, **times):
        times = {who: {"ms": ms} for who, ms in times.items()}
        return {"workload": "A", "threads": threads, "method": "lattice-native", "times": times}

    result = {
        "offline": [part(1, refine=50, pydensecrf=101), part(2, refine=50, pydensecrf=174)],
        # A fifth of 5858 ms, on a machine where pydensecrf needs half of its 1152 ms: 585.8.
        "layer": [part(1, forward_backward=585, pydensecrf=576)],
        "memory": [
            {"workload": "A", "who": "refine", "mb": 100},
            {"workload": "A", "who": "pydensecrf", "mb": 99},
        ],
    }
    assert [bar["met"] for bar in mean_field.bars(result)] == [True, False, False, True]


def test_alternate_takes_turns():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = measure.alternate(contenders, repeats=2)
    assert calls == ["a", "b"] * 3
    assert times["a"]["ms"] == measure.median(times["a"]["times_ms"])
    assert measure.median([5, 1, 2]) == 2 and measure.median([5, 1]) == 3


def test_peak_growth_sees_what_a_call_allocates():
    grown = measure.peak_growth_mb(lambda: np.ones(2**23, np.float32).sum())  # 32 MB, then freed
    if grown is None:
        pytest.skip("this system does not tell")
    assert 30 < grown < 60


def test_an_existing_result_is_kept_unless_told(tmp_path):
    output = tmp_path / "result.json"
    output.write_text("{}")
    with pytest.raises(SystemExit, match="exists"):
        filtering.main([*TINY, "--output", str(output)])
    assert output.read_text() == "{}"


def test_workloads_are_deterministic_and_batches_differ():
    first, second = workloads.load("B", 0.2), workloads.load("B", 0.2)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.unaries, second.unaries)
    _, images = workloads.batch(first, 3)
    assert len({image.tobytes() for image in images}) == 3


def test_both_make_the_same_pseudo_labels(tmp_path):
    for package in ("PIL", "filelock", "cv2"):
        pytest.importorskip(package)
    workload = pseudo_labels.WORKLOADS["voc-3"]._replace(grid=(38, 50))
    pseudo_labels.make(workload, tmp_path / "in", 1)
    (tmp_path / "out/theirs").mkdir(parents=True)
    for name, how in (("ours", "probs"), ("packed", "packed")):
        pseudo_labels.ours(tmp_path / "in", tmp_path / "out" / name, range(1), 1, how)
    found = [pseudo_labels.agreement(tmp_path / "out", 1, "ours", "packed")]
    if measure.has_pydensecrf():
        pseudo_labels.one_of_theirs((tmp_path / "in", tmp_path / "out/theirs", 0, True))
        found.append(pseudo_labels.agreement(tmp_path / "out", 1, "ours", "theirs"))
    assert min(found) > 0.99


def test_contention(tmp_path, monkeypatch):
    monkeypatch.setattr(contention, "throughput", lambda load, processes, seconds: 3.0 * processes)
    output = tmp_path / "result.json"
    result = contention.main(["--loads", "memory", "--repeats", "2", "--output", str(output)])
    assert json.loads(output.read_text())["loads"]["memory"]["alone"] == [3.0, 3.0]
    assert result["loads"]["memory"]["ratio"] == result["processes"]


@pytest.mark.nightly  # three processes
@pytest.mark.parametrize("load", ["arithmetic", "refine voc-3"])
def test_loads_are_repeated_beside_each_other(load):
    assert contention.throughput(load, 1, 0.05) > 0
    assert contention.throughput(load, 2, 0.05) > 0


@pytest.mark.nightly  # ten processes
def test_pseudo_labels(tmp_path):
    output = tmp_path / "result.json"
    tiny = ["--scale", "0.1", "--repeats", "1", "--images", "2", "--fast-images", "2"]
    pseudo_labels.main(["--workloads", "voc-3", *tiny, "--output", str(output)])
    (part,) = json.loads(output.read_text())["parts"]
    assert set(part["runs"]) >= {"crfrnn", "crfrnn, packed", "crfrnn, one process"}
    assert all(run["core_seconds"] > 0 for runs in part["runs"].values() for run in runs)


def test_damping(tmp_path, monkeypatch):
    from experiments.show import damping as show

    monkeypatch.setattr(damping, "CRFS", {"repel": damping.CRFS["repel"]})
    output = tmp_path / "result.json"
    damping.main(["--cases", "1", "--output", str(output)])
    updates = json.loads(output.read_text())["crfs"]["repel"]["updates"]
    swings, rests = updates["0"]["100"], updates["0.5"]["100"]
    assert swings["change"] > 0.1 > 1e-4 > rests["change"]
    assert rests["energy"] < swings["energy"]
    # The same function is minimised, so that the two ways to the minimum end at the same place.
    assert abs(rests["energy"] - updates["Frank-Wolfe, 0.5"]["100"]["energy"]) < 1e-3
    lines = show.table(output).splitlines()
    assert lines[2].startswith("| labels that repel themselves") and len(lines) == 2 + len(
        show.SHOWN
    )
