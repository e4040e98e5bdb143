"""Cases as the networks see them: slices, or volumes whole, of one size, with padding marked.

Padding must not enter any result. So it has label ``VOID``, which the losses skip, and is cut off
before any metric; and in the image the CRF compares, it has the intensity ``FAR``, so that the
bilateral kernel never joins it with a real point (the U-Net sees the border repeated instead, as
a constant it never meets in an image would spoil its statistics), and for the energy it is no point
at all. The spatial kernel of a CRF, which knows no intensity, reaches over the last theta_gamma or
so of a padded border; there is background there.

Points of the data set without a label (``ignore`` in its dataset.json) have the label ``VOID``,
too, but are points of the image: kernels see them, and the energy, which asks for no labels.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

import data
from experiments.config import Config
from experiments.train.walks import best_beta, propagated

VOID = 255  # no label, whatever value that has in the data set; no class, as there are fewer

# Images are in [0, 1] and no study has a theta_beta above 1.5: exp(-0.5 (10 / 1.5)^2) < 1e-9.
FAR = -10.0

SIZES_STEP = 64  # points
_SIZES = {"train": "train_cases", "val": "validation_cases", "test": "test_cases"}  # by split

TINY = 1e-12  # below any probability that matters; its logarithm is finite


@dataclasses.dataclass(frozen=True)
class Slices:
    """Slices of some cases, in the order of the cases.

    Points *S are those of an image (H, W), or of a volume (D, H, W) that is not cut: it is its own
    only slice then, as a 2-D case always is.

    Attributes:
        cases: the N cases.
        images: (B, *S, K) float32 in [0, 1], the border repeated where padded.
        references: the same with ``FAR`` where padded: what a CRF compares.
        labels: (B, *S) int32, ``VOID`` where padded and where there is no label.
        axis: the axis across which volumes were cut; None if they are whole.
        weights: (B, *S) float32 of each point in the cross-entropy; None = all the same.
    """

    cases: Sequence[data.Case]
    images: np.ndarray
    references: np.ndarray
    labels: np.ndarray
    axis: int | None
    weights: np.ndarray | None = None
    step: int = 0  # in the sizes at which networks see slices, when sizes differ; 0 = all at one
    tile: int = 0  # side of what a network sees at once of larger slices; 0 = all

    @property
    def present(self) -> np.ndarray:
        """(B, *S) bool: what is no padding."""
        return self.references[..., 0] != FAR

    def sizes(self) -> np.ndarray:
        """(B, axes): the points of each slice without its padding, which is behind it."""
        present, axes = self.present, range(1, self.labels.ndim)
        at_the_start = (
            tuple(slice(None) if other in (0, axis) else 0 for other in (0, *axes)) for axis in axes
        )
        return np.stack([present[places].sum(axis=1) for places in at_the_start], axis=1)

    def alike(self) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        """Sizes at which networks see slices, each with the numbers of its slices."""
        full = np.array(self.labels.shape[1:])
        if not self.step:
            yield tuple(full), np.arange(len(self.images))
            return
        sizes = np.minimum(-(-self.sizes() // self.step) * self.step, full)
        for size in np.unique(sizes, axis=0):
            yield tuple(size), np.flatnonzero((sizes == size).all(axis=1))

    def per_case(self, arrays: np.ndarray) -> list[np.ndarray]:
        """Cut arrays (B, *S, ...) into one (slices, *s, ...) per case, without padding."""
        sizes = [_as_slices(case.label, self.axis).shape for case in self.cases]
        parts = np.split(arrays, np.cumsum([number for number, *_ in sizes])[:-1])
        return [
            part[(slice(None), *map(slice, size))]
            for part, (_, *size) in zip(parts, sizes, strict=True)
        ]

    def restore(self, slices: np.ndarray, case: data.Case) -> np.ndarray:
        """Slices of one case (slices, *s) back to the axes of its label map."""
        whole = case.label.ndim == 2 or self.axis is None
        return slices[0] if whole else np.moveaxis(slices, 0, self.axis)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The three splits of one repetition, all slices of one size, and what labels there are.

    num_labels: L. background: whether label 0 is a background, and not one like the others.
    """

    train: Slices
    validation: Slices
    test: Slices
    num_labels: int
    background: bool


