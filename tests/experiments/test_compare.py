"""The whole comparison on tiny volumes: finished, killed and resumed, poisoned, repeated.

The runs are made by processes of their own, as a user's are: results are equal bit for bit only
with equal threads, and only a process can be killed.
"""

import json
import shutil
import signal
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from crfrnn.parameters.scores import nanmean
from experiments import compare, evaluate, runs
from experiments.score import metrics
from experiments.studies.main_job import comparison

ROWS = comparison().rows

TINY = (
    *("--seeds", "1", "--width", "2", "--depth", "1", "--dropout", "0.3"),
    *("--validation-cases", "2", "--test-cases", "3", "--train-cases", "3", "--batch-size", "4"),
    *("--pretrain-steps", "5", "--further-steps", "5", "--checkpoint-steps", "2"),
    *("--crf-train-iterations", "1", "--crf-test-iterations", "2", "--search-trials", "4"),
    *("--pictures", "2"),
)

RUNS = ("whole", "killed", "resumed", "poisoned", "models")

# Dies as by kill -9 when it is about to write the second checkpoint of a row.
KILLED = """
import os, signal, sys
from experiments import compare, runs

write, row = runs.write, sys.argv.pop(1)

def write_or_die(path, write_to):
    if path.name == f"{row}.checkpoint.npz" and path.exists():
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, write_to)

runs.write = write_or_die
compare.main(sys.argv[1:])
"""


def make_data(folder, poisoned=()):
    """Eight volumes of different sizes, a bright and a brighter block each."""
    rng = np.random.default_rng(0)
    items = []
    for index in range(8):
        shape = (4 + index % 2, 10 + index % 3, 8 + index % 2)
        label = np.zeros(shape, "uint8")
        label[1:-1, 2:7, 2:6] = 1
        label[1:-1, 3:6, 3:5] = 2
        image = (100 + 60 * label + 30 * rng.standard_normal(shape)).astype("float32")
        if f"case{index}" in poisoned:
            label = (2 - label).astype("uint8")
        item = {"image": f"images/case{index}.nii", "label": f"labels/case{index}.nii"}
        for array, name in ((image, item["image"]), (label, item["label"])):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 1.0, 1.5, 1.0])), folder / name)
        items.append(item)
    labels = {"0": "background", "1": "outer", "2": "inner"}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "training": items}))
    return folder


def arguments(dataset, parent, name, *more):
    return [*TINY, "--dataset", str(dataset), "--runs", str(parent), "--name", name, *more]


