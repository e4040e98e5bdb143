"""The rows of the table: one name, one meaning, wherever they appear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """A row's title in tables and pictures, and what was done to get it."""

    title: str
    meaning: str
    kind: str  # of training: one of ROWS
    network: str | None = None  # a name of unet.names(); None = the configured one

    @property
    def result(self) -> str:
        """Its result file in the folder of a seed, without the ending."""
        return f"{self.network}/{self.kind}" if self.network else self.kind


class Comparison(NamedTuple):
    """What is compared with what."""

    rows: dict[str, Row]  # by key in results.json
    differences: Sequence[tuple[str, str]]  # pairs (row, reference) the table subtracts
    pictured: Sequence[str]
    change: tuple[str, str] | None  # the pair (row, reference) that ranks and ends the pictures


CRF = "+crfrnn"  # ends the name of a model that is a network and a CRF trained together

# The main job's; comparison() names another network in its place. All start from the same
# pre-trained U-Net and get the same number of further updates.
ROWS = {
    "plain": Row("U-Net", "the U-Net trained on; the reference of all differences", "plain"),
    "plain_again": Row(
        "U-Net, other batch order",
        "the same once more with the batches in another order: the noise floor. A difference "
        "no larger than this row's is not evidence",
        "plain_again",
    ),
    "offline": Row(
        "U-Net + offline CRF",
        'the row "U-Net", refined by a dense CRF whose parameters ("off" included) had the best '
        "Dice on the validation split; nothing is trained",
        "offline",
    ),
    "joint": Row(
        "U-Net + CRF-RNN",
        'U-Net and CRF trained together on the batches of "U-Net"; the CRF starts from the values '
        "found for the offline CRF",
        "joint",
    ),
    "joint_unaries": Row(
        "U-Net + CRF-RNN, unaries",
        "what the jointly trained U-Net says before its CRF: the part of the row above that the "
        "network has, not the CRF",
        "joint_unaries",
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
    alone = [model for model in models if not model.endswith(CRF)]
    for model in models:
        network = model.removesuffix(CRF)
        kind = "joint" if model.endswith(CRF) else "plain"
        meaning = {
            "plain": f"the network {network}, pre-trained and trained on",
            "joint": f"the pre-trained {network} and a CRF trained together; the CRF starts from "
            "the values with the best Dice on the validation split",
        }
        rows[model] = Row(model, meaning[kind], kind, network)
        if kind == "joint" and network in alone:
            differences.append((model, network))
        elif kind == "plain" and model != alone[0]:
            differences.append((model, alone[0]))
    with_crf = [pair for pair in differences if pair[0].endswith(CRF)]
    change = next(iter([*with_crf, *differences]), None)
    return Comparison(rows, differences, tuple(rows), change)


def _of_network(row: Row, network: str) -> Row:
    if network == "unet":
        return row
    texts = (text.replace("U-Net", network) for text in (row.title, row.meaning))
    return Row(*texts, row.kind)