def split(config: Config, seed: int) -> dict[str, list[data.Case]]:
    """The "train", "val" and "test" cases of one repetition.

    The seed chooses the training cases where not all are used; validation and test cases are the
    same for all seeds, or with ``folds`` each seed's own. Whole groups are for one split each; a
    number of cases is taken group by group, or in turn from all groups of a split where the
    configuration says so, or where one group would stand alone. Raises what ``data.load`` raises,
    and ValueError for too few cases.
    """
    cases = data.load(config.dataset)
    sizes = {name: getattr(config, key) for name, key in _SIZES.items()}
    given = {name: size for name, size in sizes.items() if size is not None}
    try:
        parts = _split(cases, config, seed, given)
    except ValueError as error:
        raise ValueError(
            f"{config.dataset!r} has {len(cases)} cases: {error} In the configuration these are "
            f"{_asked(sizes)} (options --train-cases etc.)."
        ) from None
    if config.spread_cases or any(_alone(part) for part in parts.values()):
        spread = _spread(_split(cases, config, seed, {}), sizes)
        if config.spread_cases and spread is None:
            raise ValueError(
                f"spread_cases: the groups of {config.dataset!r} that are for a split have fewer "
                f"cases than asked for, {_asked(sizes)}. Lower these, or leave spread_cases out."
            )
        parts = spread or parts
    if config.scale != 1:
        for part in parts.values():
            part[:] = [data.resize(case, config.scale) for case in part]
    return parts


def _split(
    cases: Sequence[data.Case], config: Config, seed: int, sizes: Mapping[str, int]
) -> dict[str, list[data.Case]]:
    fold = (seed % config.folds, config.folds) if config.folds else None
    return data.split(cases, subset=seed, fold=fold, **sizes)


def _asked(sizes: Mapping[str, int | None]) -> str:
    return ", ".join(f"{_SIZES[name]}={size}" for name, size in sizes.items())


def _alone(part: Sequence[data.Case]) -> bool:
    """Whether several cases are all of one group, whose intervals nobody can give."""
    return len(part) > 1 and len({case.group for case in part}) == 1


def _spread(
    parts: dict[str, list[data.Case]], sizes: Mapping[str, int | None]
) -> dict[str, list[data.Case]] | None:
    """As many cases, taken in turn from all groups that are for a split; None for too few."""
    for name, size in sizes.items():
        seen: collections.Counter[str] = collections.Counter()
        turns = []
        for case in parts[name]:
            turns.append(seen[case.group])
            seen[case.group] += 1
        order = np.argsort(turns, kind="stable")
        parts[name] = [parts[name][index] for index in order[:size]]
        if size is not None and len(parts[name]) < size:
            return None
    return parts


def load(config: Config, seed: int) -> Inputs:
    """Load, split and slice the data set of a configuration; arguments and errors as of `split`."""
    parts = split(config, seed)
    weak, _, walker = config.labels.partition("+")
    if weak != "full":
        parts["train"] = [
            data.weaken(case, weak, seed, config.slice_axis) for case in parts["train"]
        ]
    num_labels = len(data.labels(config.dataset))
    if walker:
        axis, validation = config.slice_axis, parts["val"]
        few = [data.weaken(case, weak, seed, axis) for case in validation]
        beta = config.walker_beta or best_beta(validation, few, num_labels, axis)
        parts["train"] = [propagated(case, num_labels, axis, beta=beta) for case in parts["train"]]
    if config.volumes and any(case.label.ndim < 3 for cases in parts.values() for case in cases):
        raise ValueError(
            f"volumes: {config.dataset!r} has images (H, W), not volumes (D, H, W). Leave it out."
        )
    axis = None if config.volumes else config.slice_axis
    cut = {name: _cut(cases, axis) for name, cases in parts.items()}
    # One size for all splits, so that every network is compiled once.
    shape = np.max([case.label.shape for cases in cut.values() for case in cases], axis=0)
    slices = {name: _pad(parts[name], cut[name], shape, config) for name in parts}
    train = _join([slices[name] for name in config.train_on.split("+")])
    train = _weighted(train, config, num_labels)
    background = parts["train"][0].background is not None
    return Inputs(train, slices["val"], slices["test"], num_labels, background)


