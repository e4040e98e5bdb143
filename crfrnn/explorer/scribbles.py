"""Probabilities from a few strokes: a random forest on colours and texture, as ilastik has it."""

from __future__ import annotations

import functools

import numpy as np

from crfrnn.optional import needed

_SCALES = (1.5, 4.0)  # points, of what surrounds a point
_TREES, _DEPTH = 24, 10
_MOST = 3000  # points of a label that it learns from
_MANY = 2**16  # points of a picture of which every second, along both axes, is classified
_NEAR, _FAR = (
    7 / 64,
    0.02,
)  # as in docs/explorer/colours.js: of the longer side; what is left far away
_LEAST, _SURE = 0.02, 0.999


class Strokes:
    """Learns from strokes on one picture.

    Args:
        image: (H, W, K), finite.

    Raises:
        ImportError: scikit-learn is missing.
    """

    def __init__(self, image: np.ndarray):
        needed("sklearn", "Strokes", "explorer")
        self.image = image

    @functools.cached_property
    def _features(self) -> np.ndarray:
        """(H, W, F): each channel, and of its surroundings mean, deviation and steepness."""
        from scipy import ndimage

        found = []
        for channel in np.moveaxis(self.image.astype(np.float32), -1, 0):
            found.append(channel)
            for scale in _SCALES:
                mean = ndimage.gaussian_filter(channel, scale)
                square = ndimage.gaussian_filter(channel * channel, scale)
                steep = ndimage.gaussian_gradient_magnitude(channel, scale)
                found += [mean, np.sqrt(np.maximum(square - mean * mean, 0)), steep]
        return np.stack(found, -1)

    def probabilities(self, strokes: np.ndarray, num_labels: int) -> np.ndarray:
        """Probabilities (H, W, L), float32.

        Args:
            strokes: (H, W) of whole numbers, 1 + the label of a stroke, 0 where there is none; two
                labels or more.
            num_labels: L.
        """
        from scipy import ndimage
        from sklearn.ensemble import RandomForestClassifier

        features = self._features
        rng = np.random.default_rng(0)
        drawn = [np.flatnonzero(strokes == 1 + label) for label in range(num_labels)]
        chosen = [
            places if len(places) <= _MOST else rng.choice(places, _MOST, replace=False)
            for places in drawn
        ]
        samples = np.concatenate(chosen)
        rows = features.reshape(-1, features.shape[-1])
        forest = RandomForestClassifier(
            _TREES, max_depth=_DEPTH, class_weight="balanced", random_state=0
        )
        forest.fit(rows[samples], strokes.ravel()[samples])
        every = 2 if strokes.size > _MANY else 1
        asked = features[::every, ::every]
        answers = forest.predict_proba(asked.reshape(-1, asked.shape[-1]))
        probs = np.zeros((*asked.shape[:2], num_labels), np.float32)
        probs[..., forest.classes_ - 1] = answers.reshape(*asked.shape[:2], -1)
        probs = probs.repeat(every, 0).repeat(every, 1)[: strokes.shape[0], : strokes.shape[1]]
        reach = _NEAR * max(strokes.shape)
        for label in forest.classes_ - 1:
            away = ndimage.distance_transform_edt(strokes != 1 + label)
            near = _FAR + (1 - _FAR) * np.exp(-0.5 * np.square(away / reach))
            probs[..., label] = (probs[..., label] + 1e-3) * near
        probs /= probs.sum(-1, keepdims=True)
        probs = _LEAST / num_labels + (1 - _LEAST) * probs
        known = strokes > 0
        probs[known] = (1 - _SURE) / (num_labels - 1)
        probs[known, strokes[known] - 1] = _SURE
        return probs.astype(np.float32)
