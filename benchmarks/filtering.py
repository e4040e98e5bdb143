"""The filters themselves: build, filter and error against the exact Gaussian, beside pydensecrf.

    python -m benchmarks.filtering [--workloads ABCD] [--repeats 7] [--backend tensorflow]

`--help` lists all options, README.md explains the numbers. Writes JSON after every part.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter as blur

from benchmarks import compiled, measure, workloads
from benchmarks.workloads import Workload

METHODS: dict[str, dict[str, Any]] = {
    "native": {"native": True},
    "ops": {"native": False},
    "local": {"method": "local"},
    "exact": {"method": "exact"},
}
# All pairs: some seconds per filter on one core.
EXACT_POINTS = 20_000
# Points of the crops on which errors are measured: 64 x 64 or 16 x 16 x 16.
CROP_POINTS = 4096


# ---- Parts: each runs in a process of its own --------------------------------------------------


def kernels(name: str, scale: float, repeats: int, gpu: bool) -> dict[str, Any]:
    """Both kernels of a workload: build (norm included) and one filter of L channels."""
    workload = workloads.load(name, scale)
    values = workload.probabilities.reshape(1, -1, workload.labels)  # (1, N, L)
    found = {}
    for kernel, positions in _positions(workload):
        contenders: dict[str, Callable] = {}
        for method in _feasible(values.shape[1], gpu):
            build, apply = _contender(positions, values, workload.grid, METHODS[method])
            contenders |= {f"{method} build": build, f"{method} filter": apply}
        contenders |= _pydensecrf(workload, positions)
        found[kernel] = measure.timed(contenders, repeats, seconds=15.0)
    return found


def errors(name: str, gpu: bool) -> dict[str, Any]:
    """Error of the normalised filters on a crop, against all pairs in float64.

    rel_l2 = |f - e| / |e|; rel_dev = |f - e| / |e - mean(e)|, which no constant offset flatters.
    """
    workload = workloads.load(name)
    side = round(CROP_POINTS ** (1 / len(workload.grid)))
    crop = tuple(slice(size // 2 - side // 2, size // 2 + side // 2) for size in workload.grid)
    part = Workload(
        name,
        workload.image[crop],
        workload.unaries[crop],
        workload.iterations,
        **workload.thetas,
    )
    values = part.probabilities.reshape(1, -1, part.labels)
    found = {}
    for kernel, positions in _positions(part):
        exact = _exact(values[0], positions[0])
        deviation = np.linalg.norm(exact - exact.mean(0))
        found[kernel] = {}
        for method in _feasible(values.shape[1], gpu):
            _, apply = _contender(positions, values, part.grid, METHODS[method])
            error = _to_numpy(apply())[0] - exact
            found[kernel][method] = {
                "rel_l2": float(np.linalg.norm(error) / np.linalg.norm(exact)),
                "rel_dev": float(np.linalg.norm(error) / deviation),
                "max_abs": float(np.abs(error).max()),
            }
    return found


def sweep(scale: float, repeats: int, gpu: bool) -> list[dict[str, Any]]:
    """Build and filter as F and C grow, on smooth random features of a 256 x 256 grid."""
    side = round(256 * scale)
    found = []
    for features, channels in [(f, 4) for f in (1, 2, 3, 5, 8, 16)] + [(5, c) for c in (1, 16, 64)]:
        rng = np.random.default_rng(features)
        fields = [blur(rng.normal(size=(side, side)), 8, mode="wrap") for _ in range(features)]
        positions = np.stack(fields, -1).reshape(1, -1, features)  # (1, N, F)
        # Spread over 3 bandwidths in each direction, whatever their number.
        positions = (3 * positions / positions.std()).astype(np.float32)
        values = rng.random((1, side * side, channels), np.float32)
        contenders: dict[str, Callable] = {}
        for method in ("ops",) if gpu else ("native", "ops"):
            build, apply = _contender(positions, values, (side, side), METHODS[method])
            contenders |= {f"{method} build": build, f"{method} filter": apply}
        labels = {"features": features, "channels": channels}
        found.append(labels | measure.timed(contenders, repeats, seconds=5.0))
    return found


def _positions(workload: Workload) -> Iterator[tuple[str, np.ndarray]]:
    from crfrnn.meanfield.positions import bilateral_positions, spatial_positions

    w = workload
    yield "spatial", spatial_positions(w.grid, np.float32(w.theta_gamma))
    yield "bilateral", bilateral_positions(w.image[None], w.theta_alpha, w.theta_beta)


def _feasible(points: int, gpu: bool) -> list[str]:
    """The methods worth running: the native one has no GPU, the exact one needs few points."""
    return [
        method
        for method in METHODS
        if (method != "native" or not gpu) and (method != "exact" or points <= EXACT_POINTS)
    ]


def _contender(
    positions: np.ndarray, values: np.ndarray, grid: tuple[int, ...], options: dict[str, Any]
) -> tuple[Callable, Callable]:
    """build() and filter(), which wait for their results: NumPy for native, else the backend."""
    from crfrnn.filtering import make_filter

    native = options.get("native")
    if not native:
        import keras

        positions, values = map(keras.ops.convert_to_tensor, (positions, values))
    extra = {"grid": grid} if options.get("method") == "local" else {}

    def build():
        kernel = make_filter(positions, **options, **extra)
        return kernel if native else compiled.finish(kernel, kernel.scale_out)

    kernel = build()

    def apply():
        filtered = kernel(values)
        return filtered if native else compiled.finish(filtered, filtered)

    return build, apply


def _pydensecrf(workload: Workload, positions: np.ndarray) -> dict[str, Callable]:
    """Its build, norm included; and one mean-field step with this kernel alone, beside our own.

    It has no function that only filters: its step filters, adds, and takes the softmax.
    """
    if not measure.has_pydensecrf():
        return {}
    import pydensecrf.densecrf as densecrf

    from crfrnn.filtering import make_filter
    from crfrnn.native import library

    features = np.ascontiguousarray(positions[0].T)  # (F, N)
    unaries = np.ascontiguousarray(workload.unaries.reshape(-1, workload.labels))  # (N, L)

    def build():
        crf = densecrf.DenseCRF(*unaries.shape)
        crf.setUnaryEnergy(np.ascontiguousarray(-unaries.T))
        crf.addPairwiseEnergy(features, 1.0)
        return crf

    crf = build()
    state = crf.startInference()
    contenders = {"pydensecrf build": build, "pydensecrf step": lambda: crf.stepInference(*state)}
    if library.path():
        kernel = make_filter(positions, normalization="symmetric", native=True)
        weights = np.full(workload.labels, -1.0, np.float32)
        scales = (kernel.scale_in, kernel.scale_out)
        kernels = [library.PairwiseTerm(kernel.operator.lattice, *scales, weights)]
        q = library.softmax(unaries)
        contenders["native step"] = lambda: library.mean_field(kernels, unaries, q)
    return contenders


def _exact(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """sum_j k_ij v_j / sum_j k_ij over all pairs: (N, C) float64."""
    points = positions.astype(np.float64)
    squares = np.square(points).sum(1)
    distances = squares[:, None] + squares - 2 * points @ points.T  # (N, N)
    weights = np.exp(-0.5 * np.maximum(distances, 0))
    return weights @ values / weights.sum(1, keepdims=True)


def _to_numpy(array: Any) -> np.ndarray:
    if isinstance(array, np.ndarray):
        return array
    import keras

    return keras.ops.convert_to_numpy(array)


# ---- The run -----------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Runs all parts, writing the result after each."""
    path = measure.output_path(options, "filtering")
    measure.check_device(options)
    gpu = options.device == "gpu"
    result = measure.circumstances(options.device, options.backend)
    threads = None if gpu else options.threads
    result |= {"scale": options.scale, "threads": threads}
    result |= {"kernels": {}, "errors": {}, "sweep": []}

    def part(function: Callable, *arguments: Any) -> Any:
        print(function.__name__, *arguments[:1], flush=True)
        return measure.in_fresh_process(function, *arguments, options=options, threads=threads)

    for name in options.workloads:
        arguments = (name, options.scale, options.repeats, gpu)
        result["kernels"][name] = part(kernels, *arguments)
        result["errors"][name] = part(errors, name, gpu)
        measure.write_json(path, result)
    result["sweep"] = part(sweep, options.scale, options.repeats, gpu)
    measure.write_json(path, result)
    print_result(result)
    print(f"\nWritten to {path}")
    return result


