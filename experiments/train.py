"""Train and evaluate all rows of one seed, for instance each seed on a machine of its own.

    python -m experiments.train --seed 3 --dataset hippocampus

Takes the options of experiments.compare, which then, given the same options, finds this seed done.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments import compare


def main(arguments: Sequence[str] | None = None) -> int:
    """Train from command line arguments; returns the exit status."""
    parser = compare.make_parser(__doc__)
    parser.add_argument("--seed", type=int, default=0, help="0 .. seeds-1 (default: %(default)s)")
    options = parser.parse_args(arguments)
    (run,) = compare.open_runs(parser, options)
    folder, seeds = run.folder, run.config.seeds
    if not 0 <= options.seed < seeds:
        parser.error(f"--seed must be from 0 to {seeds - 1}. Received: {options.seed}")
    try:
        compare.repeat(run, options.seed)
    except KeyboardInterrupt:
        print(f"\nInterrupted. The same command goes on from the last checkpoint in {folder}.")
        return 130
    print(f"Models and results: {folder / f'seed-{options.seed}'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
