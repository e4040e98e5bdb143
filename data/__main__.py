"""`python -m data`: list the data sets; `python -m data hippocampus`: download one."""

from __future__ import annotations

import argparse
import sys

import data


def main(arguments: list[str] | None = None) -> int:
    """The command line.

    Args:
        arguments: None = those of the process.

    Returns:
        Exit status: 0, or 1 after a message if a data set could not be brought in.

    Example:
        >>> main(["--help"])  # doctest: +SKIP
    """
    parser = argparse.ArgumentParser(prog="python -m data", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="data sets to download")
    parser.add_argument("--root", help="folder of the data sets (default: $CRFRNN_DATA or cache)")
    options = parser.parse_args(arguments)
    try:
        for name in options.names:
            print(f"{name} is in {data.download(name, options.root)}")
        for name in options.names or data.names():
            print(_summary(name, options.root))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _summary(name: str, root: str | None) -> str:
    if name != "phantom" and not (data.root_folder(root) / name).is_dir():
        return f"{name}: not in {data.root_folder(root)}"
    cases = data.load(name, root)
    groups = len({case.group for case in cases})
    sizes = ", ".join(f"{len(part)} {split}" for split, part in data.split(cases).items())
    classes = ", ".join(data.labels(name, root))
    ignored = "" if cases[0].ignore is None else f"; {cases[0].ignore} = no label"
    return f"{name}: {len(cases)} cases in {groups} groups; {sizes}; {classes}{ignored}"


if __name__ == "__main__":
    sys.exit(main())
