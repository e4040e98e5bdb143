"""Time and peak memory of `crfrnn.large.refine` against the size of the image, files to files.

    python -m benchmarks.scaling [--megapixels 1 4 16 64 256] [--thetas 20 13 3] [--whole 16]

Image (colour, uint8) and probabilities (2 labels, float16) are zarr arrays, the labels are written
to a third. Beside it `crfrnn.refine` of one megapixel in memory, by whose time per pixel the others
are divided; --whole N refines images of at most N megapixels in memory, too, in one lattice. Needs
the extras bench, large and plot, and zarr.
"""

from __future__ import annotations

import argparse
import functools
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

import crfrnn
from benchmarks import measure, workloads
from crfrnn import large

CHUNK = 1000  # points along each side of a chunk; workload D is one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=int, nargs="+", default=[1, 4, 16, 64, 256])
    parser.add_argument("--thetas", type=float, nargs=3, default=[20.0, 13.0, 3.0])
    parser.add_argument("--whole", type=int, default=0, help="megapixels; see above")
    measure.add_run_options(parser)
    parser.set_defaults(device="cpu", backend="tensorflow")  # no Keras takes part
    options = parser.parse_args()
    path = measure.output_path(options, "scaling")
    report: dict[str, Any] = measure.circumstances("cpu", "none")
    report |= {"thetas": options.thetas, "in_memory": None, "runs": []}
    run = functools.partial(measure.in_fresh_process, options=options)
    report["in_memory"] = run(in_memory, options.thetas)
    for number, megapixels in enumerate(options.megapixels, 1):
        print(f"[{number}/{len(options.megapixels)}] {megapixels} megapixels", flush=True)
        report["runs"].append(run(tiled, megapixels, options.thetas))
        if megapixels <= options.whole:
            whole = run(in_memory, options.thetas, round(math.sqrt(megapixels)), 1)
            report["runs"][-1]["whole"] = whole
        measure.write_json(path, report)
    per_pixel = report["in_memory"]["seconds"] / report["in_memory"]["points"]
    measure.print_table(
        ["megapixels", "seconds", "x in memory, per pixel", "planned", "peak MB"],
        [
            [r["points"] / 1e6, r["seconds"], r["seconds"] / r["points"] / per_pixel, r["cost"]]
            + [r["peak_mb"]]
            for r in report["runs"]
        ],
    )
    figure(report, path.with_suffix(".png"))
    print(path)


def arguments(thetas: list[float]) -> dict[str, Any]:
    alpha, beta, gamma = thetas
    names = crfrnn.Parameters(
        theta_alpha=alpha, theta_beta=beta, theta_gamma=gamma, bilateral_weight=5, spatial_weight=3
    )
    return {**names, "num_iterations": 5}


def in_memory(thetas: list[float], side: int = 1, repeats: int = 3) -> dict[str, Any]:
    """Seconds of `crfrnn.refine`, the fastest of some, on all cores; and those of processors."""
    workload = workloads.load("D")
    image, probs = (np.tile(a, (side, side, 1)) for a in (workload.image, workload.probabilities))
    seconds = []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        crfrnn.refine(image, probs, **arguments(thetas))
        seconds.append((time.perf_counter() - start, time.process_time() - busy))
    wall, cpu = min(seconds)
    return {"points": image[..., 0].size, "seconds": wall, "cpu_seconds": cpu}


def tiled(megapixels: int, thetas: list[float]) -> dict[str, Any]:
    """One run from files to a file: seconds, and how far the memory of the process rose."""
    crf = arguments(thetas)
    with tempfile.TemporaryDirectory() as folder:
        image, probs = _mosaic(round(math.sqrt(megapixels)), Path(folder))
        large.refine(image[:50, :50], probs[:50, :50], **crf).compute()  # imports, first use
        seconds = []

        def run() -> None:
            start, busy = time.perf_counter(), time.process_time()
            labels = large.refine(image, probs, **crf).argmax(-1).astype(np.uint8)
            labels.to_zarr(f"{folder}/labels.zarr")
            seconds.extend([time.perf_counter() - start, time.process_time() - busy])

        peak = measure.peak_growth_mb(run)
    cut = large.plan(image.shape[:2], [thetas[0], thetas[2]], crf["num_iterations"])
    return {
        "points": math.prod(image.shape[:2]),
        "seconds": seconds[0],
        "cpu_seconds": seconds[1],
        "peak_mb": peak,
        "plan": str(cut),
        "cost": cut.cost,
    }


def _mosaic(side: int, folder: Path) -> tuple[Any, Any]:
    """Workload D, `side` times along each axis, mirrored so that no edges are added."""
    workload = workloads.load("D")

    def stored(name: str, tile: np.ndarray) -> Any:
        blocks = [
            [[da.from_array(tile[:: 1 - i % 2 * 2, :: 1 - j % 2 * 2])] for j in range(side)]
            for i in range(side)
        ]
        chunks = (CHUNK, CHUNK, tile.shape[-1])
        da.block(blocks).rechunk(chunks).to_zarr(folder / name)
        return da.from_zarr(folder / name)

    image = stored("image.zarr", workload.image)
    return image, stored("probs.zarr", workload.probabilities.astype(np.float16))


def figure(report: dict[str, Any], path: Path) -> None:
    """Seconds and peak memory against megapixels, on logarithmic axes."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    megapixels = [run["points"] / 1e6 for run in report["runs"]]
    left.loglog(megapixels, [run["seconds"] for run in report["runs"]], "o-", label="in tiles")
    base = report["in_memory"]
    linear = [m * 1e6 * base["seconds"] / base["points"] for m in megapixels]
    left.loglog(megapixels, linear, "--", color="grey", label="in memory, per pixel")
    left.set(xlabel="megapixels", ylabel="seconds")
    left.legend()
    right.loglog(megapixels, [run["peak_mb"] for run in report["runs"]], "o-")
    right.set(xlabel="megapixels", ylabel="peak memory, MB", ylim=(10, 10_000))
    fig.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
