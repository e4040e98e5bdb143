"""The table of a run, in Markdown, from its results.

python -m experiments.table runs/phantom        write the table again from results.json
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import markdown, runs
from experiments.config import OF_NETWORK, OF_PRETRAINING
from experiments.rows import compared
from experiments.score import stats

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
    return "\n\n".join(text for text in sections(results).values() if text) + "\n"


def sections(results: dict[str, Any]) -> dict[str, str]:
    """The parts of the table, in Markdown; one that has nothing to say is empty.

    Args:
        results: content of ``results.json``.

    Returns:
        In order "title", "scores", "differences", "search" (what was chosen on the validation
        cases), "rows" (what they are), "columns" (what they and the intervals are), "published".
    """
    return {
        "title": _title(results),
        "scores": _scores(results, COLUMNS)
        + "\n\nMean over test cases and seeds ± standard deviation over seeds.",
        "differences": _differences(results),
        "search": _search(results),
        "rows": _rows(results),
        "columns": _columns(results),
        "published": _scores(results, PUBLISHED)
        + "\n\nAs the authors of the published table computed them (per slice, an absent class "
        "scores 0, PA is foreground recall): to compare with that table and nothing else.",
    }


def values(results: dict[str, Any], row: str, metric: str) -> np.ndarray:
    """One metric of one row: (R, N), seeds by test cases; NaN where a case has none."""
    return np.array(
        [[case[metric] for case in seed[row]["cases"]] for seed in results["seeds"]], np.float64
    )


def _cases(results: dict[str, Any]) -> list[dict[str, Any]]:
    return next(iter(results["seeds"][0].values()))["cases"]


def _title(results: dict[str, Any]) -> str:
    config = results["config"]
    cases = _cases(results)
    groups = len({case["group"] for case in cases})
    name, width = Path(config["dataset"]).name, config["width"]
    if config.get("models"):
        title = f"# {name}: networks compared"
        start = f"updates of each network (width {width}), then {config['further_steps']} more. "
    else:
        network = "U-Net" if config["network"] == "unet" else config["network"]
        size = f"width {width}, depth {config['depth']}" if network == "U-Net" else f"width {width}"
        title = f"# {name}: does a CRF help this {network}?"
        otherwise = "; a row may say otherwise" if _pretrained_by(results, OF_NETWORK) else ""
        start = (
            f"updates of the {network} ({size}{otherwise}), then {config['further_steps']} more "
            "for every row that is trained. "
        )
    return (
        f"{title}\n\n{len(cases)} test cases of {groups} groups, {config['seeds']} seeds; "
        f"{config['pretrain_steps']} {start}"
        f"Keras on {results['backend']}; versions, commit and machine: results.json."
    )


def _scores(results: dict[str, Any], columns: dict[str, str]) -> str:
    rows = compared(results).rows

    def cell(row: str, metric: str) -> str:
        if metric == "changed" and not rows[row].how.has_crf:
            return markdown.NOTHING
        return markdown.mean_and_sd(values(results, row, metric))

    return markdown.table(
        ["", *columns.values()],
        [[rows[row].title, *(cell(row, metric) for metric in columns)] for row in rows],
    )


def _differences(results: dict[str, Any]) -> str:
    groups = [case["group"] for case in _cases(results)]
    rows, differences = compared(results).rows, compared(results).differences
    lines = []
    for metric, name in COMPARED.items():
        for row, reference in differences:
            change = values(results, row, metric) - values(results, reference, metric)
            per_seed = " ".join(markdown.signed(stats.nanmean(seed)) for seed in change)
            lines.append(
                [
                    name,
                    f"{rows[row].title} vs. {rows[reference].title}",
                    markdown.signed(stats.mean_and_sd(change)[0]),
                    markdown.interval(stats.interval_over_both(change, groups)),
                    markdown.interval(stats.interval_over_groups(change, groups)),
                    markdown.interval(stats.interval_over_seeds(change)),
                    per_seed,
                ]
            )
    head = [
        *("", "paired difference", "mean", "95 % over both", "95 % over groups"),
        *("95 % over seeds", "per seed"),
    ]
    return markdown.table(head, lines) if lines else ""


def _search(results: dict[str, Any]) -> str:
    def describe(crf: dict[str, Any]) -> str:
        return ", ".join(f"{name} {markdown.numbers(value)}" for name, value in sorted(crf.items()))

    lines: list[str] = []
    shown: list[Any] = []
    for name, row in compared(results).rows.items():
        found = [seed[name].get("search", {}) for seed in results["seeds"]]
        if "off" not in found[0] or found in shown:  # rows share searches
            continue
        shown.append(found)
        lines += [f"CRF of {row.title}, chosen on the validation split:", ""]
        for index, search in enumerate(found):
            off = row.how.may_be_off and not search["use"]
            lines.append(
                f"- seed {index}: {describe(search['best'])}; validation Dice "
                f"{search['off']:.2f} without, {search['best_dice']:.2f} with"
                + (': so "off" was chosen' if off else "")
            )
        lines.append("")
    return "\n".join(lines[:-1])


def _rows(results: dict[str, Any]) -> str:
    rows = compared(results).rows
    if _pretrained_by(results, OF_PRETRAINING):
        start = (
            "those whose pre-training has the same network, cases, labels and loss start from the "
            "same weights"
        )
    else:
        start = f"all start from one pre-trained {next(iter(rows.values())).title} per seed"
    return "\n".join(
        [
            f"What the rows are ({start}):\n",
            *(f"- {row.title}: {row.meaning}." for row in rows.values()),
        ]
    )


def _pretrained_by(results: dict[str, Any], keys: Sequence[str]) -> bool:
    """Whether rows that are pre-trained differ in one of these settings."""
    rows = [row for row in compared(results).rows.values() if row.how.pretrained]
    return any(key in row.settings for row in rows for key in keys)


def _columns(results: dict[str, Any]) -> str:
    width, models = results["config"]["boundary_width_mm"], results["config"].get("models")
    return (
        "What the columns are: per test case (volumes as a whole), mean over the foreground labels "
        f"that occur. HD95 in mm (pixels where there is no spacing). Boundary Dice counts only "
        f"points within {width:g} mm of the true boundary. Changed: points whose label the CRF "
        "changes. A label in neither truth nor prediction is left out; in one of them only, it "
        "has overlap 0 and as HD95 the diagonal of the image.\n\n"
        "What the intervals cover: over groups, the choice of test cases, given these trained "
        "networks (bootstrap of groups, mean over seeds per case); over seeds, the noise of "
        "training, given these test cases (Student's t over the seeds); over both, both anew. A "
        "difference is believable if the one over both excludes 0"
        + ("." if models else " and it exceeds the noise floor.")
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write(runs.read_json(Path(name, "results.json")), Path(name))
        print(Path(name, "table.md").read_text())
