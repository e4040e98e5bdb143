"""The main job: the study main.toml, with any data set, network or list of networks in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.rows import Comparison, Row
from experiments.studies import plan

FILE = Path(__file__).with_name("main.toml")
OTHER = "hippocampus"  # whose settings other data sets get
PLUS_CRF = "+crfrnn"  # ends the name of a model that is a network and a CRF trained together


def task(dataset: str, quick: bool, changes: Mapping[str, Any]) -> plan.Task:
    """The settings for a data set, a name or a folder, and the rows; changes: keys of ``Config``.

    Example:
        >>> task("hippocampus", quick=True, changes={"width": 5}).config.train_cases
        15
    """
    changes = {**changes, "dataset": dataset}
    if changes.get("folds"):
        changes.setdefault("test_cases", None)  # all are tested, and not as many as presets say
    tasks, ending = plan.read(FILE, changes).tasks, "-quick" if quick else ""
    config = tasks.get(f"{dataset}{ending}", tasks[f"{OTHER}{ending}"]).config
    return plan.Task(config, comparison(config.models, config.network))


def comparison(models: Sequence[str] = (), network: str = "unet") -> Comparison:
    """The rows of a run and what is done with them.

    Args:
        models: ``NAME`` of ``unet.names()``, for the network alone, or ``NAME+crfrnn``, for network
            and CRF trained together; none for the main job's.
        network: of the main job, a name of ``unet.names()``.

    Example:
        >>> list(comparison(["segnet", "unet", "unet+crfrnn"]).differences)
        [('unet', 'segnet'), ('unet+crfrnn', 'unet')]
    """
    if not models:
        main = plan.read(FILE).comparison
        named = {key: _of_network(row, network) for key, row in main.rows.items()}
        return dataclasses.replace(main, rows=named)
    rows, differences = {}, []
    # A CRF's start is searched on what its network says alone, which so becomes a row before it.
    for model in dict.fromkeys(key for m in models for key in (m.removesuffix(PLUS_CRF), m)):
        name = model.removesuffix(PLUS_CRF)
        if model.endswith(PLUS_CRF):
            meaning = (
                f"the pre-trained {name} and a CRF trained together; the CRF starts from the "
                "values with the best Dice on the validation split"
            )
            rows[model] = Row(model, meaning, "joint", (name,), {"network": name})
            differences.append((model, name))
        else:
            meaning = f"the network {name}, pre-trained and trained on"
            differences += [(model, first) for first in [*rows][:1]]
            rows[model] = Row(model, meaning, "network", settings={"network": name})
    with_crf = [pair for pair in differences if pair[0].endswith(PLUS_CRF)]
    change = next(iter([*with_crf, *differences]), None)
    return Comparison(rows, differences, tuple(rows), change)


def _of_network(row: Row, network: str) -> Row:
    if network == "unet":
        return row
    title, meaning = (text.replace("U-Net", network) for text in (row.title, row.meaning))
    return dataclasses.replace(row, title=title, meaning=meaning)
