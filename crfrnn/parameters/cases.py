"""Labelled cases on which CRFs are tried, one after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from crfrnn import arrays, checks
from crfrnn.cores import num_cores
from crfrnn.filtering.make_filter import build_filter
from crfrnn.filtering.normalized import NormalizedFilter
from crfrnn.meanfield.in_place import MeanField, pairwise_kernel
from crfrnn.meanfield.logits import logits_from_probabilities
from crfrnn.meanfield.parameters import declared
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions
from crfrnn.offline import inputs, slices
from crfrnn.offline.inputs import per_case
from crfrnn.parameters import scores


class Cases:
    """N labelled cases, and the score of any CRF on each of them.

    Whatever does not depend on the CRF is computed once, here.

    Args:
        images: N images (*S,) or (*S, K). Sizes may differ from case to case.
        probs: N arrays (*S, L).
        labels: N integer arrays (*S), 0..L-1.
        metric, width: see `scores.label_map_score`.
        spacing: distance of neighbouring points: None, (S,) for all cases, or N of these.
        slice_axis: the CRF works on each slice across this axis by itself, the score is the whole
            volume's; None: the CRF works on the whole.
        num_iterations, normalization: see `refine`.
        workers: threads over cases; None: as many as there are cores. Does not change results.

    Raises:
        ValueError: lists of different lengths, or shapes and labels that do not fit together.

    Example:

    >>> image = np.repeat([0.0, 1.0], 3)[None]  # (1, 6): an edge in the middle
    >>> foreground = np.array([[0.1, 0.6, 0.1, 0.9, 0.9, 0.4]])  # wrong at two points
    >>> cases = Cases([image], [np.stack([1 - foreground, foreground], -1)], [image.astype(int)])
    >>> off = {"theta_alpha": 10, "theta_beta": 0.1, "theta_gamma": 1,
    ...        "bilateral_weight": 0, "spatial_weight": 0}
    >>> cases.scores(off), cases.scores({**off, "bilateral_weight": 5})
    (array([66.66666667]), array([100.]))
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        probs: Sequence[np.ndarray],
        labels: Sequence[np.ndarray],
        *,
        metric: str = "dice",
        width: float = 2.0,
        spacing: Any = None,
        slice_axis: int | None = None,
        num_iterations: int = 5,
        normalization: str = "after",
        workers: int | None = None,
    ):
        if not 0 < len(images) == len(probs) == len(labels):
            raise ValueError(
                "Expected as many images as probabilities and labels, at least one of each. "
                f"Received {len(images)} images, {len(probs)} probs, {len(labels)} labels. "
                "A single case goes into lists: [image], [probs], [labels]."
            )
        self._num_iterations = num_iterations
        self._normalization = normalization
        self._slice_axis = slice_axis
        self._units: list[_Unit] = []
        self._scores: list[Callable[[np.ndarray], float]] = []
        self._splits: list[int] = []  # the units of case i end at splits[i]
        for case in zip(images, probs, labels, per_case(spacing, len(images)), strict=True):
            try:
                image, prob, label, step = _checked(*case)
                self._units += _units(image, prob, step, slice_axis)
            except ValueError as error:
                raise ValueError(f"Case {len(self._scores)}: {error}") from error
            self._scores.append(
                scores.label_map_score(label, prob.shape[-1], metric, spacing=step, width=width)
            )
            self._splits.append(len(self._units))
        kinds = sorted({(unit.image.shape[-1], unit.unary.shape[-1]) for unit in self._units})
        if len(kinds) > 1:
            raise ValueError(
                "Expected cases with equal numbers of channels K and labels L. "
                f"Received (K, L) = {', '.join(map(str, kinds))}."
            )
        self._threads = ThreadPoolExecutor(workers or num_cores())
        # Units of one size share it, and so do trials with the same theta_gamma.
        self._spatial_filter = functools.lru_cache(maxsize=32)(self._make_spatial_filter)

    def scores(self, crf: Mapping[str, Any]) -> np.ndarray:
        """Score of every case after refinement by a CRF.

        Args:
            crf: theta_alpha, theta_beta, theta_gamma, bilateral_weight and spatial_weight, as for
                `refine`; weights are single numbers, 0 leaves a kernel out.

        Returns:
            (N,) percent; NaN where a case has no foreground.
        """
        maps = list(self._threads.map(functools.partial(self._label_map, crf), self._units))
        starts = [0, *self._splits[:-1]]
        return np.array(
            [
                score(self._join(maps[start:end]))
                for score, start, end in zip(self._scores, starts, self._splits, strict=True)
            ]
        )

    def close(self) -> None:
        """Ends the threads; what has not begun is not begun any more."""
        self._threads.shutdown(cancel_futures=True)

    def _label_map(self, crf: Mapping[str, Any], unit: _Unit) -> np.ndarray:
        """Most likely labels (*S) of one unit."""
        labels = unit.unary.shape[-1]
        kernels = []
        if weight := crf["bilateral_weight"]:
            positions = bilateral_positions(
                unit.image, crf["theta_alpha"], crf["theta_beta"], unit.spacing
            )
            kernels.append(pairwise_kernel(self._filter(positions), weight, "potts", labels))
        if weight := crf["spatial_weight"]:
            smooth = self._spatial_filter(unit.shape, unit.spacing, crf["theta_gamma"])
            kernels.append(pairwise_kernel(smooth, weight, "potts", labels))
        mean_field = MeanField(kernels, unit.unary)
        mean_field.step(self._num_iterations)
        return mean_field.q.argmax(-1).reshape(unit.shape)

    def _join(self, maps: Sequence[np.ndarray]) -> np.ndarray:
        return maps[0] if self._slice_axis is None else np.stack(maps, axis=self._slice_axis)

    def _make_spatial_filter(
        self, shape: tuple[int, ...], spacing: tuple[float, ...] | None, theta_gamma: float
    ) -> NormalizedFilter:
        return self._filter(spatial_positions(shape, theta_gamma, spacing, arrays))

    def _filter(self, positions: np.ndarray) -> NormalizedFilter:
        return build_filter(positions, normalization=self._normalization)


class _Unit(NamedTuple):
    """What one CRF works on: a whole case, or a slice of it.

    image: (1, *S, K). unary: (N, L) float32 logits.
    """

    image: np.ndarray
    unary: np.ndarray
    spacing: tuple[float, ...] | None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image.shape[1:-1]


def _units(
    image: np.ndarray, probs: np.ndarray, spacing: tuple[float, ...] | None, axis: int | None
) -> list[_Unit]:
    """A case, or its slices. image: (*S, K), probs: (*S, L)."""
    if axis is None:
        pieces = [(image, probs)]
    else:
        pieces, spacing = slices.cut(image, probs, spacing, axis)
    return [
        _Unit(
            np.ascontiguousarray(image, np.float32)[None],
            logits_from_probabilities(np.ascontiguousarray(probs)).reshape(-1, probs.shape[-1]),
            spacing,
        )
        for image, probs in pieces
    ]


def _checked(
    image: Any, probs: Any, labels: Any, spacing: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, ...] | None]:
    """Image (*S, K), probabilities (*S, L), labels (*S) and spacing (S,) or None of one case."""
    image, probs = inputs.case(image, probs)
    grid = probs.shape[:-1]
    labels = inputs.label_map(labels, probs.shape[-1], grid)
    checks.fit(declared("spacing"), {"spacing": spacing}, {"S": len(grid)})
    if spacing is not None:
        spacing = tuple(map(float, np.broadcast_to(spacing, len(grid))))
    return image, probs, labels, spacing
