"""What the command says about what it did."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from crfrnn.cli.refining import Outcome
from crfrnn.meanfield.parameters import WEIGHTS

ADVICE = "A few labelled cases and `crfrnn search` would tell."


def why(outcome: Outcome) -> str:
    """The reasons of a guess, in one line.

    Example:

    >>> why(Outcome({}, ("theta_beta",), 0.0, 1.0, (), "The image is noise.", sure=False))
    'The image is noise. A few labelled cases and `crfrnn search` would tell.'
    """
    return outcome.reasons if outcome.sure else f"{outcome.reasons} {ADVICE}"


def of_folder(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Lines about the cases of a folder: how much changed, and what the guesses are worth.

    Example:

    >>> cases = [Outcome({}, (), changed, 1.0, ()) for changed in (0.0, 0.02, 0.004)]
    >>> list(of_folder(cases))
    ['Points with another label: median 0.40 %, from 0.00 to 2.00 %. Left as they were: 1 of 3.']
    """
    if not outcomes:
        return
    changed = [100 * outcome.changed for outcome in outcomes]
    yield (
        f"Points with another label: median {statistics.median(changed):.2f} %, from "
        f"{min(changed):.2f} to {max(changed):.2f} %. "
        f"Left as they were: {changed.count(0)} of {len(changed)}."
    )
    unsure = [outcome for outcome in outcomes if not outcome.sure]
    if unsure:
        out = sum(not any(outcome.parameters[name] for name in WEIGHTS) for outcome in unsure)
        left_out = f", and leaves the CRF out for {out}" if out else ""
        yield (
            f"The guess is not sure for {len(unsure)} of {len(outcomes)} cases, whose images do "
            f"not show all that the probabilities say{left_out}. {ADVICE}"
        )
