"""The classical front end, of the time before networks: a random forest on filter responses."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from experiments.rows.kind import Kind, Scores
from experiments.train.inputs import VOID

TREES, LEAF = 100, 5
# A forest cannot say less of a label than one point of one leaf.
LEAST = 1 / (TREES * LEAF)
POINTS = 100_000  # of the training cases, drawn at random, for trees that stay small
NARROWEST, WIDEST = 0.5, 8.0  # standard deviations in points; three doublings lie between


class Forest(Kind, kind="forest"):
    """A random forest that sees, at each point, responses of filters of several widths.

    Reference:
        The family of J. Shotton et al., "TextonBoost", ECCV 2006, and "Semantic texton forests",
        CVPR 2008, in the form that Weka's segmentation and ilastik have.
    """

    packages: ClassVar = {"skimage": "scikit-image", "sklearn": "scikit-learn"}

    @classmethod
    def rests_on(cls, settings: Mapping[str, Any]) -> tuple[int, float]:
        return 0, 0

    @functools.cached_property
    def forest(self) -> Any:
        """Trained on labelled points of the training slices."""
        from sklearn.ensemble import RandomForestClassifier

        slices = self.inputs.train
        known = np.flatnonzero(slices.labels != VOID)
        rng = np.random.default_rng(self.bench.seed)
        chosen = np.sort(rng.permutation(known)[:POINTS])
        per_slice, seen = slices.labels[0].size, []
        for number in np.unique(chosen // per_slice):
            here = chosen[chosen // per_slice == number] % per_slice
            found = responses(slices.images[number])
            seen.append(found.reshape(-1, found.shape[-1])[here])
        forest = RandomForestClassifier(
            TREES,
            min_samples_leaf=LEAF,
            n_jobs=self.config.threads,
            random_state=self.bench.seed,
        )
        forest.fit(np.concatenate(seen), slices.labels.ravel()[chosen])
        # Threads add up the answers of the trees in the order in which they end.
        return forest.set_params(n_jobs=1)

    def scores(self, split: str) -> Scores:
        slices, number = getattr(self.inputs, split), self.inputs.num_labels
        return [
            np.stack([classified(self.forest, image, number) for image in case])
            for case in slices.per_case(slices.images)
        ]


def responses(image: np.ndarray) -> np.ndarray:
    """What a forest sees of an image (*S, K): (*S, F) float32.

    Of each channel at five widths: its mean, the steepness of its edges, and the eigenvalues of its
    Hessian, which tell blobs from lines.
    """
    from skimage.feature import multiscale_basic_features

    return multiscale_basic_features(image, sigma_min=NARROWEST, sigma_max=WIDEST, channel_axis=-1)


def classified(forest: Any, image: np.ndarray, num_labels: int) -> np.ndarray:
    """Logits (*S, L) of a trained forest; labels that it has never seen have the least."""
    seen = responses(image)
    probs = np.full((*image.shape[:-1], num_labels), LEAST, "float32")
    answers = forest.predict_proba(seen.reshape(-1, seen.shape[-1]))
    probs[..., forest.classes_] = answers.reshape(*image.shape[:-1], -1)
    return np.log(np.maximum(probs, LEAST))