def batch_indices(num_slices: int, batch_size: int, order_seed: int, step: int) -> np.ndarray:
    """The slices in the batch of one step: a pure function, so that a resumed run sees the same.

    Epoch after epoch, the slices in a new random order; a batch may span two epochs. Returns
    (batch_size,) indices in 0..num_slices-1.

    Example:
        >>> sorted(batch_indices(4, 2, 7, 0).tolist() + batch_indices(4, 2, 7, 1).tolist())
        [0, 1, 2, 3]
    """
    epochs, places = np.divmod(step * batch_size + np.arange(batch_size), num_slices)
    order = {
        epoch: np.random.default_rng([order_seed, epoch]).permutation(num_slices)
        for epoch in np.unique(epochs)
    }
    return np.array([order[epoch][place] for epoch, place in zip(epochs, places, strict=True)])


def _cut(cases: Sequence[data.Case], axis: int | None) -> list[data.Case]:
    if axis is None:
        return list(cases)
    return [
        piece
        for case in cases
        for piece in ([case] if case.label.ndim == 2 else data.slices([case], axis))
    ]


def _pad(
    cases: Sequence[data.Case],
    pieces: Sequence[data.Case],
    shape: Sequence[int],
    config: Config,
) -> Slices:
    images, labels, mask = data.batch(pieces, shape, multiple=2**config.depth)
    labels = labels.astype("int32")
    without = [-1 if piece.ignore is None else piece.ignore for piece in pieces]
    shape_of_one = (1,) * (labels.ndim - 1)
    return Slices(
        cases=cases,
        images=images,  # (B, *S, K)
        references=np.where(mask[..., None], images, np.float32(FAR)),
        labels=np.where(mask & (labels != np.reshape(without, (-1, *shape_of_one))), labels, VOID),
        axis=None if config.volumes else config.slice_axis,
        # Coarse, as networks are compiled for each size; a multiple of what a U-Net divides by.
        step=max(SIZES_STEP, 2**config.depth) if config.crop or config.tile else 0,
        tile=config.tile,
    )


def _join(parts: Sequence[Slices]) -> Slices:
    names = ("images", "references", "labels")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return dataclasses.replace(
        parts[0], cases=[case for part in parts for case in part.cases], **arrays
    )


def _weighted(slices: Slices, config: Config, num_labels: int) -> Slices:
    if config.point_weights == "none":
        return slices
    from unet import weight_maps  # imports Keras, which the waiting process does not need

    if config.point_weights == "edges":
        maps = [weight_maps.edge_weights(one, ignore_class=VOID) for one in slices.labels]
        return dataclasses.replace(slices, weights=np.stack(maps))
    per_label = weight_maps.class_weights(slices.labels, num_labels, ignore_class=VOID)
    # Points without label have weight 0 in the loss already.
    per_label = np.append(per_label, np.zeros(VOID + 1 - num_labels)).astype("float32")
    return dataclasses.replace(slices, weights=per_label[slices.labels])


def _as_slices(label: np.ndarray, axis: int | None) -> np.ndarray:
    return label[None] if label.ndim == 2 or axis is None else np.moveaxis(label, axis, 0)


def log(probabilities: np.ndarray) -> np.ndarray:
    """Logits that say the same."""
    return np.log(np.maximum(probabilities, TINY))