def start(log, *command):
    with open(log, "wb") as file:
        return subprocess.Popen([sys.executable, *command], stdout=file, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Parent of four runs.

    "whole"; "killed" and resumed; "poisoned" test labels, in a worker; "models", which are listed.
    """
    parent = tmp_path_factory.mktemp("runs")
    logs = {name: parent / f"{name}.log" for name in RUNS}
    clean, program = make_data(parent / "clean"), ("-m", "experiments.compare")
    # By itself, so that JAX compiles what all of them need but once.
    whole = start(logs["whole"], *program, *arguments(clean, parent, "whole"))
    assert whole.wait() == 0, logs["whole"].read_text()
    killed = start(logs["killed"], "-c", KILLED, "joint", *arguments(clean, parent, "killed"))
    assert killed.wait() == -signal.SIGKILL, logs["killed"].read_text()
    assert not (parent / "killed/results.json").exists()
    test_ids = {case["id"] for case in rows_of(parent / "whole")["plain"]["cases"]}
    resumed = start(logs["resumed"], *program, *arguments(clean, parent, "killed"))
    listed = ("--models", "unet+crfrnn", "unet", "patch_cnn")
    models = start(logs["models"], *program, *arguments(clean, parent, "models", *listed))
    in_worker = arguments(make_data(parent / "dirty", test_ids), parent, "poisoned", "--jobs", "2")
    poisoned = start(logs["poisoned"], *program, *in_worker)
    assert resumed.wait() == 0, logs["resumed"].read_text()
    assert poisoned.wait() == 0, logs["poisoned"].read_text()
    assert models.wait() == 0, logs["models"].read_text()
    return parent


def rows_of(folder, seed=0):
    return runs.read_json(folder / "results.json")["seeds"][seed]


def test_results_hold_everything(folders):
    results = runs.read_json(folders / "whole/results.json")
    assert results["config"]["width"] == 2
    assert {"python", "packages", "commit", "machine", "backend"} <= results.keys()
    assert len(results["seeds"]) == 1
    for seed in results["seeds"]:
        assert seed.keys() == ROWS.keys()
        for row in seed.values():
            assert len(row["cases"]) == 3
            assert {"id", "group", "changed", *metrics.METRICS} <= row["cases"][0].keys()


def test_table_curves_and_pictures_are_there(folders):
    table = (folders / "whole/table.md").read_text()
    for row in ROWS.values():
        assert f"| {row.title} |" in table
    assert (folders / "whole/curves.png").stat().st_size > 10_000
    assert len(list((folders / "whole/pictures").glob("*.png"))) == 2
    assert not list((folders / "whole").rglob("*.unfinished"))


def test_a_killed_run_goes_on_and_ends_with_the_same_table(folders):
    whole, killed = (
        runs.read_json(folders / name / "results.json") for name in ("whole", "killed")
    )
    assert killed["seeds"] == whole["seeds"]
    assert (folders / "killed/table.md").read_bytes() == (folders / "whole/table.md").read_bytes()


def test_a_run_killed_after_its_last_row_repeats_nothing(folders, tmp_path, monkeypatch):
    def repeated(*arguments):
        raise AssertionError("there was nothing to repeat")

    folder = shutil.copytree(folders / "whole", tmp_path / "whole")
    (folder / "results.json").unlink()
    # It was about to be deleted.
    runs.write_arrays(folder / "seed-0/joint.checkpoint.npz", {"0000": np.zeros(3)})
    monkeypatch.setattr(compare, "repeat", repeated)
    compare.main(arguments(folders / "clean", tmp_path, "whole"))
    assert rows_of(folder) == rows_of(folders / "whole")
    assert not list(folder.rglob("*.checkpoint.npz"))


def test_rows_share_their_start_and_their_batches(folders):
    seed = rows_of(folders / "whole")
    first = {row: seed[row]["history"][0] for row in ("plain", "plain_again", "joint")}
    # The first update is made of the same loss on the same batch; later ones differ by the CRF.
    assert first["plain"]["loss"] != first["plain_again"]["loss"]
    assert first["joint"]["unaries_loss"] == pytest.approx(first["plain"]["loss"], rel=0.02)


def test_test_labels_enter_nothing_but_the_metrics(folders):
    for path in sorted((folders / "whole/seed-0").iterdir()):
        if path.suffix == ".npz" or path.name.startswith("search"):
            poisoned = folders / "poisoned/seed-0" / path.name
            assert poisoned.read_bytes() == path.read_bytes(), path.name
    whole, poisoned = (rows_of(folders / name) for name in ("whole", "poisoned"))
    for row in ROWS:
        assert whole[row].pop("cases") != poisoned[row].pop("cases")
        for result in (whole[row], poisoned[row]):
            result.pop("unaries_dice", None)
    assert whole == poisoned


def test_joint_training_moves_the_crf(folders):
    weights = rows_of(folders / "whole")["joint"]["weights"]
    assert len(weights["bilateral"]) == len(weights["spatial"]) == 3
    assert np.ptp(weights["bilateral"]) > 0  # all labels started equal


def test_listed_models_are_rows(folders):
    models, whole = rows_of(folders / "models"), rows_of(folders / "whole")
    # A CRF's start is searched on its network alone, so that comes first.
    assert list(models) == ["unet", "unet+crfrnn", "patch_cnn"]
    # The same seeds and settings as in the main job, so the same to the last bit.
    assert models["unet"] == whole["plain"]
    assert models["unet+crfrnn"] == whole["joint"]
    table = (folders / "models/table.md").read_text()
    assert "| Dice | unet+crfrnn vs. unet |" in table
    assert "| Dice | patch_cnn vs. unet |" in table
    assert len(list((folders / "models/pictures").glob("*.png"))) == 2


def test_a_model_among_several_is_evaluated(folders, capsys):
    evaluate.main([str(folders / "models/seed-0/unet+crfrnn.keras")])
    dice = nanmean([case["dice"] for case in rows_of(folders / "models")["unet+crfrnn"]["cases"]])
    assert f"| refined | {dice:.2f} |" in capsys.readouterr().out


def test_an_unknown_model_is_named(capsys):
    with pytest.raises(SystemExit):
        compare.main(["--models", "unet", "fcn9s+crfrnn"])
    message = capsys.readouterr().err
    assert "'fcn9s'" in message and "fcn8s" in message


def test_an_energy_without_a_search_is_refused_before_anything_is_trained(tmp_path, capsys):
    with pytest.raises(SystemExit):
        compare.main(["--energy-weight", "3", "--runs", str(tmp_path)])
    assert "energy_weight of row 'plain' is 3," in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_saved_model_loads_as_any_other(folders):
    import keras

    import unet  # noqa: F401
    from crfrnn import CRFRNN

    model = keras.models.load_model(folders / "whole/seed-0/joint.keras")
    assert isinstance(model.get_layer("head"), CRFRNN)


def test_a_saved_model_is_evaluated_to_the_same_numbers(folders, capsys):
    evaluate.main([str(folders / "whole/seed-0/joint.keras")])
    lines = {line.split("|")[1].strip(): line for line in capsys.readouterr().out.splitlines()}
    for name, row in (("unaries", "joint_unaries"), ("refined", "joint")):
        cases = rows_of(folders / "whole")[row]["cases"]
        dice = nanmean([case["dice"] for case in cases])
        changed = nanmean([case["changed"] for case in cases])
        assert lines[name].startswith(f"| {name} | {dice:.2f} |")
        assert lines[name].endswith(f"| {changed:.2f} |")


def test_evaluate_refuses_what_is_no_model_of_a_run(tmp_path, capsys):
    with pytest.raises(SystemExit):
        evaluate.main([str(tmp_path / "model.keras")])
    assert "no model of a run" in capsys.readouterr().err


def unchanged(folder, action):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    action()
    return before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_finished_run_is_shown_not_repeated(folders, capsys):
    again = arguments(folders / "clean", folders, "whole")
    assert unchanged(folders / "whole", lambda: compare.main(again))
    output = capsys.readouterr().out
    assert (folders / "whole/table.md").read_text() in output and "--force" in output


def test_other_settings_do_not_overwrite_a_run(folders, capsys):
    other = arguments(folders / "clean", folders, "whole", "--width", "3")

    def refused():
        with pytest.raises(SystemExit):
            compare.main(other)

    assert unchanged(folders / "whole", refused)
    message = capsys.readouterr().err
    assert "width is 2 there, 3 here" in message and "--name" in message


def test_a_folder_that_is_no_run_is_never_touched(tmp_path, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").write_text("years of work")
    for force in ([], ["--force"]):
        with pytest.raises(SystemExit):
            compare.main(["--runs", str(tmp_path), "--name", "thesis", *force])
        assert "no run" in capsys.readouterr().err
    assert (tmp_path / "thesis/chapter.txt").read_text() == "years of work"
