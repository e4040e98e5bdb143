"""What is kept of a finished study among the committed results.

A finished study leaves ``runs/<study>/study.json``, with every metric of every case. Committed is
``experiments/results/<study>.json``: the same, but

- ``cases`` stands once per setting, ``{"id": [N], "group": [N]}``: all rows have the same. Where
  seeds are tested on cases of their own, these are all of them, and a seed has null for the others;
- a row of a seed has the metrics in ``PER_CASE``, which are compared case by case, as lists (N,),
  and of all others the mean over the cases, in ``means``;
- where there are many labels, ``pooled`` has what `score.pooled` counts, added over the cases of a
  group: ``intersection`` and ``union``, a list of labels per group, groups by name; and
  ``by_label`` likewise the Dice of each label, ``dice``, and the number of cases that hold it,
  ``number``;
- of ``history`` only the CRF's own parameters are kept, as ``crf``;
- scores of a case are rounded to ``DECIMALS`` and means to ``MEAN_DECIMALS``; what is missing is
  null.

Of a run of the main job, ``results.json`` is committed as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.parameters.scores import nanmean
from experiments import runs
from experiments.score.pooled import mean_iou

PER_CASE = ("dice", "boundary_accuracy")
UNARIES = "unaries_dice"  # Dice of a row's network before its CRF: given per row, not per case
CHOICES = ("search", "bias", "chosen")  # what a row took from the validation cases
DECIMALS = 2  # one pixel more or less moves a case's Dice by more than a hundredth of a percent
MEAN_DECIMALS = 3
OF_A_CASE = ("id", "group")
COUNTED = ("intersection", "union")  # of a case by label: "union_3"
POOLED = "pooled_iou"
LABEL_DICE = "label_dice"
OF_A_LABEL = ("dice", "number")  # added over cases, by label
MANY_LABELS = 4  # of the foreground: from here on, Dice is shown by label, too


def take_in(path: Path, folder: Path) -> None:
    """Keep a finished study (``study.json``), or run (``results.json``), among the results.

    Settings that are committed and have not been run there, but on another machine, stay.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if such settings have rows that mean something else there, or nothing.
    """
    content = runs.read_json(path)
    if content is None:
        raise FileNotFoundError(
            f"{path} does not exist. Expected a study's study.json or a run's results.json."
        )
    if "study" not in content:
        runs.write_json(folder / f"{path.resolve().parent.name}.json", content)
        return
    target = folder / f"{content['study']['name']}.json"
    made = condensed(content)
    kept = runs.read_json(target) or {"study": content["study"], "settings": {}}
    rows, earlier = content["study"]["rows"], kept["study"]["rows"]
    for name in kept["settings"].keys() - made["settings"].keys():
        changed = [row for row in kept["settings"][name]["rows"] if rows.get(row) != earlier[row]]
        if changed:
            raise ValueError(
                f"{path} would take the setting {name} away from {target}: rows "
                f"{', '.join(changed)} of it are others there. Run it again, or delete that file."
            )
    text = dumps({**made, "settings": {**kept["settings"], **made["settings"]}})
    runs.write(target, lambda file: file.write(text.encode()))


def condensed(content: Mapping[str, Any]) -> dict[str, Any]:
    """What is committed of a finished study; see the top of this file.

    Raises:
        ValueError: if two rows of a setting were not tested on the same cases in the same order,
            so that their differences would mean nothing.
    """
    settings = {name: _setting(name, value) for name, value in content["settings"].items()}
    return {**content, "settings": settings}


def dumps(content: Mapping[str, Any]) -> str:
    """JSON with a line for each list of numbers or names."""
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    return re.sub(r"\[[^][{}]*\]", lambda flat: re.sub(r"\n\s*", "", flat[0]), text) + "\n"


def cases(setting: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names and groups of all test cases, of a setting as a run left it or condensed."""
    if "cases" in setting:
        return setting["cases"]
    first = setting["rows"][0]
    groups = {
        case["id"]: case["group"] for seed in setting["seeds"] for case in seed[first]["cases"]
    }
    return dict(zip(OF_A_CASE, (list(groups), list(groups.values())), strict=True))


