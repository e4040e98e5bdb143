"""The differences of a setting, and in one word what each of them says."""

from __future__ import annotations

from typing import NamedTuple

from experiments.score import stats
from experiments.show.results import Outcome

MARGIN = 0.5  # Dice points: a smaller change is of no use to anybody
LEVEL = 0.05


class Difference(NamedTuple):
    """Two rows compared by Dice.

    row, reference: names. comparison: of row minus reference. p_holm: Wilcoxon's p-value, corrected
    for all comparisons of the setting. verdict: "gain" or "loss" if the 95 % interval over cases
    and seeds excludes 0 and p_holm is below LEVEL; if neither, "equivalent" if the difference is
    shown to be within MARGIN, else "not decided". within_margin: whether it is shown to be, which
    a gain can be, too.
    """

    row: str
    reference: str
    comparison: stats.Estimate
    p_holm: float
    verdict: str
    within_margin: bool

    @property
    def words(self) -> str:
        """The verdict as the tables have it."""
        return in_words(self.verdict, self.within_margin, MARGIN)


def in_words(verdict: str, within_margin: bool, margin: float) -> str:
    """A verdict with its margin, where that was kept.

    Example:
        >>> [in_words("equivalent", True, 0.5), *(in_words("gain", within, 1) for within in (1, 0))]
        ['equivalent within 0.5', 'gain, within 1', 'gain']
    """
    if verdict == "equivalent":
        return f"equivalent within {margin:g}"
    return f"{verdict}, within {margin:g}" if within_margin else verdict


def differences(setting: Outcome) -> list[Difference]:
    """All pairs that a setting compares, with their verdicts."""
    found = [setting.comparison(*pair) for pair in setting.pairs]
    corrected, judged = stats.holm([one.p_value for one in found]), []
    for pair, one, p in zip(setting.pairs, found, corrected, strict=True):
        within_margin = setting.equivalent(*pair, MARGIN)
        low, high = one.over_both
        if p < LEVEL and (low > 0 or high < 0):
            verdict = "gain" if low > 0 else "loss"
        else:
            verdict = "equivalent" if within_margin else "not decided"
        judged.append(Difference(*pair, one, float(p), verdict, within_margin))
    return judged


def verdict(setting: Outcome, row: str, reference: str) -> str:
    """What the difference of two rows is called.

    Raises:
        ValueError: if the setting does not compare them.
    """
    found = [one for one in differences(setting) if (one.row, one.reference) == (row, reference)]
    if not found:
        raise ValueError(
            f"{setting.name} does not compare {row!r} with {reference!r}. It compares "
            f"{', '.join(' with '.join(pair) for pair in setting.pairs)}."
        )
    return found[0].words
