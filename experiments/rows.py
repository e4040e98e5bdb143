"""The rows of the table: one name, one meaning, wherever they appear."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A row's title in tables and pictures, and what was done to get it."""

    title: str
    meaning: str


# All start from the same pre-trained U-Net and get the same number of further updates.
ROWS = {
    "plain": Row("U-Net", "the U-Net trained on; the reference of all differences"),
    "plain_again": Row(
        "U-Net, other batch order",
        "the same once more with the batches in another order: the noise floor. A difference "
        "no larger than this row's is not evidence",
    ),
    "offline": Row(
        "U-Net + offline CRF",
        'the row "U-Net", refined by a dense CRF whose parameters ("off" included) had the best '
        "Dice on the validation split; nothing is trained",
    ),
    "joint": Row(
        "U-Net + CRF-RNN",
        'U-Net and CRF trained together on the batches of "U-Net"; the CRF starts from the values '
        "found for the offline CRF",
    ),
    "joint_unaries": Row(
        "U-Net + CRF-RNN, unaries",
        "what the jointly trained U-Net says before its CRF: the part of the row above that the "
        "network has, not the CRF",
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
