"""A folder of pseudo-labels, from files to files, beside pydensecrf as its users run it.

    python -m benchmarks.pseudo_labels [--workloads voc-3 coco-4 coco-81] [--repeats 2]

`--help` lists all options, README.md explains the numbers. Writes JSON after every round.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import measure

STRIDE = 8  # of the network whose probabilities these are
CRF = dict(
    theta_alpha=80.0, theta_beta=13.0, theta_gamma=3.0, bilateral_weight=10.0, spatial_weight=3.0
)
ITERATIONS = 10
ABSENT = 1e-4  # the largest probability of a label that is not in an image
BELOW = 1e-3


class Workload(NamedTuple):
    """Images of (H, W), L labels, of which some are present."""

    grid: tuple[int, int]
    labels: int
    present: int
    title: str


WORKLOADS = {
    "voc-3": Workload((375, 500), 21, 3, "500 x 375, 21 labels, 3 present"),
    "coco-4": Workload((480, 640), 81, 4, "640 x 480, 81 labels, 4 present"),
    "coco-81": Workload((480, 640), 81, 81, "640 x 480, 81 labels, all present"),
}


# ---- The files -----------------------------------------------------------------------------------


def make(workload: Workload, folder: Path, count: int) -> None:
    """images/*.jpg, probs/*.npy (h, w, L) float16 and packed/*.npz of the same."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter
    from skimage.data import astronaut
    from skimage.transform import resize

    import crfrnn

    (height, width), labels = workload.grid, workload.labels
    photograph = 255 * resize(astronaut(), (round(1.5 * height), round(1.5 * width)))
    for name in ("images", "probs", "packed"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        image = photograph[top : top + height, left : left + width][:, :: rng.choice([-1, 1])]
        image = np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"images/{number:04}.jpg", quality=92)

        small = -(-height // STRIDE), -(-width // STRIDE)
        present = np.sort(rng.permutation(labels)[: workload.present])
        centres = rng.uniform(0, small, (max(3 * len(present), 12), 2))
        place = np.stack(np.indices(small), -1)[..., None, :]
        nearest = np.linalg.norm(place - centres, axis=-1).argmin(-1) % len(present)
        logits = 6 * gaussian_filter(np.eye(len(present))[nearest], (1, 1, 0))
        some = np.exp(logits + rng.normal(0, 0.5, logits.shape))
        probs = ABSENT * rng.uniform(0.01, 1, (*small, labels))
        probs[..., present] = 0
        rest = 1 - probs.sum(-1, keepdims=True)
        probs[..., present] = rest * some / some.sum(-1, keepdims=True)
        np.save(folder / f"probs/{number:04}.npy", probs.astype(np.float16))
        crfrnn.pack(folder / f"packed/{number:04}.npz", probs, ignore_below=BELOW)


# ---- The contenders: each runs in a process of its own -------------------------------------------


def ours(folder: Path, out: Path, numbers: range, processes: int, probs: str) -> None:
    """`crfrnn.refine_many`, as a user calls it."""
    import crfrnn

    ending = {"probs": "npy", "packed": "npz"}[probs]
    pairs = [
        (folder / f"images/{number:04}.jpg", folder / f"{probs}/{number:04}.{ending}")
        for number in numbers
    ]
    how = dict(num_iterations=ITERATIONS, ignore_below=BELOW, **CRF)
    found = crfrnn.refine_many(pairs, out, jobs=processes, upsample=True, progress=False, **how)
    failed = [result.error for result in found if result.error]
    if failed:
        raise RuntimeError(failed[0])


def theirs(folder: Path, out: Path, numbers: range, processes: int, only_present: bool) -> None:
    """pydensecrf in a pool of processes, as in the code of its users."""
    out.mkdir()
    tasks = [(folder, out, number, only_present) for number in numbers]
    with multiprocessing.Pool(processes) as pool:
        for _ in pool.imap_unordered(one_of_theirs, tasks):
            pass
        pool.close()
        pool.join()


def one_of_theirs(task: tuple[Path, Path, int, bool]) -> None:
    """One image: read, resize, energies, CRF, write."""
    import cv2
    import pydensecrf.densecrf as densecrf
    from PIL import Image
    from pydensecrf.utils import unary_from_softmax

    folder, out, number, only_present = task
    image = np.array(Image.open(folder / f"images/{number:04}.jpg").convert("RGB"))
    height, width, _ = image.shape
    probs = np.load(folder / f"probs/{number:04}.npy").astype(np.float32)
    keys = np.arange(probs.shape[-1])
    if only_present:
        keys = np.flatnonzero(probs.max((0, 1)) >= BELOW)
        probs = probs[..., keys] / probs[..., keys].sum(-1, keepdims=True)
    probs = cv2.resize(probs, (width, height), interpolation=cv2.INTER_LINEAR)
    crf = densecrf.DenseCRF2D(width, height, len(keys))
    crf.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(np.moveaxis(probs, -1, 0))))
    crf.addPairwiseGaussian(sxy=CRF["theta_gamma"], compat=CRF["spatial_weight"])
    crf.addPairwiseBilateral(
        sxy=CRF["theta_alpha"],
        srgb=CRF["theta_beta"],
        rgbim=image,
        compat=CRF["bilateral_weight"],
    )
    q = np.asarray(crf.inference(ITERATIONS))
    labels = keys[q.argmax(0)].reshape(height, width)
    Image.fromarray(labels.astype(np.uint8)).save(out / f"{number:04}.png")


# By name a function and its last argument.
CONTENDERS: dict[str, tuple[Callable[..., None], Any]] = {
    "crfrnn": (ours, "probs"),
    "crfrnn, packed": (ours, "packed"),
    "crfrnn, one process": (ours, "probs"),
    "pydensecrf": (theirs, False),
    "pydensecrf, labels present": (theirs, True),
}


def contend(name: str, folder: Path, out: Path, count: int, processes: int) -> dict[str, Any]:
    """One run: seconds on the clock and on processors, start of the processes included.

    Not included is the import of what pydensecrf's users use, which its forked processes share: of
    few images it would be a large part.
    """
    function, how = CONTENDERS[name]
    if function is theirs:
        for module in ("cv2", "PIL.Image", "pydensecrf.densecrf", "pydensecrf.utils"):
            importlib.import_module(module)
    start, before = time.perf_counter(), _processor_seconds()
    function(folder, out, range(count), processes, how)
    seconds, busy = time.perf_counter() - start, _processor_seconds() - before
    who = resource.RUSAGE_SELF if processes == 1 and function is ours else resource.RUSAGE_CHILDREN
    peak = resource.getrusage(who).ru_maxrss / 1024
    return {"images": count, "seconds": seconds, "core_seconds": busy, "peak_worker_mb": peak}


def _processor_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def agreement(out: Path, count: int, who: str, other: str) -> float:
    """The share of points with the same label, in the images that both have."""
    from PIL import Image

    def labels(name: str, number: int) -> np.ndarray:
        return np.asarray(Image.open(out / name / f"{number:04}.png"))

    return float(np.mean([(labels(who, n) == labels(other, n)).mean() for n in range(count)]))


# ---- The run -------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Runs all contenders in turn, writing the result after each round."""
    path = measure.output_path(options, "pseudo_labels")
    result = measure.circumstances(options.device, options.backend)
    result |= {"crf": {**CRF, "num_iterations": ITERATIONS}, "scale": options.scale, "parts": []}
    processes = result["machine"]["cores"]
    with tempfile.TemporaryDirectory() as name:
        for workload in options.workloads:
            folder = Path(name, workload)
            scaled = WORKLOADS[workload]._replace(
                grid=tuple(round(n * options.scale) for n in WORKLOADS[workload].grid)
            )
            make(scaled, folder, max(options.images, options.fast_images))
            counts = {who: _count(who, scaled, options) for who in CONTENDERS}
            counts = {who: count for who, count in counts.items() if count}
            runs: dict[str, list[dict[str, Any]]] = {who: [] for who in counts}
            part: dict[str, Any] = {"workload": workload, "title": scaled.title, "runs": runs}
            result["parts"].append(part)
            with measure.Load() as load:
                for repeat in range(options.repeats):
                    print(f"{workload}, round {repeat + 1} of {options.repeats}", flush=True)
                    out = folder / f"out{repeat}"
                    out.mkdir()
                    for who, count in counts.items():
                        alone = who.endswith("one process")
                        runs[who].append(
                            measure.in_fresh_process(
                                contend,
                                *(who, folder, out / who, count, 1 if alone else processes),
                                options=options,
                                threads=1 if alone else None,
                            )
                        )
                    measure.write_json(path, result)
            part["load"] = load.report
            if "pydensecrf" in counts:
                part["agreement"] = agreement(out, min(counts.values()), "crfrnn", "pydensecrf")
            measure.write_json(path, result)
    print_result(result)
    print(f"\nWritten to {path}")
    return result


def _count(who: str, workload: Workload, options: argparse.Namespace) -> int:
    """Images of a run: more where they take little time, so that starting does not count.

    0: it does not take part. An even number, for two processes.
    """
    everything = workload.present == workload.labels
    if who.startswith("pydensecrf"):
        same = everything and who != "pydensecrf"
        return 0 if same or not measure.has_pydensecrf() else options.images
    count = options.images if everything else options.fast_images
    return count // 2 if who.endswith("one process") else count


def summary(part: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Of each contender medians over the rounds: images_per_second, core_seconds (per image)."""
    return {
        who: {
            "images_per_second": measure.median(r["images"] / r["seconds"] for r in runs),
            "core_seconds": measure.median(r["core_seconds"] / r["images"] for r in runs),
            "peak_worker_mb": max(r["peak_worker_mb"] for r in runs),
        }
        for who, runs in part["runs"].items()
    }


def print_result(result: dict[str, Any]) -> None:
    """Prints medians, and how many times pydensecrf's throughput that is."""
    for part in result["parts"]:
        found = summary(part)
        peer = found.get("pydensecrf", {}).get("images_per_second")
        rows = [
            [who, one["images_per_second"], one["core_seconds"], one["peak_worker_mb"]]
            + [one["images_per_second"] / peer if peer else None]
            for who, one in found.items()
        ]
        others = part["load"]["cores_busy_with_others"]
        print(
            f"\n{part['title']}; others used {others} cores; labels alike {part.get('agreement')}"
        )
        measure.print_table(["", "images/s", "core s", "peak MB", "x pydensecrf"], rows)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=2, help="rounds of all contenders")
    parser.add_argument("--images", type=int, default=4, help="of a run of pydensecrf")
    parser.add_argument("--fast-images", type=int, default=192, help="of a run of the fast ones")
    parser.add_argument("--scale", type=float, default=1.0, help="of the grids, for a quick trial")
    measure.add_run_options(parser)
    parser.set_defaults(device="cpu", backend="tensorflow")  # no Keras takes part
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
