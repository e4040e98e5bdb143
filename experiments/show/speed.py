"""The table of speed, from the committed measurements of `python -m benchmarks.mean_field`."""

from __future__ import annotations

import json
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
