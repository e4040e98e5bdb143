"""What a CRF learns while it trains: its parameters, kept and written for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from crfrnn.layers.crf_rnn import CRFRNN, THETAS
from crfrnn.optional import needed

_READABLE = 12  # labels up to which a cell of the heat map has room for its number


def crf_parameters(layer: CRFRNN) -> dict[str, np.ndarray]:
    """The learned parameters of a CRF, in the units of the layer's arguments.

    Args:
        layer: a `CRFRNN` whose weights exist.

    Returns:
        float32 arrays by name: "spatial" and "bilateral", the weights of the kernels, each (), (L,)
        or (L, L) as `kernel_weights` says; "compatibility" (L, L), row = label that receives; and
        with `trainable_thetas` the bandwidths "theta_alpha", "theta_beta" and "theta_gamma", each a
        number or one number per axis or channel, in points (or the unit of `spacing`) and in the
        image's units.

    Raises:
        ValueError: the layer has no weights yet.

    Example:

    >>> layer = CRFRNN(theta_alpha=80.0, kernel_weights="shared", trainable_thetas=True)
    >>> _ = layer([keras.Input((None, None, 2)), keras.Input((None, None, 3))])
    >>> parameters = crf_parameters(layer)
    >>> list(parameters)
    ['spatial', 'bilateral', 'compatibility', 'theta_alpha', 'theta_beta', 'theta_gamma']
    >>> print(parameters["theta_alpha"].round(2), parameters["bilateral"])
    80.0 5.0
    """
    if not layer.built:
        raise ValueError(
            f"Expected a CRFRNN that has weights. Received {layer.name!r}, which was never called. "
            "Call its model on an image first."
        )
    weights = {
        "spatial": layer.spatial_weights,
        "bilateral": layer.bilateral_weights,
        "compatibility": layer.compatibility_matrix,
    }
    parameters = {name: _array(weight) for name, weight in weights.items()}
    if layer.trainable_thetas:
        for name, log in zip(THETAS, layer.log_thetas, strict=True):
            parameters[name] = np.exp(_array(log))
    return parameters


class CRFMonitor(keras.callbacks.Callback):
    """Callback that keeps the parameters of every CRF of a model as they change in training.

    It finds the `CRFRNN` layers of the model, also those inside other models and those that
    `crfrnn.attach` added.

    Args:
        log_dir: folder of TensorBoard's files, which are written into its subfolder "crf": a curve
            for each number and for each label of a vector, a heat map for each (L, L) matrix. Look
            at them with `tensorboard --logdir LOG_DIR`. None writes nothing.
        every: number of batches after which the parameters are noted; None: after each epoch.

    Attributes:
        history: list of dicts, one for each time, the first from before the training. "step" is the
            number of epochs (or of batches, with `every`) done so far; the others are the arrays of
            `crf_parameters` as "LAYER/PARAMETER", e.g. "crfrnn/bilateral". It is continued by
            further calls of `fit` with this callback.

    Raises:
        ValueError: `every` is not a whole number above 0; or, when the training starts, the model
            has no CRFRNN.
        ImportError: `log_dir` is given, but tensorboardX or Matplotlib is missing.

    Example:

    >>> import numpy as np
    >>> image = keras.Input((None, None, 1))
    >>> unaries = keras.layers.Conv2D(2, 3, padding="same")(image)
    >>> model = keras.Model(image, CRFRNN(theta_beta=0.1, name="crf")([unaries, image]))
    >>> model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> monitor = CRFMonitor()
    >>> images = np.random.default_rng(0).random((4, 8, 6, 1))
    >>> labels = np.round(images[..., 0])
    >>> _ = model.fit(images, labels, epochs=2, callbacks=[monitor], verbose=0)
    >>> [entry["step"] for entry in monitor.history]
    [0, 1, 2]
    >>> monitor.history[0]["crf/bilateral"]
    array([5., 5.], dtype=float32)
    """

    def __init__(
        self, log_dir: str | os.PathLike[str] | None = None, *, every: int | None = None
    ) -> None:
        super().__init__()
        if every is not None and (every != int(every) or every < 1):
            raise ValueError(
                "Expected `every` to be a number of batches, 1 or more, or None for epochs. "
                f"Received {every!r}."
            )
        if log_dir is not None:
            # Not TensorFlow's or PyTorch's writer: this one serves every backend of Keras.
            needed("tensorboardX", "Files for TensorBoard", "monitor")
            needed("matplotlib", "Heat maps of matrices", "monitor")
        self.folder = None if log_dir is None else Path(log_dir) / "crf"
        self.every = every
        self.history: list[dict[str, Any]] = []
        self._batches = 0  # done so far, in all epochs
        self._in_epoch = 0  # done so far in this one
        self._writer: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        if not _layers(self.model):
            raise ValueError(
                "Expected a model with a CRFRNN layer. Received one without. Put one behind it "
                "with crfrnn.attach, or leave out the CRFMonitor."
            )
        if self.folder:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(self.folder))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._in_epoch = 0
        if not self.history:
            self._note(0 if self.every else epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # Several batches may have been done since the last call (`steps_per_execution`).
        before, done = self._batches, batch + 1 - self._in_epoch
        self._batches, self._in_epoch = before + done, batch + 1
        if self.every and self._batches // self.every > before // self.every:
            self._note(self._batches)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.every:
            self._note(epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        if self._writer:
            self._writer.close()

    def _note(self, step: int) -> None:
        # `self.model` brings its weights up to date first, which JAX keeps elsewhere in an epoch.
        entry = {
            f"{layer}/{name}": value
            for layer, crf in _layers(self.model).items()
            for name, value in crf_parameters(crf).items()
        }
        self.history.append({"step": step, **entry})
        if self._writer:
            for name, value in entry.items():
                _write(self._writer, name, value, step)
            self._writer.flush()  # so that an interrupted training has them, too


def _layers(model: keras.Model) -> dict[str, CRFRNN]:
    """Every CRFRNN of a model by a name that no other has."""
    found: dict[str, CRFRNN] = {}
    for layer in model._flatten_layers():
        if isinstance(layer, CRFRNN):
            found[next(name for name in _names(layer.name) if name not in found)] = layer
    return found


def _names(name: str) -> Iterator[str]:
    """Models used as layers may have CRFs of one name: crf, crf_2, crf_3, ..."""
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _array(weight: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(weight))


def _write(writer: Any, name: str, value: np.ndarray, step: int) -> None:
    if value.ndim == 2:
        writer.add_image(name, _heat_map(value), step, dataformats="HWC")
        return
    for index in np.ndindex(*value.shape):
        writer.add_scalar("/".join([name, *map(str, index)]), float(value[index]), step)


def _heat_map(matrix: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 of a matrix (L, L): red above 0, blue below, white at 0."""
    # Without pyplot: no window, no state, no backend to choose.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = len(matrix)
    side = 2 + 0.45 * min(labels, _READABLE)  # inches
    figure = Figure(figsize=(side + 0.6, side), dpi=80, layout="constrained")
    panel = figure.subplots()
    limit = np.abs(matrix[np.isfinite(matrix)]).max(initial=1e-6)  # a training may diverge
    shown = panel.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=panel, shrink=0.8)
    panel.set(xlabel="label that sends", ylabel="label that receives")
    ticks = range(0, labels, 1 + labels // _READABLE)
    panel.set(xticks=ticks, yticks=ticks)
    if labels <= _READABLE:
        for (row, column), value in np.ndenumerate(matrix):
            dark = abs(value) > 0.6 * limit
            colour = "white" if dark else "black"
            panel.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, size=8)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
