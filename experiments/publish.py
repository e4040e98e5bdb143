"""The pages of results in docs/, their figures, and marked tables elsewhere, from JSON alone.

    python -m experiments.publish                                generate everything again
    python -m experiments.publish runs/controlled/study.json     take in new results first
    python -m experiments.publish runs/phantom/results.json      the same, of the main job

The text is written by hand, in docs/results.template.md and docs/results/*.template.md; every
number comes from experiments/results/. See experiments/show/ for how.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from tqdm import tqdm

from experiments import runs
from experiments.show import condense, figures, pages

ROOT = Path(__file__).parents[1]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Generate pages, figures and marked tables of a repository; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results", nargs="*", type=Path, help="a study.json, or a run's results.json, to take in"
    )
    for path in parser.parse_args(arguments).results:
        try:
            condense.take_in(path, root / "experiments" / "results")
        except (ValueError, FileNotFoundError) as error:
            parser.error(str(error))
    texts, drawings = pages.generated(root)
    for path, text in texts.items():
        runs.write(path, lambda file, text=text: file.write(text.encode()))
        print(path.relative_to(root))
    folder = root / "docs" / "results"
    with matplotlib.rc_context({"text.parse_math": False}):  # names of others may have a "$"
        for name, draw in tqdm(drawings.items(), desc="figures", leave=False):
            runs.write(folder / name, lambda file, draw=draw: draw().savefig(file, dpi=figures.DPI))
    for left in {*folder.glob("*.png")} - {folder / name for name in drawings}:
        left.unlink()  # of a text that shows it no more
        print(f"{left.relative_to(root)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
