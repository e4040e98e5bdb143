"""Test cases of a run with what its rows made of them: what the pictures and the report show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import data
from experiments import runs
from experiments.config import Config
from experiments.rows import Comparison
from experiments.train import inputs

MARGIN = 8  # points around the structures


class Ranked(NamedTuple):
    """A test case and what rows made of it."""

    case: data.Case
    gain: float  # in Dice points
    maps: dict[str, np.ndarray]  # by row, (*S)
    scores: dict[str, dict[str, Any]]  # by row, the case's metrics


class Shown(NamedTuple):
    """What is shown of one case: of one slice, the part (h, w) with the structures."""

    id: str
    gain: float  # in Dice points
    spacing: tuple[float, ...]  # of the two axes
    image: np.ndarray  # (h, w, K)
    truth: np.ndarray
    ignore: int | None  # the value of points without a true label
    background: int | None  # 0; None where label 0 is one like the others
    maps: dict[str, np.ndarray]  # by row
    scores: dict[str, dict[str, Any]]  # by row, of the whole case

    @property
    def outlined(self) -> np.ndarray:
        """The truth with 0 where there is no label."""
        return self.truth if self.ignore is None else np.where(self.labelled, self.truth, 0)

    @property
    def labelled(self) -> np.ndarray:
        """(h, w) bool: where there is a true label."""
        return self.truth != (-1 if self.ignore is None else self.ignore)


def pair(comparison: Comparison) -> tuple[str, str]:
    """The rows (after, before) whose change of Dice ranks the cases; twice the same without one.

    From U-Net to U-Net + CRF-RNN; of listed models, the first that can be compared.
    """
    return comparison.change or (comparison.pictured[0], comparison.pictured[0])


def ranked(
    config: Config,
    comparison: Comparison,
    results: Mapping[str, Any],
    folder: Path,
    rows: Iterable[str],
) -> list[Ranked]:
    """The test cases with the label maps of some rows of seed 0, the best change of Dice first.

    Raises:
        FileNotFoundError, ValueError: the data set or a label map is not there, or the data set has
            other test cases than the run had.
    """
    # The test cases do not depend on the seed.
    cases = inputs.split(config, seed=0)["test"]
    maps = {row: runs.read_arrays(folder / "seed-0" / f"{row}.npz") for row in rows}
    scores = {row: results["seeds"][0][row]["cases"] for row in maps}
    for row, of_row in scores.items():
        if [case.id for case in cases] != [case["id"] for case in of_row]:
            raise ValueError(
                f"the test cases are no longer those of the run: row {row!r} was tested on "
                f"{_some(case['id'] for case in of_row)}, now they are "
                f"{_some(case.id for case in cases)}. Bring the data set back as it was."
            )
    after, before = (np.array([case["dice"] for case in scores[row]]) for row in pair(comparison))
    gains = np.nan_to_num(after - before)
    return [
        Ranked(
            cases[index],
            float(gains[index]),
            {row: of_row[f"{index:05d}"] for row, of_row in maps.items()},
            {row: of_row[index] for row, of_row in scores.items()},
        )
        for index in np.argsort(-gains, kind="stable")
    ]


def spread(number: int, wanted: int) -> list[int]:
    """Some of the ranks 0..number-1, evenly from the first to the last.

    Example:
        >>> spread(60, 5)
        [0, 15, 30, 44, 59]
    """
    ranks = np.linspace(0, number - 1, min(wanted, number)).round().astype(int)
    return np.unique(ranks).tolist()


def show(tested: Ranked, config: Config, comparison: Comparison) -> Shown:
    """What is shown of a case: of a volume, the slice with most changes between its ``pair``."""
    case, truth, spacing, maps = tested.case, tested.case.label, tested.case.spacing, tested.maps
    image = case.image
    if truth.ndim == 3:
        axis, (after, before) = config.slice_axis, pair(comparison)
        others = tuple(other for other in range(3) if other != axis)
        index = int(np.argmax((maps[before] != maps[after]).sum(axis=others)))
        image, truth = np.take(image, index, axis), np.take(truth, index, axis)
        maps = {row: np.take(map_, index, axis) for row, map_ in maps.items()}
        spacing = tuple(spacing[other] for other in others)
    everything = case.background is None
    window = np.s_[:, :] if everything else _window(truth * (truth != case.ignore), maps)
    maps = {row: map_[window] for row, map_ in maps.items()}
    return Shown(
        *(case.id, tested.gain, spacing, image[window], truth[window]),
        *(case.ignore, case.background, maps, tested.scores),
    )


def seen(image: np.ndarray) -> np.ndarray:
    """An image (h, w, K) as it is drawn: three channels as colours, else the first one, (h, w)."""
    return image if image.shape[-1] == 3 else image[..., 0]


def _some(names: Iterable[str]) -> str:
    first, *rest = names
    return f"{first!r} and {len(rest)} more"


def _window(truth: np.ndarray, maps: Mapping[str, np.ndarray]) -> tuple[slice, ...]:
    """The part of the slice worth looking at: all structures with a margin."""
    foreground = np.any([truth, *maps.values()], axis=0)
    if not foreground.any():
        return tuple(slice(size) for size in foreground.shape)
    return tuple(
        slice(max(places.min() - MARGIN, 0), places.max() + MARGIN + 1)
        for places in np.nonzero(foreground)
    )
