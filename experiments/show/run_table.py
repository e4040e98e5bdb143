"""The table of a run, table.md, and the parts of it that the page about a run shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments import runs
from experiments.config import OF_NETWORK, OF_PRETRAINING
from experiments.show import tables
from experiments.show.condense import LABEL_DICE
from experiments.show.results import Outcome, of_run

COMPARED = {
    "dice": "Dice",
    LABEL_DICE: "Dice by label",
    "boundary_dice": "boundary Dice",
    "hd95": "HD95 ↓",
}


def write(results: dict[str, Any], folder: Path) -> None:
    """Write ``table.md``."""
    runs.write(folder / "table.md", lambda file: file.write(render(results).encode()))


def render(results: dict[str, Any]) -> str:
    """The whole table; the same text for the same numbers: it names neither times nor versions."""
    return together(sections(of_run("run", results)))


def together(parts: dict[str, str]) -> str:
    """The whole table, of its ``sections``."""
    return "\n\n".join(filter(None, parts.values())) + "\n"


def sections(run: Outcome) -> dict[str, str]:
    """The parts of the table, in Markdown; one that has nothing to say is empty.

    Returns:
        In order "title", "scores", "differences", "search" (what was chosen on the validation
        cases), "rows" (what they are), "columns" (what they and the intervals are), "published".
    """
    return {
        "title": _title(run),
        "scores": tables.scores(run, columns=("dice", LABEL_DICE, *tables.OF_A_RUN[1:]))
        + "\n\nMean over test cases and seeds ± standard deviation over seeds.",
        "differences": tables.intervals(run, COMPARED),
        "search": _search(run),
        "rows": _rows(run),
        "columns": _columns(run.config, run.metrics()),
        "published": _published(run),
    }


def _title(run: Outcome) -> str:
    config, groups = run.config, run.groups
    name, width = Path(config["dataset"]).name, config["width"]
    if config.get("models"):
        title = f"# {name}: networks compared"
        start = f"updates of each network (width {width}), then {config['further_steps']} more. "
    else:
        network = "U-Net" if config["network"] == "unet" else config["network"]
        size = f"width {width}, depth {config['depth']}" if network == "U-Net" else f"width {width}"
        title = f"# {name}: does a CRF help this {network}?"
        otherwise = "; a row may say otherwise" if _pretrained_by(run, OF_NETWORK) else ""
        start = (
            f"updates of the {network} ({size}{otherwise}), then {config['further_steps']} more "
            "for every row that is trained. "
        )
    return (
        f"{title}\n\n{len(groups)} test cases of {len(set(groups))} groups, {config['seeds']} "
        f"seeds{_folds(config)}; {config['pretrain_steps']} {start}"
        f"Keras on {run.environment['backend']}; versions, commit and machine: results.json."
    )


def _folds(config: dict[str, Any]) -> str:
    if not (folds := config.get("folds")):
        return ""
    return (
        f" of a cross-validation in {folds} parts (each is tested on one of them, so what varies "
        "over seeds are the cases, too)"
    )


def _search(run: Outcome) -> str:
    lines: list[str] = []
    for name, choices in tables.chosen_once(run):
        found = [choice.get("search", {}) for choice in choices]
        if "off" not in found[0]:
            continue
        row = run.rows[name]
        what = "CRF" if row.how.has_crf else "Settings"
        lines += [f"{what} of {row.title}, chosen on the validation split:", ""]
        for index, search in enumerate(found):
            off = row.how.may_be_off and not search["use"]
            best = tables.parameters(sorted(search["best"].items()))
            lines.append(
                f"- seed {index}: {best and f'{best}; '}validation "
                f"Dice {search['off']:.2f} without, {search['best_dice']:.2f} with"
                + (': so "off" was chosen' if off else "")
            )
        lines.append("")
    return "\n".join(lines[:-1])


def _rows(run: Outcome) -> str:
    if _pretrained_by(run, OF_PRETRAINING):
        start = (
            "those whose pre-training has the same network, cases, labels and loss start from the "
            "same weights"
        )
    else:
        start = f"all start from one pre-trained {next(iter(run.rows.values())).title} per seed"
    return f"What the rows are ({start}):\n\n{tables.rows(run.study)}"


def _published(run: Outcome) -> str:
    if not {*tables.PUBLISHED}.intersection(run.metrics()):
        return ""  # a data set without background
    return (
        tables.scores(run, columns=tuple(tables.PUBLISHED))
        + "\n\nAs the authors of the published table computed them (per slice, an absent class "
        "scores 0, PA is foreground recall): to compare with that table and nothing else."
    )


def _pretrained_by(run: Outcome, keys: Sequence[str]) -> bool:
    """Whether rows that are pre-trained differ in one of these settings."""
    return any(
        key in row.settings for row in run.rows.values() if row.how.pretrained for key in keys
    )


def _columns(config: dict[str, Any], known: Sequence[str]) -> str:
    width = f"{config['boundary_width_mm']:g} mm of the true boundary"
    boundary = (
        f"Boundary Dice counts only points within {width}. "
        if "boundary_dice" in known
        else f"Boundary Dice is missing: no point is within {width}; a larger "
        "--boundary-width-mm counts some. "
    )
    return (
        "What the columns are: per test case (volumes as a whole), mean over the labels that "
        "occur, but for a background. HD95 in mm (pixels where there is no spacing). "
        + boundary
        + "Changed: points whose label the CRF changes. A label in neither truth nor prediction is "
        "left out; in one of them only, it has overlap 0 and as HD95 the diagonal of the image."
        + (
            " By label: mean over the cases of each label, then over labels."
            if LABEL_DICE in known
            else ""
        )
        + "\n\n"
        "What the intervals cover: over groups, the choice of test cases, given these trained "
        "networks (bootstrap of groups, mean over seeds per case); over seeds, the noise of "
        "training, given these test cases (Student's t over the seeds); over both, both anew. A "
        "difference is believable if the one over both excludes 0"
        + ("." if config.get("models") else " and it exceeds the noise floor.")
    )
