"""The explorer in notebooks; public as `crfrnn.explore`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from crfrnn.explorer.bundle import FRONT, bundled
from crfrnn.explorer.messages import answered
from crfrnn.explorer.session import Session
from crfrnn.optional import needed
from crfrnn.parameters.presets import presets


def explore(
    image: np.ndarray,
    probs: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    *,
    spacing: Any = None,
    **crf: Any,
) -> Any:
    """Shows what a CRF does to an image, live, in a notebook: sliders, before and after, kernels.

    The widget runs in Jupyter, VS Code, Colab and marimo and computes in Python, with what `refine`
    computes, bit by bit. It needs the extra "explorer": `pip install 'crfrnn[explorer]'`. Without a
    notebook `crfrnn explore` opens the same in a browser; docs/explorer.md tells of both.

    Args:
        image: (H, W) or (H, W, K), any real dtype; or a volume (D, H, W) or (D, H, W, K), which is
            explored slice by slice, each by itself.
        probs: (*S, L), L <= 255, as for `refine`. None: draw strokes; a random forest makes
            probabilities of them. A volume then needs its channel axis.
        labels: the truth, (*S) integers 0..L-1, if it is known: then scores are shown.
        spacing: as for `refine`.
        crf: of theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight,
            num_iterations and normalization those to start with, a number each. Others are guessed.
            ignore_below, which the page does not show, is used by `refined()`.

    Returns:
        A widget, to be the last line of a cell. Its `parameters` are those that the sliders show,
        arguments of `refine` and `CRFRNN`; `refined()` are the probabilities (*S, L) of the whole
        image with them, and `axis` is that across which a volume is cut (None: none).

    Raises:
        ImportError: anywidget is missing.
        ValueError: as `refine`.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> image = np.repeat([0.0, 1.0], 16)[:, None] + rng.normal(0, 0.1, (32, 30))
    >>> p = np.clip(image + rng.normal(0, 0.3, image.shape), 0.1, 0.9)
    >>> widget = explore(image, np.stack([1 - p, p], -1), theta_beta=0.3)  # doctest: +SKIP
    >>> widget.parameters["theta_beta"]  # doctest: +SKIP
    0.3
    """
    return _widget_class()(Session(image, probs, labels, spacing, crf))


@functools.cache
def _widget_class() -> Any:
    anywidget = needed("anywidget", "Explorers in notebooks", "explorer")
    traitlets = needed("traitlets", "Explorers in notebooks", "explorer")

    class Explorer(anywidget.AnyWidget):  # type: ignore[misc, name-defined]
        """An explorer of one image; see `crfrnn.explore`."""

        _esm = bundled("widget.js")
        _css = (FRONT / "explorer.css").read_text("utf-8")
        _presets = traitlets.Dict().tag(sync=True)

        def __init__(self, session: Session):
            super().__init__(_presets=for_pages())
            self._session = session
            self.on_msg(self._asked)

        @property
        def parameters(self) -> dict[str, Any]:
            """Arguments of `refine` and `CRFRNN`, as the sliders are now."""
            return dict(self._session.parameters)

        @property
        def axis(self) -> int | None:
            """The axis across which a volume is cut into the slices that are shown."""
            return self._session.axis

        def refined(self) -> np.ndarray:
            """Probabilities (*S, L) of the whole image with these parameters, float32."""
            return self._session.refined()

        def _asked(self, _: Any, message: dict[str, Any], buffers: list[Any]) -> None:
            pairs = zip(message["arrays"], buffers, strict=True)
            arrays = {name: np.frombuffer(b, kind) for (name, kind), b in pairs}
            answer, found = answered(self._session, message, arrays)
            about = [(name, array.dtype.name) for name, array in found.items()]
            content = {"id": message["id"], "arrays": about, **answer}
            self.send(content, [array.tobytes() for array in found.values()])

    return Explorer


def for_pages() -> dict[str, Any]:
    """`crfrnn.presets` as pages take them."""
    return {
        name: {"parameters": dict(p), "intensities": p.intensities, "source": p.source}
        for name, p in presets.items()
    }
