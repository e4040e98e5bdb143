"""The rows of the table: one name, one meaning, and how each is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.config import as_settings

# How the scores of a row come about. What a row rests on is named by its `of`.
TRAINED = {
    "network": "a network, trained on from its pre-training (of: whose search sets energy_weight's "
    "bandwidths, if that is not 0)",
    "joint": "a network and a CRF behind it, trained together (of: whose search the CRF starts at)",
    "crf": "a CRF behind the trained network of another row, which stays as it is",
    "affine": "in the place of that CRF, a matrix and a bias on the logits: what no CRF is needed "
    "for",
}
DERIVED = {
    "unaries": "what the network of another row says before its CRF",
    "retest": "the trained model of another row with this row's settings, e.g. more iterations",
    "flips": "the mean prediction of another row's model over the mirrored images",
    "bias": "the scores of another row plus one number per label, chosen on validation cases",
    "largest": "of another row's foreground, the largest connected piece of each case alone",
    "offline": "the scores of another row, refined by a CRF chosen on validation cases",
    "best": "the one of several rows that is best on validation cases",
}
KINDS = {**TRAINED, **DERIVED}
WITH_CRF = ("joint", "crf", "retest", "offline")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row's title in tables and pictures, and what was done to get it.

    Attributes:
        title: in tables.
        meaning: in the notes below tables.
        kind: one of ``KINDS``.
        of: the rows it rests on.
        settings: keys of ``config.Config`` that differ for this row.
    """

    title: str
    meaning: str
    kind: str
    of: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is compared with what.

    Attributes:
        rows: by key in results.json.
        differences: pairs (row, reference) the table subtracts.
        pictured: rows shown in pictures.
        change: the pair (row, reference) that ranks and ends the pictures; None without one.
    """

    rows: Mapping[str, Row]
    differences: Sequence[tuple[str, str]]
    pictured: Sequence[str]
    change: tuple[str, str] | None

    def __post_init__(self):
        seen: list[str] = []
        for key, row in self.rows.items():
            if row.kind not in KINDS:
                raise ValueError(f"Unknown kind {row.kind!r} of row {key!r}. Known: {[*KINDS]}")
            unknown = [of for of in row.of if of not in seen]
            if unknown:
                raise ValueError(
                    f"Row {key!r} rests on {unknown}. Expected rows that stand before it: {seen}"
                )
            needed = row.kind != "network" or row.settings.get("energy_weight")
            if (len(row.of) == 0) if needed else row.of:
                raise ValueError(
                    f"Row {key!r} of kind {row.kind!r} must name {'the' if needed else 'no'} row "
                    f"it rests on as `of`. Received: {row.of}"
                )
            if len(row.of) > 1 and row.kind != "best":
                raise ValueError(f"Row {key!r} can rest on one row only. Received: {row.of}")
            seen.append(key)
        named = {key for pair in self.differences for key in pair} | {*self.pictured}
        if named - {*seen}:
            raise ValueError(f"No such rows: {sorted(named - {*seen})}. Expected some of {seen}")

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Comparison:
        """From what ``dataclasses.asdict`` gives, through JSON."""
        rows = {
            key: Row(**{**row, "of": tuple(row["of"]), "settings": as_settings(row["settings"])})
            for key, row in saved["rows"].items()
        }
        pairs = [(row, reference) for row, reference in saved["differences"]]
        change = None if saved["change"] is None else tuple(saved["change"])
        return cls(rows, pairs, tuple(saved["pictured"]), change)


CRF = "+crfrnn"  # ends the name of a model that is a network and a CRF trained together

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
    for model in dict.fromkeys(key for m in models for key in (m.removesuffix(CRF), m)):
        name = model.removesuffix(CRF)
        if model.endswith(CRF):
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
    with_crf = [pair for pair in differences if pair[0].endswith(CRF)]
    change = next(iter([*with_crf, *differences]), None)
    return Comparison(rows, differences, tuple(rows), change)


def has_crf(rows: Mapping[str, Row], key: str) -> bool:
    """Whether a CRF has a part in what a row predicts.

    Example:
        >>> rows = {
        ...     "plain": Row("", "", "network"),
        ...     "offline": Row("", "", "offline", ("plain",)),
        ...     "largest": Row("", "", "largest", ("offline",)),
        ... }
        >>> [has_crf(rows, key) for key in rows]
        [False, True, True]
    """
    row = rows[key]
    passes_on = row.kind in ("flips", "bias", "largest", "best")
    return row.kind in WITH_CRF or (passes_on and any(has_crf(rows, of) for of in row.of))


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
