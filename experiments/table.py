"""The table of a run, in Markdown, from its results.

python -m experiments.table runs/phantom        write the table again from results.json
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import runs, stats
from experiments.rows import DIFFERENCES, ROWS

COLUMNS = {
    "dice": "Dice %",
    "iou": "IoU %",
    "pixel_accuracy": "pixel acc. %",
    "hd95": "HD95 ↓",
    "boundary_dice": "boundary Dice %",
    "changed": "changed %",
}
PUBLISHED = {"published_iu": "IU %", "published_dsc": "DSC %", "published_pa": "PA %"}
COMPARED = {"dice": "Dice", "boundary_dice": "boundary Dice", "hd95": "HD95 ↓"}


def write(results: dict[str, Any], folder: Path) -> None:
    """Write ``table.md``."""
    runs.write(folder / "table.md", lambda file: file.write(render(results).encode()))


def render(results: dict[str, Any]) -> str:
    """The whole table as Markdown.

    Args:
        results: content of ``results.json``.

    Returns:
        The same text for the same numbers: it names neither times nor versions.
    """
    return "\n".join(
        [
            *_title(results),
            "",
            *_scores(results, COLUMNS),
            "",
            "Mean over test cases and seeds ± standard deviation over seeds.",
            "",
            *_differences(results),
            "",
            *_search(results),
            "",
            *_notes(results),
            "",
            *_scores(results, PUBLISHED),
            "",
            "As the authors of the published table computed them (per slice, an absent class "
            "scores 0, PA is foreground recall): to compare with that table and nothing else.",
            "",
        ]
    )


def values(results: dict[str, Any], row: str, metric: str) -> np.ndarray:
    """One metric of one row: (R, N), seeds by test cases; NaN where a case has none."""
    return np.array(
        [[case[metric] for case in seed[row]["cases"]] for seed in results["seeds"]], np.float64
    )


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table: the first column to the left, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *lines)]


def _title(results: dict[str, Any]) -> list[str]:
    config = results["config"]
    cases = results["seeds"][0]["plain"]["cases"]
    groups = len({case["group"] for case in cases})
    return [
        f"# {Path(config['dataset']).name}: does a CRF help this U-Net?",
        "",
        f"{len(cases)} test cases of {groups} groups, {config['seeds']} seeds; "
        f"{config['pretrain_steps']} updates of the U-Net (width {config['width']}, depth "
        f"{config['depth']}), then {config['further_steps']} more for every row but the offline "
        "CRF, which trains nothing. "
        f"Keras on {results['backend']}; versions, commit and machine: results.json.",
    ]


def _scores(results: dict[str, Any], columns: dict[str, str]) -> list[str]:
    def cell(row: str, metric: str) -> str:
        if metric == "changed" and row not in ("offline", "joint"):
            return "-"
        mean, sd = stats.mean_and_sd(values(results, row, metric))
        return f"{mean:.2f} ± {sd:.2f}" if np.isfinite(sd) else f"{mean:.2f}"

    return markdown(
        ["", *columns.values()],
        [[ROWS[row].title, *(cell(row, metric) for metric in columns)] for row in ROWS],
    )


def _differences(results: dict[str, Any]) -> list[str]:
    groups = [case["group"] for case in results["seeds"][0]["plain"]["cases"]]
    lines = []
    for metric, name in COMPARED.items():
        for row, reference in DIFFERENCES:
            change = values(results, row, metric) - values(results, reference, metric)
            per_seed = " ".join(f"{stats.nanmean(seed):+.2f}" for seed in change)
            lines.append(
                [
                    name,
                    f"{ROWS[row].title} vs. {ROWS[reference].title}",
                    f"{stats.mean_and_sd(change)[0]:+.2f}",
                    _interval(stats.interval_over_groups(change, groups)),
                    _interval(stats.interval_over_seeds(change)),
                    per_seed,
                ]
            )
    return markdown(
        ["", "paired difference", "mean", "95 % over groups", "95 % over seeds", "per seed"], lines
    )


def _search(results: dict[str, Any]) -> list[str]:
    def describe(crf: dict[str, float]) -> str:
        return ", ".join(f"{name} {value:.3g}" for name, value in sorted(crf.items()))

    found = [seed["offline"]["search"] for seed in results["seeds"]]
    return [
        "Offline CRF, chosen on the validation split:",
        "",
        *(
            f"- seed {index}: {describe(search['best'])}; validation Dice "
            f"{search['off']:.2f} without, {search['best_dice']:.2f} with"
            + ("" if search["use"] else ': so "off" was chosen')
            for index, search in enumerate(found)
        ),
    ]


def _notes(results: dict[str, Any]) -> list[str]:
    width = results["config"]["boundary_width_mm"]
    return [
        "What the rows are (all start from one pre-trained U-Net per seed):",
        "",
        *(f"- {row.title}: {row.meaning}." for row in ROWS.values()),
        "",
        "What the columns are: per test case (volumes as a whole), mean over the foreground labels "
        f"that occur. HD95 in mm (pixels where there is no spacing). Boundary Dice counts only "
        f"points within {width:g} mm of the true boundary. Changed: points whose label the CRF "
        "changes. A label in neither truth nor prediction is left out; in one of them only, it "
        "has overlap 0 and as HD95 the diagonal of the image.",
        "",
        "What the intervals cover: over groups, the choice of test cases, given these trained "
        "networks (bootstrap of groups, mean over seeds per case); over seeds, the noise of "
        "training, given these test cases (Student's t over the seeds). A difference is "
        "believable if both exclude 0 and it exceeds the noise floor.",
    ]


def _interval(bounds: Sequence[float]) -> str:
    return "-" if np.isnan(bounds).any() else f"[{bounds[0]:+.2f}, {bounds[1]:+.2f}]"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write(runs.read_json(Path(name, "results.json")), Path(name))
        print(Path(name, "table.md").read_text())
