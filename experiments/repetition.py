"""One repetition of a comparison: every row made and scored from one seed."""

from __future__ import annotations

import functools
import gc
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crfrnn.parameters.scores import nanmean
from experiments import progress, runs, workers
from experiments.config import OF_PRETRAINING, Config
from experiments.rows import KINDS, Comparison, Row
from experiments.rows.kind import Kind
from experiments.score import cases
from experiments.studies.doubts import padding
from experiments.train import inputs, loop, models
from experiments.train.predict import predict

# What a row may change and its slices depend on.
OF_INPUTS = ("labels", "walker_beta", "train_on", "point_weights")


def run(config: Config, comparison: Comparison, seed: int, folder: Path) -> None:
    """Make and score all rows of one seed, or what is left of them, in ``folder/seed-<seed>``.

    Networks are taken up from their checkpoints, so calling this again after it was killed goes on
    where it was, and after it was finished does nothing. The seed decides training cases, initial
    weights, batch orders and searches.
    """
    repetition = Repetition(config, comparison.rows, seed, folder)
    # Of the processor: the cores may be shared with other work.
    before, start = runs.seconds(repetition.folder), time.process_time()
    for key in comparison.rows:
        if not repetition.path(key).exists():
            repetition.make(key)
            seconds = {"seconds": before + time.process_time() - start}
            runs.write_json(repetition.folder / "seconds.json", seconds)  # now: it may be killed
            repetition.forget()
    # What they are for, going on, is over.
    for checkpoint in repetition.folder.glob("*.checkpoint.npz"):
        checkpoint.unlink()


