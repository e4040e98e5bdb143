"""Training that can be killed at any moment and ends with the same weights all the same."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from experiments import runs
from experiments.inputs import Slices, batch_indices

History = list[dict[str, float]]


def train(
    model: keras.Model,
    slices: Slices,
    checkpoint: Path,
    *,
    steps: int,
    batch_size: int,
    order_seed: int,
    checkpoint_steps: int,
    flips: bool,
    measure: Callable[[keras.Model], Mapping[str, Any]],
    title: str,
    position: int = 0,
) -> History:
    """Bring a model from where its checkpoint left it (or from the start) to ``steps`` updates.

    Resuming changes no bit: weights, statistics of batch normalisation, random states of dropout
    and the optimizer's moments come from the checkpoint, the batches from the number of the step.

    Args:
        model: compiled; takes the image, or ``{"image", "reference"}``. Changed in place.
        slices: the training slices.
        checkpoint: one file, replaced whole every ``checkpoint_steps`` updates.
        steps: updates in total.
        batch_size: slices per batch.
        order_seed: of the order of the slices.
        checkpoint_steps: updates between two checkpoints, and between two calls of ``measure``.
        flips: mirror each slice along each axis at random.
        measure: model to what the history shall tell of it, for the learning curves only.
        title: of the progress bar.
        position: row of the progress bar, where several processes draw.

    Returns:
        One entry per checkpoint: step, mean losses since the last one, what was measured.
    """
    step, history = load_state(model, checkpoint) if checkpoint.exists() else (0, [])
    with tqdm(
        total=steps, initial=step, desc=title, position=position, leave=False, disable=None
    ) as bar:
        while step < steps:
            if step % checkpoint_steps == 0:
                # Keras's dropout on PyTorch draws from the global state, which is not saved.
                keras.utils.set_random_seed(1_000_000 * order_seed + step)
                model.reset_metrics()
            chosen = batch_indices(len(slices.images), batch_size, order_seed, step)
            mirrored = _mirrored(len(chosen), order_seed, step) if flips else None
            batch = _batch(model, slices, chosen, mirrored)
            # The logs are means since the last reset: the losses since the last checkpoint.
            logs = model.train_on_batch(*batch, return_dict=True)
            step += 1
            bar.update()
            if step % checkpoint_steps == 0 or step == steps:
                losses = {name: float(value) for name, value in logs.items()}
                history.append({"step": step, **losses, **measure(model)})
                _save_state(model, checkpoint, step, history)
                bar.set_postfix(loss=f"{losses['loss']:.3f}")
                runs.stop_if_orphaned()
    return history


def model_input(model: keras.Model, slices: Slices, chosen: Any = slice(None)) -> Any:
    """What a model takes of the chosen slices: the image, or image and reference for a CRF."""
    inputs = {"image": slices.images[chosen], "reference": slices.references[chosen]}
    return inputs if isinstance(model.input, dict) else inputs["image"]


def load_state(model: keras.Model, checkpoint: Path) -> tuple[int, History]:
    """Set a compiled model and its optimizer to a checkpoint; returns its step and history.

    Raises:
        ValueError: if the checkpoint is of another model.
    """
    saved = runs.read_arrays(checkpoint)
    step, history = json.loads(str(saved.pop("progress")))
    variables = _variables(model)
    if len(saved) != len(variables):
        raise ValueError(
            f"{checkpoint} holds {len(saved)} variables, the model has {len(variables)}: it was "
            "written by other code. Start the run anew with --force."
        )
    for index, variable in enumerate(variables):
        variable.assign(saved[f"{index:04d}"])
    return step, history


def _save_state(model: keras.Model, checkpoint: Path, step: int, history: History) -> None:
    arrays = {
        f"{index:04d}": keras.ops.convert_to_numpy(variable.value)
        for index, variable in enumerate(_variables(model))
    }
    runs.write_arrays(checkpoint, {**arrays, "progress": np.array(json.dumps([step, history]))})


def _variables(model: keras.Model) -> list[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    metrics = {id(variable) for variable in model.metrics_variables}
    # Not model.weights: the random states of dropout are variables, but no weights.
    own = [variable for variable in model.variables if id(variable) not in metrics]
    return own + list(model.optimizer.variables)


def _mirrored(size: int, order_seed: int, step: int) -> np.ndarray:
    """Which slices of a batch are mirrored along which axis: (B, 2), the same when resumed."""
    return np.random.default_rng([order_seed, step, 1]).random((size, 2)) < 0.5


def _batch(
    model: keras.Model, slices: Slices, chosen: np.ndarray, mirrored: np.ndarray | None
) -> tuple[Any, Any, Any]:
    """Input, targets and weights of ``train_on_batch``."""
    part = dataclasses.replace(
        slices,
        **{
            name: _mirror(array[chosen], mirrored)
            for name in ("images", "references", "labels", "weights")
            if (array := getattr(slices, name)) is not None
        },
    )
    image = model_input(model, part)
    if not isinstance(model.output, dict):
        return image, part.labels, part.weights
    # The energy compares the prediction with the image, not with labels.
    targets = {name: part.references if name == "energy" else part.labels for name in model.output}
    if part.weights is None:
        return image, targets, None
    alike = np.ones(len(chosen), "float32")
    return image, targets, {n: part.weights if n == "unaries" else alike for n in targets}


def _mirror(array: np.ndarray, mirrored: np.ndarray | None) -> np.ndarray:
    if mirrored is None:
        return array
    pieces = [np.flip(one, np.flatnonzero(axes)) for one, axes in zip(array, mirrored, strict=True)]
    return np.stack(pieces)
