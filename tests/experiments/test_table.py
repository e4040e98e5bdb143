"""The table of made-up results, whose numbers are worked out in comments."""

import dataclasses
import json

import numpy as np

from experiments.config import Config
from experiments.rows import Row
from experiments.score.metrics import METRICS
from experiments.show import run_table as table
from experiments.show import speed
from experiments.studies.main_job import comparison

ROWS = comparison().rows

# Dice of two test cases (two groups) in two seeds; every other metric is 1.
DICE = {
    "plain": [(50.0, 60.0), (70.0, 80.0)],
    "plain_again": [(50.0, 60.0), (70.0, 80.0)],
    "offline": [(51.0, 63.0), (71.0, 83.0)],
    "joint": [(50.0, 60.0), (70.0, 80.0)],
    "joint_unaries": [(50.0, 60.0), (70.0, 80.0)],
}
SEARCH = {"off": 60.0, "best": {"theta_beta": 0.125}, "best_dice": 59.5, "use": False, "trials": []}


def made_up():
    def cases(dice):
        others = {metric: 1.0 for metric in METRICS}
        return [
            {"id": str(i), "group": str(i), "changed": 2.5, **others, "dice": value}
            for i, value in enumerate(dice)
        ]

    seeds = [
        {
            row: {"cases": cases(dice[seed]), **({"search": SEARCH} if ROWS[row].of else {})}
            for row, dice in DICE.items()
        }
        for seed in (0, 1)
    ]
    return {"config": dataclasses.asdict(Config(seeds=2)), "backend": "jax", "seeds": seeds}


def line(start):
    return next(line for line in table.render(made_up()).splitlines() if line.startswith(start))


def test_scores():
    # Offline: per-seed means 57 and 77: mean 67, sd sqrt(10^2 + 10^2) = 14.14.
    assert line(f"| {ROWS['offline'].title} |").startswith(
        f"| {ROWS['offline'].title} | 67.00 ± 14.14 | 1.00 ± 0.00 |"
    )


def test_many_labels_are_shown_by_label_too():
    def row(*labels):
        """Dice of labels 1, 2, ... in two cases; in the first of them label 4 is invented."""
        results = made_up()
        for seed in results["seeds"]:
            for case, dice in zip(seed["joint"]["cases"], labels, strict=True):
                case |= {f"dice_{label}": value for label, value in enumerate(dice, start=1)}
                case["dice"] = float(np.nanmean(dice))
        lines = table.render(results).splitlines()
        heads = [line for line in lines if line.startswith("|  | Dice %")]
        return heads[0], next(one for one in lines if one.startswith("| U-Net + CRF-RNN |"))

    nan = float("nan")
    # By case: (90 + 0) / 2 and (60 + 70 + 80) / 3; by label: 75, 70, 80 and 0.
    head, line = row([90.0, nan, nan, 0.0], [60.0, 70.0, 80.0, nan])
    assert head.startswith("|  | Dice % | Dice by label % | IoU % |")
    assert line.startswith("| U-Net + CRF-RNN | 57.50 ± 0.00 | 56.25 ± 0.00 | 1.00 ± 0.00 |")
    head, line = row([90.0, nan, 0.0], [60.0, 70.0, nan])
    assert head.startswith("|  | Dice % | IoU % |")


def of_labels(results, row, *dice):
    """Gives a row Dice of labels 1, 2, ... in each of the two cases, in both seeds."""
    for seed in results["seeds"]:
        for case, labels in zip(seed[row]["cases"], dice, strict=True):
            case |= {f"dice_{label}": value for label, value in enumerate(labels, start=1)}
            case["dice"] = float(np.nanmean(labels))


def test_differences_of_many_labels_are_shown_by_label_too():
    def shown(joint, of):
        results, title = made_up(), f"{ROWS['joint'].title} vs. {ROWS['plain'].title}"
        of_labels(results, "plain", *of)
        of_labels(results, "joint", *joint)
        lines = table.render(results).splitlines()
        return [line for line in lines if line.startswith("| Dice") and f"| {title} |" in line]

    nan = float("nan")
    of = [90.0, nan, nan, nan], [60.0, 70.0, 80.0, 50.0]
    by_case, by_label = shown(([94.0, nan, nan, 0.0], [60.0, 70.0, 80.0, 90.0]), of)
    # By case: (94 + 0) / 2 - 90 = -43 and 75 - 65 = 10. By label: 77, 70, 80 and 45 less 75, 70,
    # 80 and 50, -0.75; of the first case alone 47 - 90, of the second alone 75 - 65.
    seeds = "[-16.50, -16.50] | -16.50 -16.50 |"
    assert by_case.endswith(f"| -16.50 | [-43.00, +10.00] | [-43.00, +10.00] | {seeds}")
    seeds = "[-0.75, -0.75] | -0.75 -0.75 |"
    assert by_label.startswith("| Dice by label |")
    assert by_label.endswith(f"| -0.75 | [-43.00, +10.00] | [-43.00, +10.00] | {seeds}")
    assert len(shown(([94.0, nan, 0.0], [60.0, 70.0, 90.0]), [one[:3] for one in of])) == 1


def test_a_boundary_that_no_point_is_near_to_is_said():
    results = made_up()
    assert "is missing" not in table.render(results)
    assert "| boundary Dice |" in table.render(results)
    for seed in results["seeds"]:
        for row in seed.values():
            for case in row["cases"]:
                case["boundary_dice"] = float("nan")
    text = table.render(results)
    assert "Boundary Dice is missing: no point is within 2 mm of the true boundary" in text
    assert "| boundary Dice |" not in text


def test_only_rows_with_a_crf_have_changed_points():
    assert line(f"| {ROWS['plain'].title} |").endswith("| - |")
    assert line(f"| {ROWS['joint'].title} |").endswith("| 2.50 ± 0.00 |")


