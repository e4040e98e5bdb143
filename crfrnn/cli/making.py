"""The options of `crfrnn refine` for many labels, small probabilities, and labels to train on."""

from __future__ import annotations

from typing import Any

import click

from crfrnn.cli import options, parameter_file
from crfrnn.cli.refining import Settings

OPTIONS = (
    click.option(
        "--ignore-below",
        type=click.FloatRange(0),
        metavar="P",
        help="Leave out labels whose probability is below P at every point, such as 0.001: the "
        "time is in proportion to the labels that remain.",
    ),
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
    second = None if agree_with is None else parameter_file.read(agree_with)["parameters"]
    return options.settings(**given)._replace(**how, agree_with=second)
