"""Mean field where it converges and where it swings to and fro, with and without damping.

    python -m benchmarks.damping [--cases 4]

Phantoms of 96 x 96 points and 4 labels with noisy logits; CRFs of three kinds. After 10 and 100
iterations: the objective of mean field (as of `DenseCRF.kl`, nats per point), the mean change of a
probability in the last iteration, and Dice over the foreground labels. Writes JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

import crfrnn
import data
from benchmarks import measure
from crfrnn.meanfield.in_place import MeanField
from crfrnn.meanfield.logits import bounded

ITERATIONS = (10, 100)
THETAS = dict(theta_alpha=8.0, theta_beta=0.08, theta_gamma=2.0)

# Labels in a ring around each other support each other, and not themselves.
UNLIKE = -np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]], float)

CRFS = {
    "moderate": ("Potts, weights 5 and 2", dict(bilateral_weight=5.0, spatial_weight=2.0)),
    "strong": ("Potts, weights 50 and 20", dict(bilateral_weight=50.0, spatial_weight=20.0)),
    "unlike": (
        "labels that support the next one, weights 5 and 2",
        dict(bilateral_weight=5.0, spatial_weight=2.0, compatibility=UNLIKE),
    ),
    "repel": (
        "labels that repel themselves, weights 5 and 2",
        dict(bilateral_weight=5.0, spatial_weight=2.0, compatibility=np.eye(4)),
    ),
}


def damped(damping: float) -> Callable[[MeanField, range], None]:
    """Steps of the logits: x <- damping x + (1 - damping) update."""

    def run(state: MeanField, iterations: range) -> None:
        state.step(len(iterations), damping)

    return run


def averaged(step: Callable[[int], float]) -> Callable[[MeanField, range], None]:
    """Steps of the probabilities, q <- (1 - a) q + a update: Frank-Wolfe, entropy-regularised.

    step: a of the iteration 0, 1, ...
    """

    def run(state: MeanField, iterations: range) -> None:
        for t in iterations:
            old = state.q.copy()
            state.step()
            state.q[...] = (1 - step(t)) * old + step(t) * state.q

    return run


UPDATES = {
    "0": damped(0.0),
    "0.25": damped(0.25),
    "0.5": damped(0.5),
    "0.75": damped(0.75),
    "0.9": damped(0.9),
    "Frank-Wolfe, 0.5": averaged(lambda t: 0.5),
    "Frank-Wolfe, 0.25": averaged(lambda t: 0.25),
    "Frank-Wolfe, 2 / (t + 2)": averaged(lambda t: 2 / (t + 2)),
}


def logits(case: Any, seed: int) -> np.ndarray:
    """The truth with a soft border and noise of two pixels' size, (H, W, 4)."""
    noise = np.random.default_rng(seed).normal(size=(*case.label.shape, 4))
    noise = gaussian_filter(noise, (2, 2, 0))
    return gaussian_filter(3.0 * np.eye(4)[case.label], (1, 1, 0)) + 1.2 * noise / noise.std()


def dice(labels: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the foreground labels, percent."""
    overlaps = [
        2 * np.sum((labels == k) & (truth == k)) / (np.sum(labels == k) + np.sum(truth == k))
        for k in range(1, 4)
    ]
    return float(100 * np.mean(overlaps))


def measured(case: Any, unaries: np.ndarray, crf: dict[str, Any], update: Any) -> dict[str, Any]:
    """Of one case: after each number of iterations "energy", "change" and "dice"."""
    model = crfrnn.DenseCRF(case.image, 4, **THETAS, **crf)
    state = MeanField(list(model.kernels.values()), bounded(unaries.reshape(-1, 4)))
    found, done = {}, 0
    for iterations in ITERATIONS:
        update(state, range(done, iterations - 1))
        before = state.q.copy()
        update(state, range(iterations - 1, iterations))
        done = iterations
        parts = state.free_energy()
        found[iterations] = {
            "energy": (parts.entropy + parts.unary + parts.pairwise / 2) / case.label.size,
            "change": float(np.abs(state.q - before).mean()),
            "dice": dice(state.q.argmax(-1).reshape(case.label.shape), case.label),
        }
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=4)
    measure.add_run_options(parser)
    parser.set_defaults(device="cpu", backend="tensorflow")  # no Keras takes part
    options = parser.parse_args(arguments)
    path = measure.output_path(options, "damping")
    cases = data.load("phantom", split="test")[: options.cases]
    result: dict[str, Any] = {
        "circumstances": measure.circumstances("cpu", "numpy"),
        "thetas": THETAS,
        "cases": [case.id for case in cases],
        "crfs": {},
    }
    inputs = [(case, logits(case, seed)) for seed, case in enumerate(cases)]
    result["dice_of_the_logits"] = float(np.mean([dice(x.argmax(-1), c.label) for c, x in inputs]))
    for name, (title, crf) in CRFS.items():
        part = result["crfs"][name] = {"title": title, "updates": {}}
        for update, run in UPDATES.items():
            found = [measured(case, unaries, crf, run) for case, unaries in inputs]
            part["updates"][update] = {
                str(iterations): {
                    key: float(np.mean([one[iterations][key] for one in found]))
                    for key in ("energy", "change", "dice")
                }
                for iterations in ITERATIONS
            }
        measure.write_json(path, result)
        rows = [
            [update, *(after[str(i)][key] for i in ITERATIONS for key in after[str(i)])]
            for update, after in part["updates"].items()
        ]
        print(f"\n{title}; energy, change and Dice after {ITERATIONS} iterations")
        measure.print_table(["damping", *("energy", "change", "Dice") * 2], rows)
    print(f"\nWritten to {path}")
    return result


if __name__ == "__main__":
    main()
