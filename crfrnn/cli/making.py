"""The options of `crfrnn refine` for many labels, small probabilities, and labels to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from crfrnn.cli import options, parameter_file
from crfrnn.cli.refining import Settings

OPTIONS = (
    options.IGNORE_BELOW,
    click.option(
        "--upsample",
        is_flag=True,
        help="PROBS may be smaller than their picture, as the network gives them: (h, w, L) for "
        "(H, W). Logits are upsampled before the softmax.",
    ),
    click.option(
        "--confidence",
        type=click.FloatRange(0, 1),
        metavar="P",
        help="Label maps are 255 where the most likely label has a probability below P.",
    ),
    click.option(
        "--agree-with",
        type=options.FILE,
        metavar="JSON",
        help="Parameters of a second CRF, as of --parameters; those that are missing are those of "
        "the first. Label maps are 255 where the two find different labels.",
    ),
    click.option(
        "--palette", is_flag=True, help="Write .png with the colours of Pascal VOC's label maps."
    ),
    click.option(
        "--packed",
        is_flag=True,
        help="Write .npz in 8 bits, labels that are present only, as `crfrnn pack` does.",
    ),
)


def settings(
    *, ignore_below: float | None, agree_with: Any, given: dict[str, Any], **how: Any
) -> Settings:
    """The settings of `options.settings`, and those of the options here."""
    if ignore_below is not None:
        given = {**given, "ignore_below": ignore_below}
    first = options.settings(**given)
    second = None if agree_with is None else _second(agree_with, first)
    return first._replace(**how, agree_with=second)


def _second(path: Path, first: Settings) -> dict[str, Any]:
    """The parameters of the second CRF, which sees the image as the first does."""
    content = parameter_file.read(path)
    parameters = content.pop("parameters")
    for name, value in content.items():
        if not np.array_equal(value, getattr(first, name)):
            raise ValueError(
                f"{path}: expected {name} of the first CRF, {getattr(first, name)}, or none. "
                f"Received {value}. Both CRFs see one image: leave it out, or give it to both."
            )
    return parameters
