"""One repetition of a comparison: every row made and evaluated from one seed."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from crfrnn import CRFRNN
from crfrnn.layers.monitor import crf_parameters
from experiments import corrections, evaluation, inputs, models, offline, runs, training
from experiments.config import OF_NETWORK, OF_PRETRAINING, Config
from experiments.rows import TRAINED, Comparison, Row

SEARCHED = ("kernels", "crf_test_iterations")  # a row with one of its own has a search of its own
HEADS = {"joint": "crf", "crf": "crf", "affine": "affine"}

Scores = Sequence[np.ndarray]  # logits (D, h, w, L) per case


def run(config: Config, comparison: Comparison, seed: int, folder: Path) -> None:
    """Make and evaluate all rows of one seed, or what is left of them.

    Networks are taken up from their checkpoints, so calling this again after it was killed goes on
    where it was, and after it was finished does nothing.

    Args:
        config: see ``Config``.
        comparison: its rows.
        seed: 0, 1, ...: training cases, initial weights, batch orders, search.
        folder: of the run; everything goes to ``folder/seed-<seed>``.
    """
    repetition = Repetition(config, comparison.rows, seed, folder)
    missing = [key for key in comparison.rows if not repetition.path(key).exists()]
    if missing:
        record = repetition.folder / "seconds.json"
        # Of the processor: the cores may be shared with other work.
        before, start = runs.read_json(record) or 0, time.process_time()
        for key in missing:
            repetition.make(key)
            runs.write_json(record, before + time.process_time() - start)  # now: it may be killed
    # What they are for, going on, is over.
    for checkpoint in repetition.folder.glob("*.checkpoint.npz"):
        checkpoint.unlink()


class Repetition:
    """The rows of one seed, each made when it, or one that rests on it, is asked for."""

    def __init__(self, config: Config, rows: Mapping[str, Row], seed: int, folder: Path):
        self.config = config
        self.rows = rows
        self.seed = seed
        self.folder = folder / f"seed-{seed}"
        self.title = f"{folder.name}, seed {seed}"
        self.commit = runs.commit()  # now: of the code that has just been imported
        self._details: dict[str, dict[str, Any]] = {key: {} for key in rows}
        # Not decorators: their caches would outlive this repetition, and hold all its models.
        for name in (
            "scores",
            "_load",
            "_predictions",
            "_model",
            "_pretrained",
            "_bias",
            "_search",
        ):
            setattr(self, name, functools.cache(getattr(self, name)))

    def path(self, key: str) -> Path:
        """Of a row's result."""
        return self.folder / f"{key}.json"

    def make(self, key: str) -> None:
        """Make one row and write its result."""
        row, config, details = self.rows[key], self._config(key), self._details[key]
        test, num_labels = self._inputs(key).test, self._inputs(key).num_labels
        scores, before = self.scores(key, "test"), None
        if row.kind in ("joint", "crf", "retest"):
            before = self._predictions(key, "test")["unaries"]
        elif row.kind == "offline":
            before = self.scores(row.of[0], "test")
        cases = evaluation.evaluate(config, test, scores, num_labels, before)
        if row.kind in TRAINED and config.keep_models:
            self._save(key)
        if not self.seed:  # pictures are of seed 0
            maps = evaluation.label_maps(test, scores)
            named = {f"{index:05d}": map_ for index, map_ in enumerate(maps)}
            runs.write_arrays(self.folder / f"{key}.npz", named)
        if before is not None:
            maps = evaluation.label_maps(test, before)
            details["unaries_dice"] = evaluation.dice_per_case(test, maps, num_labels)
        runs.write_json(self.path(key), {"cases": cases, "commit": self.commit, **details})
        dice = evaluation.nanmean([case["dice"] for case in cases])
        tqdm.write(f"{self.title}: {row.title}: Dice {dice:.2f}")

    def scores(self, key: str, split: str) -> Scores:
        """The logits of a row: of the "validation" or the "test" cases."""
        row, slices = self.rows[key], getattr(self._inputs(key), split)
        details, batch_size = self._details[key], self.config.batch_size
        if row.kind in TRAINED or row.kind == "retest":
            named = self._predictions(key, split)
            return named.get("refined", named["unaries"])
        if row.kind == "unaries":
            return self._predictions(row.of[0], split)["unaries"]
        if row.kind == "flips":
            return evaluation.predict_mirrored(self._model(row.of[0]), slices, batch_size)
        if row.kind == "best":
            dice = {of: self._validation_dice(of) for of in row.of}
            details.update(validation_dice=dice, chosen=max(dice, key=dice.__getitem__))
            return self.scores(details["chosen"], split)
        (of,) = row.of
        if row.kind == "bias":
            details["bias"] = self._bias(of).tolist()
            return [score + self._bias(of) for score in self.scores(of, split)]
        if row.kind == "largest":
            return [corrections.largest_piece(score) for score in self.scores(of, split)]
        found = self._search(key)
        details["search"] = _without_trials(found)
        if not found["use"]:
            return self.scores(of, split)
        iterations = self._config(key).crf_test_iterations
        refined = offline.refine_all(slices, self.scores(of, split), found["best"], iterations)
        return [np.log(np.maximum(one, evaluation.TINY)) for one in refined]

    def _config(self, key: str) -> Config:
        return dataclasses.replace(self.config, **self._settings(key))

    def _settings(self, key: str) -> dict[str, Any]:
        row, taken = self.rows[key], {}
        if row.kind in ("retest", "crf", "affine"):  # another row's network, or all of its model
            of = self._settings(row.of[0])
            taken = {k: v for k, v in of.items() if row.kind == "retest" or k in OF_NETWORK}
        return taken | row.settings

    def _inputs(self, key: str) -> inputs.Inputs:
        return self._loaded(self._config(key))

    def _loaded(self, config: Config) -> inputs.Inputs:
        return self._load(config.labels, config.train_on, config.point_weights)

    def _load(self, labels: str, train_on: str, point_weights: str) -> inputs.Inputs:
        config = dataclasses.replace(
            self.config, labels=labels, train_on=train_on, point_weights=point_weights
        )
        return inputs.load(config, self.seed)

    def _validation_dice(self, key: str) -> float:
        loaded = self._inputs(key)
        maps = evaluation.label_maps(loaded.validation, self.scores(key, "validation"))
        return evaluation.mean_dice(loaded.validation, maps, loaded.num_labels)

    def _predictions(self, key: str, split: str) -> dict[str, list[np.ndarray]]:
        slices = getattr(self._inputs(key), split)
        return evaluation.predict(self._model(key), slices, self.config.batch_size)

    def _model(self, key: str) -> keras.Model:
        """The trained model of a row."""
        row, config = self.rows[key], self._config(key)
        if row.kind == "retest":
            trained = self._model(row.of[0])
            network, crf = self._front_end(config), self._search(key)["best"]
            model = models.with_head(network, config, "crf", crf)
            model.set_weights(trained.get_weights())
            return model
        details = self._details[key]
        steps, rate = config.further_steps, config.further_learning_rate
        frozen = row.kind in ("crf", "affine")
        network = self._front_end(config)
        if frozen:
            network.set_weights(self._network_weights(row.of[0]))
            models.freeze(network)
        else:
            weights, pretraining = self._pretrain(key)
            network.set_weights(weights)
            if row.kind == "network":
                details["pretraining"] = pretraining
        crf = None
        if row.kind in ("joint", "crf") or config.energy_weight:
            found = self._search(key)
            details["search"], crf = _without_trials(found), found["best"]
        model = models.with_head(network, config, HEADS.get(row.kind), crf)
        models.compile(model, config, config.loss, steps, rate, crf)
        details["history"] = self._train(model, key, config, steps, config.batch_order)
        self._check_same(key, "history", details["history"])
        if row.kind in ("joint", "crf"):
            details["weights"] = _plain(crf_parameters(model.get_layer("head")))
        return model

    def _check_same(self, key: str, which: str, history: training.History) -> None:
        """Rows that are added later must rest on the network that the row's own results are of."""
        made = runs.read_json(self.path(key))
        if made is None:
            return
        before, now = ([entry["loss"] for entry in h] for h in (made[which], history))
        if before != now:
            raise runs.OtherNetwork(
                f"{self.title}: the network of row {key!r}, trained again for an added row, ends "
                f"at the loss {now[-1]!r}, but at {before[-1]!r} when its own results were made. "
                "Other versions or another machine round differently. Add rows where the run was "
                "made, or repeat it as a whole with --force or under another --name."
            )

    def _network_weights(self, key: str) -> list[np.ndarray]:
        model = self._model(key)
        if not isinstance(model.output, dict):
            return model.get_weights()
        # A model with a head holds its network as a layer, among few.
        network = next(layer for layer in model.layers if isinstance(layer, keras.Model))
        return network.get_weights()

    def _pretrain(self, key: str) -> tuple[list[np.ndarray], training.History]:
        """Weights that the further updates of a row start from, and how they came about."""
        return self._pretrained(self._different(key))

    def _different(self, key: str) -> tuple[tuple[str, Any], ...]:
        """What of a row's settings its pre-training depends on."""
        settings = self.rows[key].settings
        return tuple(sorted((k, v) for k, v in settings.items() if k in OF_PRETRAINING))

    def _pretrained(
        self, different: tuple[tuple[str, Any], ...]
    ) -> tuple[list[np.ndarray], training.History]:
        name = "-".join(["pretrain", *(f"{key}-{value}" for key, value in different)])
        config = dataclasses.replace(self.config, **dict(different), point_weights="none")
        network, steps = self._front_end(config), config.pretrain_steps
        models.compile(network, config, config.pretrain_loss, steps, config.learning_rate)
        history = self._train(network, name, config, steps, order=0)
        for key, row in self.rows.items():
            if row.kind == "network" and self._different(key) == different:
                self._check_same(key, "pretraining", history)
        return network.get_weights(), history

    def _front_end(self, config: Config) -> keras.Model:
        keras.utils.set_random_seed(self.seed)
        loaded = self._load(self.config.labels, "train", "none")
        num_channels = loaded.train.images.shape[-1]
        return models.front_end(config, num_channels, loaded.num_labels)

    def _train(
        self, model: keras.Model, name: str, config: Config, steps: int, order: int
    ) -> training.History:
        loaded = self._loaded(config)

        def measure(model: keras.Model) -> dict[str, Any]:
            logits = evaluation.predict(model, loaded.validation, self.config.batch_size)
            maps = evaluation.label_maps(
                loaded.validation, logits.get("refined", logits["unaries"])
            )
            dice = evaluation.mean_dice(loaded.validation, maps, loaded.num_labels)
            crfs = [layer for layer in model.layers if isinstance(layer, CRFRNN)]
            learned = {"crf": _plain(crf_parameters(crfs[0]))} if crfs else {}
            return {"validation_dice": dice, **learned}

        return training.train(
            model,
            loaded.train,
            self.folder / f"{name}.checkpoint.npz",
            steps=steps,
            batch_size=config.batch_size,
            order_seed=10 * self.seed + order,  # fewer than ten orders per seed
            checkpoint_steps=config.checkpoint_steps,
            augmentation=training.Augmentation(config.flips, config.jitter),
            measure=measure,
            title=f"{self.title}: {name}",
            position=self.seed,
        )

    def _bias(self, key: str) -> np.ndarray:
        loaded = self._inputs(key)
        scores = self.scores(key, "validation")
        return corrections.class_bias(loaded.validation, scores, loaded.num_labels)

    def _search(self, key: str) -> dict[str, Any]:
        """The offline CRF for the scores of the row that this one rests on."""
        row, config = self.rows[key], self._config(key)
        (of,) = row.of
        if row.kind == "retest":
            return self._search(of)
        if config.crf:
            best = dict(zip(offline.PARAMETERS, config.crf, strict=True))
            return {"best": best, "use": True}
        own = any(name in SEARCHED or name.startswith("search") for name in row.settings)
        path = self.folder / f"search-{of}{f'-{key}' if own else ''}.json"
        found = runs.read_json(path)
        if found is None:
            scores = self.scores(of, "validation")
            found = offline.search(
                config,
                self._inputs(of).validation,
                scores,
                self.seed,
                title=f"{self.title}: search",
                position=self.seed,
            )
            runs.write_json(path, found)
        return found

    def _save(self, key: str) -> None:
        model = self._model(key)
        # Without the optimizer, which Keras could not load without this package.
        copy = keras.Model.from_config(model.get_config())
        copy.set_weights(model.get_weights())
        # Keras writes to a name that ends in .keras, so not by runs.write.
        unfinished = self.folder / f"unfinished-{key}.keras"
        copy.save(unfinished)
        unfinished.replace(self.folder / f"{key}.keras")


def _without_trials(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a search chose; search-*.json has the trials."""
    return {name: value for name, value in found.items() if name != "trials"}


def _plain(parameters: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Arrays as JSON has them, of as many digits as anybody looks at."""
    # As float64: of a float32, JSON would have the digits of its nearest float64.
    numbers = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
    return {name: np.round(value, 4).tolist() for name, value in numbers.items()}
