"""The rows of the main job, and of networks compared by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.rows.row import Comparison, Row

PLUS_CRF = "+crfrnn"  # ends the name of a model that is a network and a CRF trained together

# The main job's; comparison() names another network in its place. All start from the same
# pre-trained U-Net and get the same number of further updates.
ROWS = {
    "plain": Row("U-Net", "the U-Net trained on; the reference of all differences", "network"),
    "plain_again": Row(
        "U-Net, other batch order",
        "the same once more with the batches in another order: the noise floor. A difference "
        "no larger than this row's is not evidence",
        "network",
        settings={"batch_order": 2},
    ),
    "offline": Row(
        "U-Net + offline CRF",
        'the row "U-Net", refined by a dense CRF whose parameters ("off" included) had the best '
        "Dice on the validation split; nothing is trained",
        "offline",
        of=("plain",),
    ),
    "joint": Row(
        "U-Net + CRF-RNN",
        'U-Net and CRF trained together on the batches of "U-Net"; the CRF starts from the values '
        "found for the offline CRF",
        "joint",
        of=("plain",),
    ),
    "joint_unaries": Row(
        "U-Net + CRF-RNN, unaries",
        "what the jointly trained U-Net says before its CRF: the part of the row above that the "
        "network has, not the CRF",
        "unaries",
        of=("joint",),
    ),
}

# Pairs (row, reference) whose difference the table gives.
DIFFERENCES = (
    ("plain_again", "plain"),
    ("offline", "plain"),
    ("joint", "plain"),
    ("joint_unaries", "plain"),
    ("joint", "offline"),
    ("joint", "joint_unaries"),
)


def comparison(models: Sequence[str], network: str = "unet") -> Comparison:
    """The rows of a run and what is done with them.

    Args:
        models: ``NAME`` of ``unet.names()``, for the network alone, or ``NAME+crfrnn``, for network
            and CRF trained together; none for the main job, ``ROWS``.
        network: of the main job, a name of ``unet.names()``.

    Example:
        >>> list(comparison(["segnet", "unet", "unet+crfrnn"]).differences)
        [('unet', 'segnet'), ('unet+crfrnn', 'unet')]
    """
    if not models:
        named = {key: _of_network(row, network) for key, row in ROWS.items()}
        return Comparison(named, DIFFERENCES, ("plain", "offline", "joint"), ("joint", "plain"))
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
            first = next(iter(rows), None)
            rows[model] = Row(model, meaning, "network", settings={"network": name})
            differences += [(model, first)] if first else []
    with_crf = [pair for pair in differences if pair[0].endswith(PLUS_CRF)]
    change = next(iter([*with_crf, *differences]), None)
    return Comparison(rows, differences, tuple(rows), change)


def compared(saved: Mapping[str, Any]) -> Comparison:
    """The rows of a run.

    Args:
        saved: content of its ``run.json`` or ``results.json``.
    """
    if "comparison" in saved:
        return Comparison.from_json(saved["comparison"])
    config = saved["config"]  # of an older run, which had no other rows
    return comparison(config.get("models", ()), config["network"])


def _of_network(row: Row, network: str) -> Row:
    if network == "unet":
        return row
    title, meaning = (text.replace("U-Net", network) for text in (row.title, row.meaning))
    return dataclasses.replace(row, title=title, meaning=meaning)