def print_result(result: dict[str, Any]) -> None:
    """Prints medians in ms, and errors."""
    rows = []
    for name, found in result["kernels"].items():
        for kernel, part in found.items():
            times = {who: time["ms"] for who, time in part["times"].items()}
            peer = [times.get(f"pydensecrf {what}") for what in ("build", "step")]
            for method in METHODS:
                if f"{method} build" in times:
                    what = [times.get(f"{method} {w}") for w in ("build", "step", "filter")]
                    error = result["errors"][name][kernel].get(method, {})
                    rows.append(
                        [name, kernel, method, *what, error.get("rel_l2"), error.get("rel_dev")]
                    )
            rows.append([name, kernel, "pydensecrf", *peer, None, None, None])
    print(f"\nms (medians), {result['threads']} threads, {result['backend']}; errors on crops")
    measure.print_table(["", "", "", "build", "step", "filter", "rel_l2", "rel_dev"], rows)
    print("\nFeatures F and channels C, ms")
    rows = []
    for part in result["sweep"]:
        times = part["times"]
        ms = [
            times[f"{m} {w}"]["ms"] if f"{m} {w}" in times else None
            for m in ("native", "ops")
            for w in ("build", "filter")
        ]
        rows.append([part["features"], part["channels"], *ms])
    header = ["F", "C", "native build", "native filter", "ops build", "ops filter"]
    measure.print_table(header, rows)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    measure.add_options(parser)
    parser.add_argument("--threads", type=int, default=2, help="on a CPU")
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
