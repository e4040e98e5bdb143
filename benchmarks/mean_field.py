"""Whole inference and training of the CRF, beside pydensecrf: time, peak memory, agreement.

    python -m benchmarks.mean_field [--workloads ABCD] [--repeats 7] [--backend tensorflow]

`--help` lists all options, README.md explains the numbers. Writes JSON after every part.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import compiled, measure, workloads
from benchmarks.peer import PyDenseCRF
from benchmarks.workloads import Workload

METHODS: dict[str, dict[str, Any]] = {
    "lattice-native": {"method": "lattice", "native": True},
    "lattice-ops": {"method": "lattice", "native": False},
    "local": {"method": "local"},
}
PASSES = ("forward", "forward_backward")

# The older implementations' times, measured on one machine in one quiet hour: whole inference of A
# by pydensecrf, and forward + backward of the CRF-RNN layer of crfasrnn_keras on A.
PYDENSECRF_A_MS, CRFASRNN_KERAS_A_MS = 1152.0, 5858.0


# ---- Parts: each runs in a process of its own --------------------------------------------------


def offline(name: str, scale: float, repeats: int) -> dict[str, Any]:
    """crfrnn.refine and pydensecrf, from image and probabilities to probabilities."""
    workload = workloads.load(name, scale)
    refine = _refine(workload)
    contenders = {"refine": refine, "refine_build": lambda: _filters(workload)}
    report: dict[str, Any] = {"vertices": _vertices(workload)}
    if measure.has_pydensecrf():
        peer = PyDenseCRF(workload)
        contenders |= {"pydensecrf": peer.run, "pydensecrf_build": peer.crf}
        report["max_difference_q"] = float(np.abs(refine() - peer.run()).max())
    return report | measure.timed(contenders, repeats)


def layer(
    name: str, scale: float, repeats: int, method: str, batch: int = 1, seconds: float = 60.0
) -> dict[str, Any]:
    """The Keras layer on the running backend, by one method, and pydensecrf where it is at hand."""
    workload = workloads.load(name, scale)
    inputs = workloads.batch(workload, batch)
    passes = compiled.layer_functions(workload, *inputs, **METHODS[method])
    contenders: dict[str, Callable] = dict(zip(PASSES, passes, strict=True))
    report: dict[str, Any] = {}
    if measure.has_pydensecrf():
        peer = PyDenseCRF(workload, normalization="after")
        contenders["pydensecrf"] = peer.run
        difference = _probabilities(contenders["forward"]())[0] - peer.run()
        report["max_difference_q"] = float(np.abs(difference).max())
    return report | measure.timed(contenders, repeats, seconds)


def memory(name: str, scale: float, who: str, method: str = "", batch: int = 1) -> dict[str, Any]:
    """Peak memory of one call, above imports and inputs: who = refine, pydensecrf or a pass."""
    small = _subject(workloads.load(name, 0.1 * scale), who, method, batch)
    small()  # load libraries and start threads, which no input's size changes
    call = _subject(workloads.load(name, scale), who, method, batch)
    device = compiled.peak_device_mb if who in PASSES and compiled.has_gpu() else None
    return {"mb": (device or measure.peak_growth_mb)(call), "of": "gpu" if device else "process"}


def _subject(workload: Workload, who: str, method: str, batch: int) -> Callable[[], Any]:
    if who == "refine":
        return _refine(workload)
    if who == "pydensecrf":
        return PyDenseCRF(workload).run
    passes = compiled.layer_functions(
        workload, *workloads.batch(workload, batch), **METHODS[method]
    )
    return passes[PASSES.index(who)]


def _refine(workload: Workload) -> Callable[[], np.ndarray]:
    import crfrnn

    probabilities = workload.probabilities
    return lambda: crfrnn.refine(
        workload.image,
        probabilities,
        **workload.thetas,
        spatial_weight=workload.spatial_weight,
        bilateral_weight=workload.bilateral_weight,
        num_iterations=workload.iterations,
    )


def _filters(workload: Workload) -> list[Any]:
    """The two normalised filters that `refine` builds before its iterations, spatial first."""
    from crfrnn.filtering import make_filter
    from crfrnn.meanfield.positions import bilateral_positions, spatial_positions

    w = workload
    positions = (
        spatial_positions(w.grid, np.float32(w.theta_gamma)),
        bilateral_positions(w.image[None], w.theta_alpha, w.theta_beta),
    )
    return [make_filter(p, normalization="symmetric", native=True) for p in positions]


def _vertices(workload: Workload) -> dict[str, int]:
    counts = [int(f.operator.lattice.seen[-1]) for f in _filters(workload)]
    return dict(zip(("spatial", "bilateral"), counts, strict=True))


def _probabilities(logits: Any) -> np.ndarray:
    import keras

    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


# ---- The run -----------------------------------------------------------------------------------


def plan(options: argparse.Namespace) -> list[tuple[str, dict[str, Any], Callable, tuple]]:
    """The parts of a run: section of the result, labels of the part, function, its arguments."""
    parts: list[tuple[str, dict[str, Any], Callable, tuple]] = []
    gpu = options.device == "gpu"
    batches = {"A": (1, 8)} if gpu else {}
    methods = options.methods
    if methods is None:
        methods = ["lattice-ops"] if gpu else list(METHODS)
    threads = [None] if gpu else options.threads
    for name in options.workloads:
        for count in [] if gpu else threads:
            labels = {"workload": name, "threads": count}
            parts.append(("offline", labels, offline, (name, options.scale, options.repeats)))
        for method in methods:
            # Slow by design on a CPU: they say by what factor, no more.
            slow = method != "lattice-native" and not gpu
            for count in threads[-1:] if slow else threads:
                for batch in batches.get(name, (1,)):
                    labels = {"workload": name, "threads": count, "method": method, "batch": batch}
                    repeats = min(3, options.repeats) if slow else options.repeats
                    seconds = 10.0 if slow else 60.0
                    arguments = (name, options.scale, repeats, method, batch, seconds)
                    parts.append(("layer", labels, layer, arguments))
        subjects = [] if gpu else [("refine",)] + [("pydensecrf",)] * measure.has_pydensecrf()
        for method in methods[:1]:
            for batch in batches.get(name, (1,)):
                subjects += [(who, method, batch) for who in PASSES]
        for subject in subjects if options.memory else []:
            keys = ("who", "method", "batch")[: len(subject)]
            labels = {"workload": name, "threads": threads[-1]}
            labels |= dict(zip(keys, subject, strict=True))
            parts.append(("memory", labels, memory, (name, options.scale, *subject)))
    return parts


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Runs all parts, writing the result after each."""
    path = measure.output_path(options, "mean_field")
    measure.check_device(options)
    result = measure.circumstances(options.device, options.backend)
    result |= {"scale": options.scale, "offline": [], "layer": [], "memory": [], "bars": []}
    parts = plan(options)
    for number, (section, labels, function, arguments) in enumerate(parts, 1):
        words = " ".join(f"{k}={v}" for k, v in labels.items() if v is not None)
        print(f"[{number}/{len(parts)}] {section} {words}", flush=True)
        part = measure.in_fresh_process(
            function, *arguments, options=options, threads=labels["threads"]
        )
        result[section].append(labels | part)
        if options.device == "cpu" and options.scale == 1:
            result["bars"] = bars(result)
        measure.write_json(path, result)
    print_result(result)
    print(f"\nWritten to {path}")
    return result


