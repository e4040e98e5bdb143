"""Cases as the networks see them: 2-D slices of one size, with padding marked.

Padding must not enter any result. So it has label ``VOID``, which the losses skip, and is cut off
before any metric; and in the image the CRF compares, it has the intensity ``FAR``, so that the
bilateral kernel never joins it with a real point (the U-Net sees the border repeated instead, as
a constant it never meets in an image would spoil its statistics). The spatial kernel, which knows
no intensity, reaches over the last theta_gamma or so of a padded border; there is background there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

import data
from experiments.config import Config

VOID = 255  # no label; also what data's uint8 label maps cannot contain below 255 labels

# Images are in [0, 1] and no study has a theta_beta above 1.5: exp(-0.5 (10 / 1.5)^2) < 1e-9.
FAR = -10.0


@dataclasses.dataclass(frozen=True)
class Slices:
    """Slices of some cases, in the order of the cases.

    Attributes:
        cases: the N cases; a 2-D case is its own only slice.
        images: (B, H, W, K) float32 in [0, 1], the border repeated where padded.
        references: the same with ``FAR`` where padded: what a CRF compares.
        labels: (B, H, W) int32, ``VOID`` where padded and where a weak label has none.
        axis: the axis across which volumes were cut.
        weights: (B, H, W) float32 of each point in the cross-entropy; None = all the same.
    """

    cases: Sequence[data.Case]
    images: np.ndarray
    references: np.ndarray
    labels: np.ndarray
    axis: int
    weights: np.ndarray | None = None

    def per_case(self, arrays: np.ndarray) -> list[np.ndarray]:
        """Cut arrays (B, H, W, ...) into one per case, without padding, slices first.

        Example: for two volumes of 30 and 40 slices, arrays (30, h, w, ...) and (40, h', w', ...).
        """
        sizes = [_as_slices(case.label, self.axis).shape for case in self.cases]
        ends = np.cumsum([depth for depth, _, _ in sizes])[:-1]
        return [
            part[:, :height, :width]
            for part, (_, height, width) in zip(np.split(arrays, ends), sizes, strict=True)
        ]

    def restore(self, slices: np.ndarray, case: data.Case) -> np.ndarray:
        """Slices (D, h, w) of one case back to the axes of its label map."""
        return slices[0] if case.label.ndim == 2 else np.moveaxis(slices, 0, self.axis)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The three splits of one repetition, all slices of one size, and the number of labels L."""

    train: Slices
    validation: Slices
    test: Slices
    num_labels: int


def split(config: Config, seed: int) -> dict[str, list[data.Case]]:
    """The "train", "val" and "test" cases of one repetition.

    Args:
        config: data set and numbers of cases.
        seed: chooses the training cases where not all are used. Validation and test cases are the
            same for all seeds.

    Raises:
        ValueError: from ``data.load``, or there are fewer cases than the configuration asks for.
        FileNotFoundError: from ``data.load``.
    """
    sizes = {
        "train": config.train_cases,
        "val": config.validation_cases,
        "test": config.test_cases,
    }
    cases = data.load(config.dataset)
    data.require_plain(cases, "the comparison")  # whose losses and metrics count every point
    given = {name: size for name, size in sizes.items() if size is not None}
    try:
        parts = data.split(cases, subset=seed, **given)
    except ValueError as error:
        raise ValueError(
            f"{config.dataset!r} has {len(cases)} cases: {error} In the configuration these are "
            f"train_cases={config.train_cases}, validation_cases={config.validation_cases} and "
            f"test_cases={config.test_cases} (options --train-cases etc.)."
        ) from None
    if config.scale == 1:
        return parts
    return {
        name: [data.resize(case, config.scale) for case in part] for name, part in parts.items()
    }


def load(config: Config, seed: int) -> Inputs:
    """Load, split and slice the data set of a configuration.

    Args:
        config, seed: as in :func:`split`.

    Raises:
        ValueError, FileNotFoundError: as :func:`split`.
    """
    parts = split(config, seed)
    if config.labels != "full":
        parts["train"] = [
            data.weaken(case, config.labels, seed, config.slice_axis) for case in parts["train"]
        ]
    cut = {name: _cut(cases, config.slice_axis) for name, cases in parts.items()}
    # One size for all splits, so that every network is compiled once.
    shapes = [case.label.shape for cases in cut.values() for case in cases]
    shape = tuple(int(size) for size in np.max(shapes, axis=0))
    slices = {
        name: _pad(parts[name], cut[name], shape, config.slice_axis, 2**config.depth)
        for name in parts
    }
    num_labels = len(data.labels(config.dataset))
    chosen = {"train": ("train",), "val": ("val",), "train+val": ("train", "val")}[config.train_on]
    slices["train"] = _weighted(_join([slices[name] for name in chosen]), config, num_labels)
    return Inputs(slices["train"], slices["val"], slices["test"], num_labels)


def batch_indices(num_slices: int, batch_size: int, order_seed: int, step: int) -> np.ndarray:
    """The slices in the batch of one step: a pure function, so that a resumed run sees the same.

    Epoch after epoch, the slices in a new random order; a batch may span two epochs.

    Args:
        num_slices: B > 0.
        batch_size: slices per batch.
        order_seed: chooses the order.
        step: 0, 1, ...

    Returns:
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


def _cut(cases: Sequence[data.Case], axis: int) -> list[data.Case]:
    return [
        piece
        for case in cases
        for piece in ([case] if case.label.ndim == 2 else data.slices([case], axis))
    ]


def _pad(
    cases: Sequence[data.Case],
    pieces: Sequence[data.Case],
    shape: Sequence[int],
    axis: int,
    multiple: int,
) -> Slices:
    images, labels, mask = data.batch(pieces, shape, multiple=multiple)  # (B, H, W, K), (B, H, W)
    return Slices(
        cases=cases,
        images=images,
        references=np.where(mask[..., None], images, np.float32(FAR)),
        labels=np.where(mask, labels, VOID).astype("int32"),
        axis=axis,
    )


def _join(parts: Sequence[Slices]) -> Slices:
    if len(parts) == 1:
        return parts[0]
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("images", "references", "labels")
    }
    return Slices([case for part in parts for case in part.cases], axis=parts[0].axis, **arrays)


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


def _as_slices(label: np.ndarray, axis: int) -> np.ndarray:
    return label[None] if label.ndim == 2 else np.moveaxis(label, axis, 0)
