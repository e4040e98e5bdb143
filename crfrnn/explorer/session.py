"""What a page asks and Python answers: one image, explored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.diagnosis.diagnose import diagnose
from crfrnn.explorer import shown, starting
from crfrnn.explorer.plane import Plane, seen_from
from crfrnn.explorer.scribbles import Strokes
from crfrnn.meanfield.parameters import NAMES, declared
from crfrnn.offline import inputs, slices
from crfrnn.offline.intensities import PERCENTILES
from crfrnn.offline.refine import refine
from crfrnn.parameters.first_guess import Guess, first_guess
from crfrnn.parameters.ranges import level

Arrays = dict[str, np.ndarray]
Answer = tuple[dict[str, Any], Arrays]

_UNKNOWN = 255


class Session:
    """An image that is explored: what a page and Python share.

    Args:
        image: (*S,) or (*S, K), S = (H, W) or (D, H, W).
        probs: (*S, L), L <= 255, or None: labels are drawn as strokes.
        labels: the truth, (*S), or None; 255 where it is not known.
        spacing: as for `refine`.
        crf: arguments of `refine` to start with, numbers; those that are missing are guessed.
        workflow: what else belongs into a parameter file, such as {"rescale": True}.
        save: writes the result where the user has asked for it, and returns what to say of it.
        axis: across which a volume is cut at first, 0..2. None: where it has the fewest slices.

    Attributes:
        parameters: arguments of `refine`, as the page has them now.
        axis: across which a volume is cut, or None.
    """

    def __init__(
        self,
        image: Any,
        probs: Any = None,
        labels: Any = None,
        spacing: Any = None,
        crf: Mapping[str, Any] | None = None,
        workflow: Mapping[str, Any] | None = None,
        save: Callable[[Session], str] | None = None,
        axis: int | None = None,
    ):
        image = checks.array("image", image)
        self.probs: np.ndarray | None = None
        if probs is None:
            image = inputs.finite_image(image if image.ndim > 2 else image[..., None])
            self.names = ["background", "object 1"]
        else:
            image, self.probs = inputs.case(image, probs)
            self.names = [f"label {label}" for label in range(self.probs.shape[-1])]
        grid = image.shape[:-1]
        if len(grid) not in (2, 3) or not image.size:
            raise ValueError(
                "Expected an image (H, W) or (H, W, K), or a volume (D, H, W) or (D, H, W, K), "
                f"with points. Received shape {image.shape}."
            )
        if len(self.names) > _UNKNOWN:
            raise ValueError(
                f"Expected at most {_UNKNOWN} labels: the page has a byte for each point, of which "
                f"{_UNKNOWN} means that it is not known. Received {len(self.names)}."
            )
        if axis is not None and (len(grid) != 3 or axis not in range(3)):
            raise ValueError(
                "Expected a volume to cut into slices, across an axis 0, 1 or 2. Received an image "
                f"of {len(grid)} axes, and axis {axis!r}."
            )
        sizes = {"S": len(grid), "K": image.shape[-1], "L": len(self.names)}
        checks.fit(declared("spacing"), {"spacing": spacing}, sizes)
        given = starting.numbers(dict(crf or {}), sizes)
        self.image, self.workflow, self._save = image, dict(workflow or {}), save
        self.truth = None
        if labels is not None:
            self.truth = inputs.label_map(labels, len(self.names), grid, _UNKNOWN)
        steps = np.broadcast_to(1.0 if spacing is None else spacing, len(grid))
        self.spacing = None if spacing is None else tuple(map(float, steps))
        fewest = int(np.argmin(grid)) if len(grid) == 3 else None
        self.axis = fewest if axis is None else axis
        self.index = 0 if self.axis is None else grid[self.axis] // 2
        self._limits = shown.limits(image)
        self._strokes: Strokes | None = None
        self._plane: Plane | None = None
        self._thin: dict[int, Plane] = {}
        self._one_at_a_time = threading.Lock()
        self._open()
        guess = None if probs is None or all(name in given for name in NAMES) else self._guessed()
        usable = {} if guess is None or not guess["bilateral_weight"] else dict(guess)
        side = 1.0 if self._spacing is None else min(self._spacing)
        usual = starting.usual(side * max(self._picture.shape[:2]), shown.extent(self._limits))
        self.parameters = {**usual, **usable, **given}

    def answer(self, method: str, options: dict[str, Any], arrays: Arrays | None = None) -> Answer:
        """The answer to a question of the page: what JSON can hold, and arrays by name.

        Raises:
            ValueError: a question that has no answer, in words for the page.
        """
        questions: dict[str, Callable[..., Answer]] = {
            "start": self._start,
            "slice": self._slice,
            "refine": self._refine,
            "see": self._see,
            "guess": self._guess,
            "diagnose": self._diagnose,
            "probabilities": self._probabilities,
            "learn": self._learn,
            "save": self._saved,
        }
        if method not in questions:
            raise ValueError(f"Expected one of {', '.join(questions)}. Received {method!r}.")
        with self._one_at_a_time:
            return questions[method](**options, **(arrays or {}))

    def refined(self) -> np.ndarray:
        """Probabilities (*S, L) of the whole, with the parameters that the page has now.

        A volume is refined slice by slice across `axis`, as the page shows it. Of strokes, the
        slice that is shown.
        """
        if self.axis is None or self.probs is None:
            plane = self._drawn()
            return refine(plane.image, plane.probs, spacing=plane.spacing, **self.parameters)
        pieces, spacing = slices.cut(self.image, self.probs, self.spacing, self.axis)
        made = [refine(*piece, spacing=spacing, **self.parameters) for piece in pieces]
        return np.stack(made, self.axis)

    # ---- The questions ----

    def _start(self) -> Answer:
        height, width = self._picture.shape[:2]
        within = [1.0, 1.0] if self._spacing is None else list(self._spacing)
        code: dict[str, Any] = {"spacing": None if self._spacing is None else within}
        workflow, volume, notes = dict(self.workflow), None, ""
        if workflow.get("rescale"):
            low, high = PERCENTILES
            notes += f"# image: percentiles {low} and {high} of each channel mapped to 0 and 1\n"
        if self.axis is not None:
            volume = {"sizes": self.image.shape[:-1], "axis": self.axis, "index": self.index}
            workflow["slice_axis"] = self.axis
            notes += f"# of each slice across axis {self.axis}\n"
        code["note"] = notes
        found = {
            **{"width": width, "height": height, "spacing": within},
            **{"unit": "px" if self._spacing is None else "", "labels": self.names},
            **{"high": shown.extent(self._limits), "bytes": self.image.dtype == np.uint8},
            **{"parameters": self.parameters, "volume": volume, "workflow": workflow},
            **{"scribbles": self.probs is None, "python": code},
            "saves": [["Save", "Write the labels of the whole image", "save"]]
            if self._save
            else [],
        }
        arrays = {"picture": shown.as_picture(self._picture, self._limits)}
        if self.truth is not None:
            truth = self.truth if self.axis is None else self.truth.take(self.index, self.axis)
            arrays["truth"] = truth.astype(np.uint8)
        return found, arrays

    def _slice(self, axis: int, index: int | None, parameters: dict[str, Any]) -> Answer:
        self.parameters = parameters
        self.axis, self.index = axis, self.image.shape[axis] // 2 if index is None else index
        self._open()
        return self._start()

    def _refine(
        self,
        parameters: dict[str, Any],
        iterations: int,
        view: str,
        label: int = 0,
        coarse: int = 1,
    ) -> Answer:
        self.parameters = parameters
        plane = self._drawn()
        if coarse > 1:
            if coarse not in self._thin:
                self._thin[coarse] = plane.thinned(coarse)
            plane = self._thin[coarse]
        q = plane.run(parameters, iterations)
        entropy = -np.sum(q * np.log(np.maximum(q, 1e-20)), axis=-1)
        arrays = {"labels": q.argmax(-1).astype(np.uint8)}
        if view != "labels":
            shares = q[..., label] if view == "probability" else entropy / np.log(q.shape[-1])
            arrays["layer"] = _bytes(shares)
        if coarse > 1:
            height, width = self._picture.shape[:2]
            for name, thin in arrays.items():
                arrays[name] = thin.repeat(coarse, 0).repeat(coarse, 1)[:height, :width]
        return {"entropy": float(entropy.mean())}, arrays

    def _see(self, parameters: dict[str, Any], point: list[int]) -> Answer:
        column, row = point
        seen = seen_from(self._picture, (row, column), parameters, self._spacing)
        return {}, {name: _bytes(weights) for name, weights in seen.items()}

    def _guess(self) -> Answer:
        guess = self._guessed()
        return {"parameters": dict(guess), "reasons": guess.reasons}, {}

    def _diagnose(self, parameters: dict[str, Any]) -> Answer:
        plane, truth = self._drawn(), self.truth
        if truth is not None and self.axis is not None:
            truth = truth.take(self.index, self.axis)
        given = {"spacing": plane.spacing, "unknown": _UNKNOWN, **parameters}
        found = diagnose(plane.image, plane.probs, truth, **given)
        return {"sentences": found.verdict}, {}

    def _probabilities(self) -> Answer:
        return {}, {"probs": self._drawn().probs.astype(np.float32)}

    def _learn(self, labels: int, strokes: np.ndarray) -> Answer:
        if self._strokes is None:
            self._strokes = Strokes(self._picture)
        marks = strokes.reshape(self._picture.shape[:2])
        self._show(self._strokes.probabilities(marks, labels))
        return {}, {}

    def _saved(self, parameters: dict[str, Any]) -> Answer:
        self.parameters = parameters
        if self._save is None:
            raise ValueError("Expected a file to save to. Received none: add --output.")
        return {"note": self._save(self)}, {}

    # ---- The picture that is shown ----

    def _open(self) -> None:
        """Takes the image, or the slice of a volume, that is shown from now on."""
        if self.axis is None:
            self._picture, probs, self._spacing = self.image, self.probs, self.spacing
        else:
            self._picture = self.image.take(self.index, self.axis)
            probs = None if self.probs is None else self.probs.take(self.index, self.axis)
            rest = [step for axis, step in enumerate(self.spacing or ()) if axis != self.axis]
            self._spacing = tuple(rest) or None
        self._strokes = None
        self._show(probs)

    def _show(self, probs: np.ndarray | None) -> None:
        self._plane = None if probs is None else Plane(self._picture, probs, self._spacing)
        self._thin = {}

    def _drawn(self) -> Plane:
        if self._plane is None:
            raise ValueError("There are no labels yet: draw a stroke for two of them.")
        return self._plane

    def _guessed(self) -> Guess:
        plane = self._drawn()
        guess = first_guess([plane.image], [plane.probs], spacing=plane.spacing)
        guess["theta_beta"] = level(guess["theta_beta"])  # the page has one slider for all channels
        return guess


def _bytes(shares: np.ndarray) -> np.ndarray:
    """Shares 0..1 as 0..255."""
    return np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)
