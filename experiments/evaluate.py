"""Evaluate a trained model, on the test cases of its run or on other data.

python -m experiments.evaluate runs/phantom/seed-0/joint.keras
python -m experiments.evaluate runs/phantom/seed-0/joint.keras --dataset /path/to/folder
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crfrnn.parameters.scores import nanmean
from experiments import runs
from experiments.config import Config, make
from experiments.show import markdown
from experiments.show.tables import COLUMNS, OF_A_RUN

if TYPE_CHECKING:
    import keras

    from experiments.train.inputs import Slices


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
        whole = run is not None and {"config", "backend"} <= run.keys()
        if not whole or not options.model.is_file():
            expected = "expected runs/<name>/seed-<n>/*.keras"
            parser.error(f"{options.model} is no model of a run: {expected}")
        runs.check_model(options.model)
        config = make(run["config"])
        if options.dataset:
            # Another set has other numbers of cases; its test split as a whole.
            sizes = dict.fromkeys(("train_cases", "validation_cases", "test_cases", "folds"))
            config = dataclasses.replace(config, dataset=options.dataset, **sizes)
        os.environ["KERAS_BACKEND"] = run["backend"]
        loaded = _load(config, options.model)
    except runs.Damaged as error:
        parser.error(f"{error} Both are options of experiments.compare.")
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    print(_evaluate(config, *loaded))
    return 0


def _load(config: Config, path: Path) -> tuple[keras.Model, Slices]:
    """A model and the test cases, which fit together; ValueError or FileNotFoundError if not."""
    # Imported here: Keras reads its backend when it is imported. The two packages register the
    # layers that the file names, crfrnn when the layer is first asked for.
    import keras

    import unet  # noqa: F401
    from crfrnn import CRFRNN  # noqa: F401
    from experiments.train import inputs

    loaded = inputs.load(config, _seed(path) if config.folds else 0)
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # Keras has no class of its own for it
        raise ValueError(
            f"{path} is whole, but no model that Keras {keras.version()} can load here. Expected "
            f"one that experiments.compare has left. Keras said: {error}"
        ) from None
    images, logits = _shape(model, "input", "image"), _shape(model, "output", "unaries")
    sizes = loaded.test.images.shape[-1], loaded.num_labels
    axes = "B, D, H, W" if config.volumes else "B, H, W"
    fits = {len(images), len(logits)} == {loaded.test.images.ndim}
    if not fits or (images[-1], logits[-1]) != sizes:
        raise ValueError(
            f"{path} and the cases of {config.dataset!r} do not fit together. Expected a model "
            f"that experiments.compare has left, from ({axes}, {sizes[0]}) to logits ({axes}, "
            f"{sizes[1]}). Received one from {images or 'others'} to {logits or 'others'}."
        )
    return model, loaded.test


def _seed(path: Path) -> int:
    """Of a cross-validation each seed has test cases of its own, and has trained on the others'."""
    name = path.parent.name
    if not re.fullmatch(r"seed-\d+", name):
        raise ValueError(
            f"{path}: expected a folder seed-<n>, whose number says which part of the "
            f"cross-validation the model has not seen. Received {name!r}."
        )
    return int(name.removeprefix("seed-"))


def _shape(model: keras.Model, which: str, name: str) -> tuple[int | None, ...]:
    """Of a model's only "input" or "output", or of that of a name; () where there is none."""
    ends: Any = getattr(model, which, None)  # which a model of one's own may lack
    end = ends.get(name) if isinstance(ends, dict) else ends
    return tuple(getattr(end, "shape", ()))


def _evaluate(config: Config, model: keras.Model, test: Slices) -> str:
    from experiments.score.cases import score_cases
    from experiments.train.predict import predict

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
