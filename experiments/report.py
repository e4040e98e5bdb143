"""A page about one run, in one file that needs no network: table, curves, cases to look at.

python -m experiments.report runs/phantom                   runs/phantom/report.html
python -m experiments.report runs/phantom -o page.html      elsewhere
python -m experiments.report runs/controlled                of a study, a page per setting
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from crfrnn.files import needed
from experiments import runs
from experiments.show.report.command import command

CASES = 12
LARGE = 5e6  # bytes: above, mail and chat programs begin to refuse the page


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page of a run, or the pages of a study; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="folder of a finished run, or of a study")
    parser.add_argument("-o", "--output", type=Path, help="default: report.html in the run")
    parser.add_argument(
        "--cases",
        type=int,
        default=CASES,
        help="test cases shown, from the best change to the worst (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        needed("matplotlib", "Pages about runs", "experiments")
        from experiments.show.report import page

        folders = finished(options.run)
        if options.cases < 1:
            raise ValueError(f"--cases must be at least 1. Received: {options.cases}")
        if options.output and len(folders) > 1:
            raise ValueError(
                f"{options.run} has {len(folders)} finished settings, and --output names one "
                f"page. Give one of them, e.g. {folders[0]}"
            )
        for folder in folders:
            text = page.render(folder, options.cases).encode()
            path = options.output or folder / "report.html"
            runs.write(path, lambda file, text=text: file.write(text))
            hint = "; fewer --cases make it smaller" if len(text) > LARGE else ""
            print(f"{path} ({len(text) / 1e6:.1f} MB{hint})")
    except (ValueError, FileNotFoundError, ImportError) as error:
        parser.error(str(error))
    return 0


def finished(folder: Path) -> list[Path]:
    """The finished runs in the folder of a run, or a study; others are named on standard error.

    Raises:
        ValueError: if it is neither, or nothing is finished; the message has the command that
            finishes it.
    """
    settings = [path.parent for path in sorted(folder.glob("*/run.json"))]
    found = [folder] if (folder / "run.json").exists() else settings
    if not found:
        raise ValueError(
            f"{folder} is no run: expected a folder with run.json, as experiments.compare writes "
            "it to runs/NAME, or a study's folder of such folders."
        )
    done = [one for one in found if (one / "results.json").exists()]
    for one in found:
        if one not in done:
            message = f"{one} is not finished. This finishes it:\n\n    {command(one)}\n"
            if not done:
                raise ValueError(message)
            print(message, file=sys.stderr)
    return done


if __name__ == "__main__":
    sys.exit(main())