def bars(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What the project has set itself to reach, with the numbers of this run."""
    found = []

    def add(what: str, labels: dict, value: float, at_least=None, at_most=None):
        met = value >= at_least if at_most is None else value <= at_most
        bound = {"at_least": at_least} if at_most is None else {"at_most": at_most}
        found.append({"what": what, **labels, "value": value, **bound, "met": bool(met)})

    for part in result["offline"]:
        name, threads = part["workload"], part["threads"]
        needed = {1: 2.0, 2: 3.5 if name == "A" else 4.0}.get(threads)
        if needed and "pydensecrf" in part["times"]:
            labels = {"workload": name, "threads": threads}
            add("speed of refine / pydensecrf", labels, ratio(part, "refine"), at_least=needed)
    grown = {(m["workload"], m["who"]): m["mb"] for m in result["memory"]}
    for (name, who), mb in grown.items():
        limit = grown.get((name, "pydensecrf"))
        if who == "refine" and mb is not None and limit is not None:
            add("peak memory of refine, MB", {"workload": name}, mb, at_most=limit)
    for part in result["layer"]:
        is_it = part["workload"] == "A" and part["method"] == "lattice-native"
        if is_it and "pydensecrf" in part["times"]:
            slowness = part["times"]["pydensecrf"]["ms"] / PYDENSECRF_A_MS
            add(
                "forward + backward of the layer, ms",
                {"workload": "A", "threads": part["threads"]},
                part["times"]["forward_backward"]["ms"],
                at_most=CRFASRNN_KERAS_A_MS / 5 * slowness,
            )
    return found


def ratio(part: dict[str, Any], who: str) -> float | None:
    """How many times faster than pydensecrf, by medians of the same part."""
    times = part["times"]
    return times["pydensecrf"]["ms"] / times[who]["ms"] if "pydensecrf" in times else None


def print_result(result: dict[str, Any]) -> None:
    """Prints times in ms and factors over pydensecrf of the same process."""
    if result["offline"]:
        print(
            "\nOffline: crfrnn.refine and pydensecrf, ms (medians); others = cores busy elsewhere"
        )
        header = ["", "threads", "M", "pydensecrf", "(build)", "refine", "(build)"]
        rows = []
        for part in result["offline"]:
            ms = {who: time["ms"] for who, time in part["times"].items()}
            names = ("pydensecrf", "pydensecrf_build", "refine", "refine_build")
            rows.append(
                [part["workload"], part["threads"], part["vertices"]["bilateral"]]
                + [ms.get(name) for name in names]
                + [ratio(part, "refine"), part.get("max_difference_q")]
                + [part["load"]["cores_busy_with_others"]]
            )
        measure.print_table([*header, "faster", "max|dQ|", "others"], rows)
    print(f"\nThe layer on {result['backend']}, ms (medians)")
    header = ["", "threads", "batch", "method", "forward", "faster", "fwd+bwd", "max|dQ|", "others"]
    rows = [
        [part["workload"], part["threads"], part["batch"], part["method"]]
        + [part["times"]["forward"]["ms"], ratio(part, "forward")]
        + [part["times"]["forward_backward"]["ms"], part.get("max_difference_q")]
        + [part["load"]["cores_busy_with_others"]]
        for part in result["layer"]
    ]
    measure.print_table(header, rows)
    if result["memory"]:
        print("\nPeak memory above inputs, MB")
        rows = [
            [m["workload"], m["who"], m.get("method"), m.get("batch"), m["mb"]]
            for m in result["memory"]
        ]
        measure.print_table(["", "who", "method", "batch", "MB"], rows)
    if result["bars"]:
        print("\nBars")
        rows = [
            [bar["what"], bar["workload"], bar.get("threads"), bar["value"]]
            + [f">= {bar['at_least']:.4g}" if "at_least" in bar else f"<= {bar['at_most']:.4g}"]
            + ["met" if bar["met"] else "MISSED"]
            for bar in result["bars"]
        ]
        measure.print_table(["", "", "threads", "measured", "needed", ""], rows)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    measure.add_options(parser)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="on a CPU")
    parser.add_argument(
        "--methods",
        nargs="*",
        choices=METHODS,
        help="of the layer; default: all (GPU: lattice-ops)",
    )
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
