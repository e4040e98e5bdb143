"""One repetition of the comparison: every row trained and evaluated from one seed."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from experiments import evaluation, inputs, models, offline, runs, training
from experiments.config import Config
from experiments.rows import Row, comparison


def run(config: Config, seed: int, folder: Path) -> None:
    """Train and evaluate all rows of one seed, or what is left of them.

    Networks are taken up from their checkpoints, so calling this again after it was killed goes on
    where it was, and after it was finished does nothing.

    Args:
        config: see ``Config``.
        seed: 0, 1, ...: training cases, initial weights, batch orders, search.
        folder: of the run; everything goes to ``folder/seed-<seed>``, and there, if models are
            listed, to a folder for each network.
    """
    rows = comparison(config.models, config.network).rows.values()
    for network in dict.fromkeys(row.network for row in rows):
        of_network = {row.kind: row for row in rows if row.network == network}
        repetition = _Repetition(config, seed, folder, of_network)
        if not all(repetition.result(kind).exists() for kind in of_network):
            repetition.run()


class _Repetition:
    """What the rows of one network and seed share: the data, the folder and the order of events."""

    def __init__(self, config: Config, seed: int, folder: Path, rows: Mapping[str, Row]):
        network = next(iter(rows.values())).network
        self.config = dataclasses.replace(config, network=network) if network else config
        self.seed = seed
        self.rows = rows
        self.folder = folder / f"seed-{seed}" / (network or "")
        self.title = f"seed {seed}: {network}" if network else f"seed {seed}"

    @functools.cached_property
    def inputs(self) -> inputs.Inputs:
        return inputs.load(self.config, self.seed)

    def result(self, kind: str) -> Path:
        return self.folder / f"{kind}.json"

    def run(self) -> None:
        config, test = self.config, self.inputs.test
        steps, rate = config.further_steps, config.further_learning_rate

        network = self._front_end()
        models.compile_front_end(network, config, config.pretrain_steps, config.learning_rate)
        pretraining = self._train(network, "pretrain", config.pretrain_steps, order=0)
        start = network.get_weights()

        # "plain" last: its network and its unaries are what the offline CRF works on.
        for row, order in (("plain_again", 2), ("plain", 1)):
            if row == "plain_again" and row not in self.rows:
                continue
            network = self._front_end(start)
            models.compile_front_end(network, config, steps, rate)
            history = self._train(network, row, steps, order)
            unaries = evaluation.predict(network, test, config.batch_size)["unaries"]
            maps = evaluation.label_maps(test, unaries)
            self._finish(row, maps, history=history, pretraining=pretraining)
        self._save(network, "plain")
        if self.rows.keys() <= {"plain", "plain_again"}:
            return

        found = self._search(network)
        if "offline" in self.rows:
            refined = maps
            if found["use"]:
                arguments = (found["best"], config.crf_test_iterations)
                refined = evaluation.label_maps(test, offline.refine_all(test, unaries, *arguments))
            self._finish("offline", refined, before=maps, search=found)

        joint = models.with_crf(self._front_end(start), config, found["best"])
        models.compile_with_crf(joint, config, steps, rate)
        history = self._train(joint, "joint", steps, order=1)  # the batches of "plain"
        logits = evaluation.predict(joint, test, config.batch_size)
        self._save(joint, "joint")
        before, after = (evaluation.label_maps(test, logits[k]) for k in ("unaries", "refined"))
        self._finish("joint_unaries", before)
        details = {"history": history, "weights": _crf_weights(joint)}
        if "offline" not in self.rows:  # whose place it is
            details["search"] = found
        self._finish("joint", after, before=before, **details)

    def _front_end(self, weights: Sequence[np.ndarray] | None = None) -> keras.Model:
        keras.utils.set_random_seed(self.seed)
        num_channels = self.inputs.train.images.shape[-1]
        network = models.front_end(self.config, num_channels, self.inputs.num_labels)
        if weights is not None:
            network.set_weights(weights)
        return network

    def _train(self, model: keras.Model, row: str, steps: int, order: int) -> training.History:
        def score(model: keras.Model) -> float:
            validation = self.inputs.validation
            logits = evaluation.predict(model, validation, self.config.batch_size)
            maps = evaluation.label_maps(validation, logits.get("refined", logits["unaries"]))
            return evaluation.mean_dice(validation, maps, self.inputs.num_labels)

        return training.train(
            model,
            self.inputs.train,
            self.folder / f"{row}.checkpoint.npz",
            steps=steps,
            batch_size=self.config.batch_size,
            order_seed=10 * self.seed + order,  # fewer than ten orders per seed
            checkpoint_steps=self.config.checkpoint_steps,
            score=score,
            title=f"{self.title}: {row}",
            position=self.seed,
        )

    def _search(self, network: keras.Model) -> dict[str, Any]:
        path = self.folder / "search.json"
        found = runs.read_json(path)
        if found is None:
            validation = self.inputs.validation
            found = offline.search(
                self.config,
                validation,
                evaluation.predict(network, validation, self.config.batch_size)["unaries"],
                self.seed,
                title=f"{self.title}: search",
                position=self.seed,
            )
            runs.write_json(path, found)
        return found

    def _save(self, model: keras.Model, row: str) -> None:
        # Keras writes to a name that ends in .keras, so not by runs.write.
        unfinished = self.folder / f"unfinished-{row}.keras"
        model.save(unfinished)
        unfinished.replace(self.folder / f"{row}.keras")

    def _finish(
        self,
        row: str,
        maps: Sequence[np.ndarray],
        before: Sequence[np.ndarray] | None = None,
        **details: Any,
    ) -> None:
        if row not in self.rows or self.result(row).exists():
            return
        cases = evaluation.evaluate(
            self.config, self.inputs.test, maps, self.inputs.num_labels, before
        )
        runs.write_arrays(
            self.folder / f"{row}.npz", {f"{index:05d}": map_ for index, map_ in enumerate(maps)}
        )
        runs.write_json(self.result(row), {"cases": cases, **details})
        dice = evaluation.nanmean([case["dice"] for case in cases])
        tqdm.write(f"seed {self.seed}: {self.rows[row].title}: Dice {dice:.2f}")


def _crf_weights(model: keras.Model) -> dict[str, Any]:
    layer = model.get_layer("crf")
    return {
        variable.name: keras.ops.convert_to_numpy(variable.value).tolist()
        for variable in layer.trainable_variables
    }