class Repetition:
    """The rows of one seed, which make those that they rest on, and what they share."""

    alive = staticmethod(workers.stop_if_orphaned)

    def __init__(self, config: Config, rows: Mapping[str, Row], seed: int, folder: Path):
        self.config, self.seed = config, seed
        self.folder = folder / f"seed-{seed}"
        self.title = f"{folder.name}, seed {seed}"
        self._commit = runs.commit()  # now: of the code that has just been imported
        # Not decorators: their caches would outlive this repetition, and hold all its models.
        self._inputs: dict[tuple[Any, ...], inputs.Inputs] = {}  # by values of OF_INPUTS
        self._pretrained = functools.cache(self._pretrained)
        self._said = False
        self.rows: dict[str, Kind] = {}
        for key, row in rows.items():
            self.rows[key] = KINDS[row.kind](key, row, self)

    def path(self, key: str) -> Path:
        """Of a row's result."""
        return self.folder / f"{key}.json"

    def make(self, key: str) -> None:
        """Make one row and write its result."""
        row = self.rows[key]
        test, scores, before = row.inputs.test, row.scores("test"), row.before("test")
        scored = cases.score_cases(row.config, test, scores, before)
        if self.config.keep_models:
            row.save()
        if not self.seed:  # pictures are of seed 0
            maps = enumerate(cases.label_maps(test, scores))
            runs.write_arrays(self.folder / f"{key}.npz", {f"{i:05d}": map_ for i, map_ in maps})
        if before is not None:
            row.details["unaries_dice"] = cases.dice_per_case(test, before)
        runs.write_json(self.path(key), {"cases": scored, "commit": self._commit, **row.details})
        dice = nanmean([case["dice"] for case in scored])
        progress.say(f"{self.title}: {row.row.title}: Dice {dice:.2f}")

    def inputs(self, config: Config) -> inputs.Inputs:
        """The slices of a row, made once for all rows with the same."""
        key = _of_inputs(config)
        if key not in self._inputs:
            self._inputs[key] = self._load(**dict(zip(OF_INPUTS, key, strict=True)))
        return self._inputs[key]

    def forget(self) -> None:
        """Give back the memory of what no row that is left to make rests on."""
        left = [row for key, row in self.rows.items() if not self.path(key).exists()]
        for row in left:  # grows
            left += [of for of in row.of if of not in left]
        for row in self.rows.values():
            if row not in left:
                row.forget()
        used = [self.config, *(row.config for row in left)] if left else []
        both = {_of_inputs(c) for one in used for c in (one, replace(one, point_weights="none"))}
        self._inputs = {key: made for key, made in self._inputs.items() if key in both}
        gc.collect()  # models refer to themselves

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """What was made under this name before, or else is now; JSON knows it."""
        path = self.folder / f"{name}.json"
        if (found := runs.read_json(path)) is None:
            runs.write_json(path, found := make())
        return found

    def front_end(self, config: Config) -> keras.Model:
        """A network with the initial weights of this seed."""
        keras.utils.set_random_seed(self.seed)
        loaded = self.inputs(replace(self.config, train_on="train", point_weights="none"))
        return models.front_end(config, loaded.train.images.shape[-1], loaded.num_labels)

    def pretrained(self, settings: Mapping[str, Any]) -> tuple[list[np.ndarray], loop.History]:
        """Weights that a row with these settings starts from, and how they came about.

        Rows with equal settings of ``OF_PRETRAINING`` share them.
        """
        return self._pretrained(_of_pretraining(settings))

    def train(
        self,
        model: keras.Model,
        name: str,
        config: Config,
        steps: int,
        order: int,
        slices: inputs.Slices | None = None,
    ) -> loop.History:
        """Train a compiled model in place, or go on from the checkpoint of this name.

        The config is the row's; steps: updates in all; order: 0..9, of the batches; slices: to
        train on, None for those of the config.
        """
        loaded = self.inputs(config)

        def measure(model: keras.Model) -> dict[str, Any]:
            logits = predict(model, loaded.validation, config.batch_size)
            refined = logits.get("refined", logits["unaries"])
            dice, crf = cases.mean_dice(loaded.validation, refined), models.learned(model)
            return {"validation_dice": dice, **({"crf": crf} if crf else {})}

        return loop.train(
            model,
            slices or loaded.train,
            self.folder / f"{name}.checkpoint.npz",
            config,
            steps=steps,
            order_seed=10 * self.seed + order,  # fewer than ten orders per seed
            measure=measure,
            title=f"{self.title}: {name}",
            position=self.seed,
        )

    def check_same(self, key: str, which: str, history: loop.History) -> None:
        """Rows that are added later must rest on the network that the row's own results are of."""
        made = (runs.read_json(self.path(key)) or {}).get(which)
        if made is None:
            return
        before, now = ([entry["loss"] for entry in one] for one in (made, history))
        if before != now:
            raise runs.OtherNetwork(
                f"{self.title}: the network of row {key!r}, trained again for an added row, ends "
                f"at the loss {now[-1]!r}, but at {before[-1]!r} when its own results were made. "
                "Other versions or another machine round differently. Add rows where the run was "
                "made, or repeat it as a whole with --force or under another --name."
            )

    def save(self, model: keras.Model, key: str) -> None:
        """Keep a trained model, without the optimizer, which Keras could not load by itself."""
        copy = keras.Model.from_config(model.get_config())
        copy.set_weights(model.get_weights())
        with runs.replacing(self.folder / f"{key}.keras") as unfinished:
            copy.save(unfinished)

    def _load(self, **own: Any) -> inputs.Inputs:
        loaded = inputs.load(replace(self.config, **own), self.seed)
        if not self._said:
            self._said = True
            sizes = np.concatenate([part.sizes() for part in (loaded.train, loaded.test)])
            shape = loaded.train.labels.shape[1:]
            if self.seed == 0 and (doubt := padding(self.config, sizes, shape)):
                progress.say(f"{self.folder.parent.name}: {doubt}", file=sys.stderr)
        return loaded

    def _pretrained(
        self, different: tuple[tuple[str, Any], ...]
    ) -> tuple[list[np.ndarray], loop.History]:
        name = "-".join(["pretrain", *(f"{key}-{value}" for key, value in different)])
        config = replace(self.config, **dict(different), point_weights="none")
        network, steps = self.front_end(config), config.pretrain_steps
        models.compile(
            *(network, config, config.pretrain_loss, steps, config.learning_rate),
            background=self.inputs(config).background,
        )
        history = self.train(network, name, config, steps, order=0)
        for key, row in self.rows.items():
            if _of_pretraining(row.row.settings) == different:
                self.check_same(key, "pretraining", history)
        return network.get_weights(), history


def _of_inputs(config: Config) -> tuple[Any, ...]:
    return tuple(getattr(config, name) for name in OF_INPUTS)


def _of_pretraining(settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((k, v) for k, v in settings.items() if k in OF_PRETRAINING))
