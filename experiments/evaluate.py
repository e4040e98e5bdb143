"""Evaluate a trained model, on the test cases of its run or on other data.

python -m experiments.evaluate runs/phantom/seed-0/joint.keras
python -m experiments.evaluate runs/phantom/seed-0/joint.keras --dataset /path/to/folder
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from crfrnn.parameters.scores import nanmean
from experiments import runs
from experiments.config import Config, make
from experiments.show import markdown
from experiments.show.tables import COLUMNS, OF_A_RUN


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate from command line arguments; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="runs/<name>/seed-<n>/<row>.keras")
    parser.add_argument("--dataset", help="default: that of the run")
    options = parser.parse_args(arguments)
    try:
        run = runs.read_json(options.model.parent.parent / "run.json")
    except runs.Damaged as error:
        parser.error(str(error))
    if run is None or not options.model.exists():
        parser.error(f"{options.model} is no model of a run: expected runs/<name>/seed-<n>/*.keras")
    config = make(run["config"])
    if options.dataset:
        # Another set has other numbers of cases; its test split as a whole.
        sizes = dict.fromkeys(("train_cases", "validation_cases", "test_cases", "folds"))
        config = dataclasses.replace(config, dataset=options.dataset, **sizes)
    os.environ["KERAS_BACKEND"] = run["backend"]
    print(_evaluate(config, options.model, _seed(config, options.model)))
    return 0


def _seed(config: Config, path: Path) -> int:
    """With folds each seed has test cases of its own, and has been trained on the others'."""
    return int(path.parent.name.removeprefix("seed-")) if config.folds else 0


def _evaluate(config: Config, path: Path, seed: int) -> str:
    # Imported here: Keras reads its backend when it is imported. The two packages register the
    # layers that the file names, crfrnn when the layer is first asked for.
    import keras

    import unet  # noqa: F401
    from crfrnn import CRFRNN  # noqa: F401
    from experiments.score.cases import score_cases
    from experiments.train import inputs
    from experiments.train.predict import predict

    model = keras.models.load_model(path, compile=False)
    test = inputs.load(config, seed).test
    logits = predict(model, test, config.batch_size)
    lines = []
    for name, scores in logits.items():
        before = logits["unaries"] if name == "refined" else None
        cases = score_cases(config, test, scores, before)
        means = [nanmean([case[metric] for case in cases]) for metric in OF_A_RUN]
        lines.append([name, *(f"{mean:.2f}" for mean in means)])
    return markdown.table(
        [f"{len(test.cases)} cases", *(COLUMNS[name] for name in OF_A_RUN)], lines
    )


if __name__ == "__main__":
    sys.exit(main())