def test_differences():
    # Differences 1 and 3 in both seeds: mean 2; resampled groups reach 1 and 3; seeds agree.
    title = f"| Dice | {ROWS['offline'].title} vs. {ROWS['plain'].title} "
    over_both = over_groups = "[+1.00, +3.00]"
    assert line(title) == (
        f"{title}| +2.00 | {over_both} | {over_groups} | [+2.00, +2.00] | +2.00 +2.00 |"
    )


def test_the_network_is_named():
    results = made_up()
    assert "| U-Net + CRF-RNN |" in table.render(results)
    results["config"]["network"] = "segnet"
    text = table.render(results)
    assert "# phantom: does a CRF help this segnet?" in text
    assert "| segnet + CRF-RNN |" in text
    assert "U-Net" not in text and "depth" not in text


def test_rows_of_other_networks_do_not_start_from_the_same_weights():
    results = made_up()
    assert "all start from one pre-trained U-Net per seed" in table.render(results)
    asked = comparison(["segnet", "unet+crfrnn"])
    results["comparison"] = dataclasses.asdict(asked)
    results["seeds"] = [{row: seed["plain"] for row in asked.rows} for seed in results["seeds"]]
    text = table.render(results)
    assert "whose pre-training has the same network, cases, labels and loss start" in text
    assert "all start" not in text


def test_what_is_said_of_the_start_is_of_pretrained_rows():
    def text(row, **settings):
        results = made_up()
        rows = ROWS | {row: dataclasses.replace(ROWS[row], **settings)}
        asked = dataclasses.replace(comparison([]), rows=rows)
        results["comparison"] = dataclasses.asdict(asked)
        return table.render(results)

    affine = text("offline", kind="affine", settings={"train_on": "val"})
    assert "all start from one" in affine and "otherwise" not in affine
    weak = text("plain_again", settings={"labels": "points"})
    assert "all start from one" not in weak and "otherwise" not in weak
    wide = text("joint", settings={"width": 3})
    assert "all start from one" not in wide and "; a row may say otherwise" in wide


def test_searches_of_their_own_are_shown():
    results = made_up()
    for seed in results["seeds"]:
        seed["joint"]["search"] = {**SEARCH, "best": {"theta_beta": 0.25}}
    text = table.render(results)
    assert text.count("chosen on the validation split") == 2
    assert "theta_beta 0.125" in text and "theta_beta 0.25" in text


def test_a_search_that_chose_off_says_so():
    assert line("- seed 1:") == (
        '- seed 1: theta_beta 0.125; validation Dice 60.00 without, 59.50 with: so "off" was chosen'
    )


def test_speed_is_measured_within_one_run(tmp_path):
    def one(workload, threads, ours, theirs):
        times = {"refine": {"ms": ours}, "pydensecrf": {"ms": theirs}}
        return {"workload": workload, "threads": threads, "times": times}

    # Theirs is slower by chance while ours had two threads: its factor is of that run.
    measured = [one(name, 2, 10.0, 50.0) for name in "ABCD"]
    measured += [one(name, 1, 20.0, 40.0) for name in "ABCD"]
    (tmp_path / "speed.json").write_text(json.dumps({"offline": measured}))
    head, _, first, *_ = speed.table(tmp_path / "speed.json").splitlines()
    assert head == "|  | pydensecrf | crfrnn, 1 thread | crfrnn, 2 threads |"
    assert first.endswith(", 21 labels | 40 ms | 20 ms (2.0 x) | 10 ms (5.0 x) |")


def test_pseudo_labels_are_medians_of_rounds_beside_the_same_part(tmp_path):
    def runs(images, *seconds):
        return [{"images": images, "seconds": s, "core_seconds": 2 * s} for s in seconds]

    who = {
        "crfrnn": runs(40, 10.0, 4.0, 5.0),
        "crfrnn, packed": runs(40, 4.0, 4.0, 4.0),
        "crfrnn, one process": runs(40, 9.0, 9.0, 9.0),
        "pydensecrf": runs(8, 10.0, 8.0, 80.0),
        "pydensecrf, labels present": runs(8, 2.0, 2.0, 2.0),
    }
    part = {"title": "small", "runs": who, "load": {"cores_busy_with_others": 0.26}}
    machine = {"cores": 2, "processor": "a processor"}
    (tmp_path / "p.json").write_text(json.dumps({"parts": [part], "machine": machine}))
    _, _, ours, packed, theirs, present, _, where = speed.pseudo_labels(
        tmp_path / "p.json"
    ).splitlines()
    assert ours == "| small | `refine_many` | 8.00 | 10.0 x | 0.25 s |"
    assert packed.endswith("| 10.00 | 12.5 x | 0.20 s |")
    assert theirs == "| small | pydensecrf, all labels | 0.80 |  | 2.50 s |"
    assert present.endswith("| 4.00 | 5.0 x | 0.50 s |")
    assert where == "Measured on 2 cores of a processor; others used 0.3 of them."


def test_what_was_chosen_for_a_filter_is_not_called_a_crf():
    results = made_up()
    rows = ROWS | {"joint": Row("filtered", "", "guided", ("plain",))}
    asked = dataclasses.replace(comparison([]), rows=rows)
    results["comparison"] = dataclasses.asdict(asked)
    for use, seed in zip((True, False), results["seeds"], strict=False):
        seed["joint"]["search"] = {**SEARCH, "best": {}, "use": use}
    text = table.render(results)
    assert "Settings of filtered, chosen on the validation split:" in text
    settings = text.split("Settings of filtered")[1].splitlines()
    assert settings[2].startswith("- seed 0: validation Dice") and "off" not in settings[2]
    assert settings[3].endswith('so "off" was chosen')
