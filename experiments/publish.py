"""The command; see `experiments.publish`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from tqdm import tqdm

from experiments import runs
from experiments.publish import figures, study
from experiments.publish.page import MARKED, Page

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Generate docs/results.md, its figures and marked numbers elsewhere; returns the exit status.

    Args:
        arguments: paths of finished studies' ``study.json``, and of runs' ``results.json``, to
            take in first.
        root: of the repository.
    """
    parser = argparse.ArgumentParser(
        prog="python -m experiments.publish",
        description=sys.modules["experiments.publish"].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results", nargs="*", type=Path, help="a study.json, or a run's results.json, to take in"
    )
    for path in parser.parse_args(arguments).results:
        try:
            take_in(path, root / "experiments" / "results")
        except (ValueError, FileNotFoundError) as error:
            parser.error(str(error))
    texts, drawings = generated(root)
    for path, text in texts.items():
        runs.write(path, lambda file, text=text: file.write(text.encode()))
        print(path.relative_to(root))
    folder = root / "docs" / "results"
    for name, draw in tqdm(drawings.items(), desc="figures", leave=False):
        runs.write(folder / name, lambda file, draw=draw: draw().savefig(file, dpi=figures.DPI))
    for left in {*folder.glob("*.png")} - {folder / name for name in drawings}:
        left.unlink()  # of a text that shows it no more
        print(f"{left.relative_to(root)} removed")
    return 0


def take_in(path: Path, folder: Path) -> None:
    """Keep a finished study, or run, among the committed results.

    Args:
        path: of its ``study.json``, or ``results.json``.
        folder: ``experiments/results``.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if settings that are committed have not been run there.
    """
    content = runs.read_json(path)
    if content is None:
        raise FileNotFoundError(
            f"{path} does not exist. Expected a study's study.json or a run's results.json."
        )
    if "study" not in content:
        runs.write_json(folder / f"{path.resolve().parent.name}.json", content)
        return
    target = folder / f"{content['study']['name']}.json"
    missing = (runs.read_json(target) or {"settings": {}})["settings"].keys() - content["settings"]
    if missing:
        raise ValueError(
            f"{path} would take away {', '.join(sorted(missing))} from {target}. Finish these "
            "settings first, or delete that file."
        )
    text = study.dumps(study.condensed(content))
    runs.write(target, lambda file: file.write(text.encode()))


def generated(root: Path) -> tuple[dict[Path, str], dict[str, Callable[[], Figure]]]:
    """What the committed results make of the template, and of marked parts elsewhere.

    Args:
        root: of the repository.

    Returns:
        The texts by path, and by file name what draws each figure they show.
    """
    docs, readme = root / "docs", root / "README.md"
    studies = study.load(root / "experiments" / "results")
    page, front = Page(studies, "results"), Page(studies, "docs/results")
    results, template = docs / "results.md", docs / "results.template.md"
    texts = {results: page.render(template.read_text("utf-8"))}
    for path in [readme, *sorted(set(docs.glob("*.md")) - {results, template})]:
        text = path.read_text("utf-8")
        if path == readme or MARKED.search(text):
            texts[path] = (front if path == readme else page).fill(text)
    return texts, {**page.figures, **front.figures}


if __name__ == "__main__":
    sys.exit(main())
