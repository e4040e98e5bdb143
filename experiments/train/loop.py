"""Training that can be killed at any moment and ends with the same weights all the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from experiments import progress, runs, workers
from experiments.config import Config
from experiments.train.augment import augmented
from experiments.train.inputs import Slices, batch_indices
from experiments.train.predict import model_input
from unet.losses import CrossEntropyAndDice

History = list[dict[str, Any]]


def train(
    model: keras.Model,
    slices: Slices,
    checkpoint: Path,
    config: Config,
    *,
    steps: int,
    order_seed: int,
    measure: Callable[[keras.Model], Mapping[str, Any]],
    title: str,
    position: int = 0,
) -> History:
    """Bring a model from where its checkpoint left it (or from the start) to ``steps`` updates.

    Resuming changes no bit: weights, statistics of batch normalisation, random states of dropout
    and the optimizer's moments come from the checkpoint, the batches from the number of the step.

    Args:
        model: compiled, of `train.models`. Changed in place.
        slices: the training slices.
        checkpoint: one file, replaced whole every ``config.checkpoint_steps`` updates.
        config: batch size, augmentation (see `augment`), updates between two checkpoints.
        steps: updates in total.
        order_seed: of the order of the slices, and of their config.
        measure: model to what the history shall tell of it, for the learning curves only.
        title, position: of the progress bar; its row, where several processes draw.

    Returns:
        One entry per checkpoint: step, mean losses since the last one, what was measured.
    """
    step, history = load_state(model, checkpoint) if checkpoint.exists() else (0, [])
    with progress.steps(steps, title=title, initial=step, position=position) as bar:
        while step < steps:
            if step % config.checkpoint_steps == 0:
                # Keras's dropout on PyTorch draws from the global state, which is not saved.
                keras.utils.set_random_seed(1_000_000 * order_seed + step)
                model.reset_metrics()
            chosen = batch_indices(len(slices.images), config.batch_size, order_seed, step)
            batch = _batch(model, augmented(slices, chosen, config, [order_seed, step]))
            # The logs are means since the last reset: the losses since the last checkpoint.
            logs = model.train_on_batch(*batch, return_dict=True)
            step += 1
            if step % config.checkpoint_steps == 0 or step == steps:
                losses = {name: float(value) for name, value in logs.items()}
                history.append({"step": step, **losses, **measure(model)})
                _save_state(model, checkpoint, step, history)
                bar.set_postfix(loss=f"{losses['loss']:.3f}")
                workers.stop_if_orphaned()
            bar.update()
    return history


def load_state(model: keras.Model, checkpoint: Path) -> tuple[int, History]:
    """Set a compiled model and its optimizer to a checkpoint; returns its step and history."""
    saved = runs.read_arrays(checkpoint)
    step, history = json.loads(str(saved.pop("progress")))
    variables = _variables(model)
    if len(saved) != len(variables):
        raise runs.OtherNetwork(
            f"{checkpoint} holds {len(saved)} variables, the model has {len(variables)}: it was "
            "written by other code. Start the run anew with --force."
        )
    for index, variable in enumerate(variables):
        variable.assign(saved[f"{index:04d}"])
    return step, history


def _save_state(model: keras.Model, checkpoint: Path, step: int, history: History) -> None:
    values = (keras.ops.convert_to_numpy(variable.value) for variable in _variables(model))
    arrays = {f"{index:04d}": value for index, value in enumerate(values)}
    runs.write_arrays(checkpoint, {**arrays, "progress": np.array(json.dumps([step, history]))})


def _variables(model: keras.Model) -> list[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    metrics = {id(variable) for variable in model.metrics_variables}
    # Not model.weights: the random states of dropout are variables, but no weights.
    own = [variable for variable in model.variables if id(variable) not in metrics]
    return own + list(model.optimizer.variables)


def _batch(model: keras.Model, part: Slices) -> tuple[Any, Any, Any]:
    """Input, targets and weights of ``train_on_batch``."""
    image = model_input(model, part)
    if not isinstance(model.output, dict):
        return image, part.labels, part.weights
    # The energy compares the prediction with the image, not with labels.
    targets = {name: part.references if name == "energy" else part.labels for name in model.output}
    if part.weights is None and "energy" not in model.output:
        return image, targets, None
    of_points = np.ones(part.labels.shape, "float32") if part.weights is None else part.weights

    def weights(name: str) -> np.ndarray:
        if name == "energy":
            return part.present.astype("float32")
        # The other losses are of whole slices, or batches: they take no weights of points.
        crossed = isinstance(model.loss[name], CrossEntropyAndDice)
        return of_points if crossed else np.ones(len(part.images), "float32")

    return image, targets, {name: weights(name) for name in model.output}
