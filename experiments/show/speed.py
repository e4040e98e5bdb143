"""The tables of speed, from the committed measurements of `benchmarks`."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from experiments.show import markdown

WORKLOADS = {  # of benchmarks/workloads.py
    "A": "photograph, 500 x 500, 21 labels",
    "B": "grey image, 320 x 320, 2 labels",
    "C": "volume, 64 x 64 x 64, 3 labels",
    "D": "photograph, 1000 x 1000, 2 labels",
}


def table(path: Path) -> str:
    """Milliseconds of pydensecrf and of `crfrnn.refine`, and how many times faster that is.

    Args:
        path: a file of ``benchmarks/results`` with measurements offline, of one and more threads.
    """
    measured = json.loads(path.read_text("utf-8"))["offline"]
    times = {(one["workload"], one["threads"]): one["times"] for one in measured}
    threads = sorted({number for _, number in times})
    lines = []
    for workload, title in WORKLOADS.items():
        ours = []
        for number in threads:
            refine, theirs = (times[workload, number][k]["ms"] for k in ("refine", "pydensecrf"))
            ours.append(f"{refine:.0f} ms ({theirs / refine:.1f} x)")
        lines.append([title, f"{times[workload, threads[0]]['pydensecrf']['ms']:.0f} ms", *ours])
    counts = [f"crfrnn, {number} thread{'s' * (number > 1)}" for number in threads]
    return markdown.table(["", "pydensecrf", *counts], lines)


CONTENDERS = {  # of benchmarks/pseudo_labels.py
    "crfrnn": "`refine_many`",
    "crfrnn, packed": "`refine_many`, packed files",
    "pydensecrf": "pydensecrf, all labels",
    "pydensecrf, labels present": "pydensecrf, labels present",
}


def pseudo_labels(path: Path) -> str:
    """Images per second and core-seconds per image, of whole folders, and where that was measured.

    Args:
        path: a file of ``benchmarks/results``, of `python -m benchmarks.pseudo_labels`.
    """
    measured, lines = json.loads(path.read_text("utf-8")), []
    for part in measured["parts"]:
        rates = {
            who: statistics.median(run["images"] / run["seconds"] for run in runs)
            for who, runs in part["runs"].items()
        }
        for who, title in CONTENDERS.items():
            runs = part["runs"].get(who)
            if not runs:
                continue
            core = statistics.median(run["core_seconds"] / run["images"] for run in runs)
            factor = "" if who == "pydensecrf" else f"{rates[who] / rates['pydensecrf']:.1f} x"
            lines.append([part["title"], title, f"{rates[who]:.2f}", factor, f"{core:.2f} s"])
    head = ["", "", "images per second", "", "core-seconds per image"]
    machine = measured["machine"]
    others = max(part["load"]["cores_busy_with_others"] for part in measured["parts"])
    where = f"{machine['cores']} cores of {machine['processor']}; others used {others:.1f} of them."
    return f"{markdown.table(head, lines)}\n\nMeasured on {where}"
