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
from crfrnn.meanfield import absent
from crfrnn.meanfield.in_place import MeanField, pairwise_kernel
from crfrnn.meanfield.logits import logits_from_probabilities
from crfrnn.meanfield.parameters import declared
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions
from crfrnn.offline import inputs, slices
from crfrnn.offline.inputs import per_case
from crfrnn.parameters.metrics import metric as metric_named


class Cases:
    """N labelled cases, and what any CRF does on each of them.

    Whatever does not depend on the CRF is computed once, here.

    Args:
        images: N images (*S,) or (*S, K). Sizes may differ from case to case.
        probs: N arrays (*S, L).
        labels: N integer arrays (*S), 0..L-1, or `unknown`.
        metric: a name of `metrics.METRICS`. width: see `scores.label_map_score`.
        spacing: distance of neighbouring points: None, (S,) for all cases, or N of these.
        slice_axis: the CRF works on each slice across this axis by itself, the score is the whole
            volume's; None: the CRF works on the whole.
        num_iterations, normalization, ignore_below: see `refine`.
        masks: N masks (*S), or None for all points of a case; None: all points of all cases. Points
            outside have no part in kernels and scores.
        unknown: the value of points without a label, which do not count in scores; None: none.
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
        ignore_below: float = 0.0,
        masks: Sequence[np.ndarray | None] | None = None,
        unknown: int | None = None,
        workers: int | None = None,
    ):
        if not 0 < len(images) == len(probs) == len(labels):
            raise ValueError(
                "Expected as many images as probabilities and labels, at least one of each. "
                f"Received {len(images)} images, {len(probs)} probs, {len(labels)} labels. "
                "A single case goes into lists: [image], [probs], [labels]."
            )
        masks = [None] * len(images) if masks is None else masks
        if len(masks) != len(images):
            raise ValueError(f"Expected {len(images)} masks, or None. Received {len(masks)}.")
        self.metric = metric_named(metric)
        self._num_iterations = num_iterations
        self._normalization = normalization
        self._ignore_below = ignore_below
        self._slice_axis = slice_axis
        self._units: list[_Unit] = []
        self.foreground = False  # whether any case has some
        extra: list[int] = []  # of each case: labels of the network that its truth has not,
        terms: list[int] = []  # and all of both
        self._measures: list[Callable[[np.ndarray], Any]] = []
        self._splits: list[int] = []  # the units of case i end at splits[i]
        spacings = per_case(spacing, len(images))
        for case in zip(images, probs, labels, spacings, masks, strict=True):
            try:
                image, prob, label, step, mask = _checked(*case, unknown)
                self._units += _units(image, prob, step, mask, slice_axis)
                known = known_points(label, mask, unknown)
            except ValueError as error:
                raise ValueError(f"Case {len(self._measures)}: {error}") from error
            self._measures.append(
                self.metric.case(label, prob.shape[-1], spacing=step, width=width, known=known)
            )
            self._splits.append(len(self._units))
            points = ... if known is None else known
            true, found = (set(np.unique(a[points])) - {0} for a in (label, prob.argmax(-1)))
            self.foreground |= bool(true)
            extra.append(len(found - true))
            terms.append(len(found | true))
        self.absent = sum(extra) / max(sum(terms), 1)
        kinds = sorted({(unit.image.shape[-1], unit.unary.shape[-1]) for unit in self._units})
        if len(kinds) > 1:
            raise ValueError(
                "Expected cases with equal numbers of channels K and labels L. "
                f"Received (K, L) = {', '.join(map(str, kinds))}."
            )
        self._threads = ThreadPoolExecutor(workers or num_cores())
        # Units of one size without mask share it, and so do trials with the same theta_gamma.
        self._spatial_filter = functools.lru_cache(maxsize=32)(self._make_spatial_filter)

    def scores(self, crf: Mapping[str, Any]) -> np.ndarray:
        """What the metric measures of every case after refinement by a CRF.

        Args:
            crf: theta_alpha, theta_beta, theta_gamma, bilateral_weight and spatial_weight, as for
                `refine`; weights are single numbers, 0 leaves a kernel out.

        Returns:
            (N,) percent, NaN where a case has no foreground; counts (N, L, 3) for a metric of all
            cases together.
        """
        label_map = functools.partial(self._label_map, crf)
        maps = list(self._threads.map(label_map, range(len(self._units))))
        starts = [0, *self._splits[:-1]]
        return np.array(
            [
                measure(self._join(maps[start:end]))
                for measure, start, end in zip(self._measures, starts, self._splits, strict=True)
            ]
        )

    def close(self) -> None:
        """Ends the threads; what has not begun is not begun any more."""
        self._threads.shutdown(cancel_futures=True)

    def _label_map(self, crf: Mapping[str, Any], index: int) -> np.ndarray:
        """Most likely labels (*S) of one unit; 0 outside its mask, where nothing counts."""
        unit = self._units[index]
        labels = unit.unary.shape[-1]
        if not len(unit.unary):  # a slice that is outside the mask
            return np.zeros(unit.shape, int)
        kernels = []
        if weight := crf["bilateral_weight"]:
            positions = bilateral_positions(
                unit.image, crf["theta_alpha"], crf["theta_beta"], unit.spacing
            )
            smooth = self._filter(unit.taking_part(positions))
            kernels.append(pairwise_kernel(smooth, weight, "potts", labels))
        if weight := crf["spatial_weight"]:
            masked = None if unit.mask is None else index
            smooth = self._spatial_filter(unit.shape, unit.spacing, crf["theta_gamma"], masked)
            kernels.append(pairwise_kernel(smooth, weight, "potts", labels))
        unary, bound = unit.unary, absent.bound(kernels, self._ignore_below)
        if bound is not None:
            kernels, present = absent.kept(kernels, bound, unit.highest)
            unary = np.ascontiguousarray(unary[:, present])
        mean_field = MeanField(kernels, unary)
        mean_field.step(self._num_iterations)
        found = mean_field.q.argmax(-1)
        if bound is not None:
            found = present[found]
        if unit.mask is None:
            return found.reshape(unit.shape)
        label_map = np.zeros(unit.shape, found.dtype)
        label_map[unit.mask] = found
        return label_map

    def _join(self, maps: Sequence[np.ndarray]) -> np.ndarray:
        return maps[0] if self._slice_axis is None else np.stack(maps, axis=self._slice_axis)

    def _make_spatial_filter(
        self,
        shape: tuple[int, ...],
        spacing: tuple[float, ...] | None,
        theta_gamma: float,
        masked: int | None,
    ) -> NormalizedFilter:
        """masked: the unit whose mask it is for; None: for all without."""
        positions = spatial_positions(shape, theta_gamma, spacing, arrays)
        return self._filter(
            positions if masked is None else self._units[masked].taking_part(positions)
        )

    def _filter(self, positions: np.ndarray) -> NormalizedFilter:
        return build_filter(positions, normalization=self._normalization)


class _Unit(NamedTuple):
    """What one CRF works on: a whole case, or a slice of it.

    image: (1, *S, K). mask: (*S) of bool, the points that take part; None: all.
    unary: (N, L) float32 logits, of these points; highest: (L,) the largest probability of each
        label among them.
    """

    image: np.ndarray
    unary: np.ndarray
    highest: np.ndarray
    spacing: tuple[float, ...] | None
    mask: np.ndarray | None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image.shape[1:-1]

    def taking_part(self, positions: np.ndarray) -> np.ndarray:
        """Of positions (1, N, D) of all points those inside the mask."""
        return positions if self.mask is None else positions[:, self.mask.ravel()]


def _units(
    image: np.ndarray,
    probs: np.ndarray,
    spacing: tuple[float, ...] | None,
    mask: np.ndarray | None,
    axis: int | None,
) -> list[_Unit]:
    """A case, or its slices. image: (*S, K), probs: (*S, L), mask: (*S) or None."""
    masks = [mask]
    if axis is None:
        pieces = [(image, probs)]
    else:
        pieces, spacing = slices.cut(image, probs, spacing, axis)
        masks = [None] * len(pieces) if mask is None else list(np.moveaxis(mask, axis, 0))

    def unit(image: np.ndarray, probs: np.ndarray, mask: np.ndarray | None) -> _Unit:
        rows = probs.reshape(-1, probs.shape[-1]) if mask is None else probs[mask]
        unary = logits_from_probabilities(np.ascontiguousarray(rows))
        image = np.ascontiguousarray(image, np.float32)[None]
        return _Unit(image, unary, rows.max(0, initial=0), spacing, mask)

    return [unit(*piece, mask) for piece, mask in zip(pieces, masks, strict=True)]


def _checked(
    image: Any, probs: Any, labels: Any, spacing: Any, mask: Any, unknown: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, ...] | None, np.ndarray | None]:
    """Image (*S, K), probabilities (*S, L), labels (*S), spacing (S,), mask (*S) of one case."""
    mask = inputs.mask_of(mask, np.shape(probs)[:-1])
    image, probs = inputs.case(image, probs, mask)
    grid = probs.shape[:-1]
    labels = inputs.label_map(labels, probs.shape[-1], grid, unknown)
    checks.fit(declared("spacing"), {"spacing": spacing}, {"S": len(grid)})
    if spacing is not None:
        spacing = tuple(map(float, np.broadcast_to(spacing, len(grid))))
    return image, probs, labels, spacing, mask


def known_points(
    labels: np.ndarray, mask: np.ndarray | None, unknown: int | None
) -> np.ndarray | None:
    """Which points (*S) count in scores; None: all."""
    known = None if unknown is None else labels != unknown
    if mask is not None:
        known = mask if known is None else known & mask
    if known is not None and not known.any():
        raise ValueError(
            "Expected labels at some point that counts. Received none but points that are unknown "
            "or outside the mask."
        )
    return known