def metrics(row: Mapping[str, Any], tested: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
    """What a row of one seed scored, whole or condensed: (N,) by metric; (1,) of a mean alone.

    NaN is what a metric leaves out, or a case that this seed was not tested on.
    """
    if "cases" in row:
        names = [
            name
            for name in row["cases"][0]
            if name not in OF_A_CASE and name.rpartition("_")[0] not in COUNTED
        ]
        found = {name: [case[name] for case in row["cases"]] for name in names}
        found |= {UNARIES: row[UNARIES]} if UNARIES in row else {}
    else:
        found = {name: row[name] for name in PER_CASE if name in row}
        found |= {name: [mean] for name, mean in row["means"].items()}
    metrics = {name: np.array(values, np.float64) for name, values in found.items()}
    if "cases" in row and (own := _cases(row)["id"]) != tested["id"]:
        places = [tested["id"].index(name) for name in own]
        for name, values in metrics.items():
            metrics[name] = np.full(len(tested["id"]), np.nan)
            metrics[name][places] = values
    labels = [nanmean(values) for name, values in metrics.items() if name.startswith("dice_")]
    if len(labels) >= MANY_LABELS:
        # One label invented in one case is 0 among few of that case, but among many of its own.
        metrics[LABEL_DICE] = np.array([nanmean(labels)])
        if (counts := pooled(row, tested)) is not None:
            metrics[POOLED] = mean_iou(counts.sum(0))[None]
    return metrics


def pooled(row: Mapping[str, Any], tested: Mapping[str, list[str]]) -> np.ndarray | None:
    """(G, L, 2): what a row of one seed has for `score.pooled`, by group; None of older results."""
    if "cases" not in row:
        return _kept(row, "pooled", COUNTED)
    counts = [_of_labels(row["cases"], kind) for kind in COUNTED]
    if not all(one.size for one in counts):
        return None
    return _by_group(row["cases"], counts, tested).astype(int)


def by_label(row: Mapping[str, Any], tested: Mapping[str, list[str]]) -> np.ndarray | None:
    """(G, L, 2): Dice in percent and number of the cases that hold a label, added by group.

    None of few labels, and of older results.
    """
    if "cases" not in row:
        return _kept(row, "by_label", OF_A_LABEL)
    dice = _of_labels(row["cases"], "dice")
    if len(dice) < MANY_LABELS:
        return None
    return _by_group(row["cases"], [np.nan_to_num(dice), np.isfinite(dice)], tested)


def crf_history(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters of a row's CRF over the updates, whole or condensed."""
    learned = [point for point in row.get("history", ()) if "crf" in point]
    return row.get("crf") or [{"step": point["step"], **point["crf"]} for point in learned]


def _setting(name: str, setting: Mapping[str, Any]) -> dict[str, Any]:
    tested, folds = cases(setting), setting["config"].get("folds")
    first = setting["rows"][0]
    for index, seed in enumerate(setting["seeds"]):
        # With folds each seed is tested on a part of the cases, and all its rows on the same.
        of = index if folds else 0
        same = _cases(setting["seeds"][of][first])["id"]
        for row in setting["rows"]:
            if _cases(seed[row])["id"] != same:
                raise ValueError(
                    f"{name}: row {row!r} of seed {index} was tested on other cases than row "
                    f"{first!r} of seed {of}. Expected the same cases in the same order."
                )
    seeds = [{row: _row(seed[row], tested) for row in setting["rows"]} for seed in setting["seeds"]]
    return {**setting, "cases": tested, "seeds": seeds}


def _cases(row: Mapping[str, Any]) -> dict[str, list[str]]:
    return {key: [case[key] for case in row["cases"]] for key in OF_A_CASE}


def _row(row: Mapping[str, Any], tested: Mapping[str, list[str]]) -> dict[str, Any]:
    found = metrics(row, tested)
    kept: dict[str, Any] = {
        name: [_rounded(value, DECIMALS) for value in found.pop(name)]
        for name in PER_CASE
        if name in found
    }
    if POOLED in found:
        counts = pooled(row, tested)
        kept["pooled"] = {name: counts[..., i].tolist() for i, name in enumerate(COUNTED)}
        del found[POOLED]
    if LABEL_DICE in found:
        dice, number = np.moveaxis(by_label(row, tested), -1, 0)
        kept["by_label"] = {
            "dice": dice.round(DECIMALS).tolist(),
            "number": number.astype(int).tolist(),
        }
    kept["means"] = {name: _rounded(nanmean(v), MEAN_DECIMALS) for name, v in found.items()}
    if history := crf_history(row):
        kept["crf"] = history
    return kept | {name: row[name] for name in CHOICES if name in row}


def _kept(row: Mapping[str, Any], what: str, names: Sequence[str]) -> np.ndarray | None:
    kept = row.get(what)
    return None if kept is None else np.stack([kept[name] for name in names], axis=-1)


def _of_labels(scored: Sequence[Mapping[str, Any]], kind: str) -> np.ndarray:
    """(L, N): a metric that cases have by label, "union_3"."""
    names = [name for name in scored[0] if name.rpartition("_")[0] == kind]
    return np.array([[case[name] for case in scored] for name in names], np.float64)


def _by_group(
    scored: Sequence[Mapping[str, Any]],
    values: Sequence[np.ndarray],
    tested: Mapping[str, list[str]],
) -> np.ndarray:
    """(G, L, 2): two times (L, N), added over the cases of a group, all groups by name."""
    groups = np.unique(tested["group"])
    members = np.searchsorted(groups, [case["group"] for case in scored])
    return np.transpose([[np.bincount(members, row, len(groups)) for row in one] for one in values])


def _rounded(value: float, decimals: int) -> float | None:
    """As JSON has it, which knows no NaN."""
    return round(float(value), decimals) if np.isfinite(value) else None
