"""Text with numbers in it: what templates may call, and the marked tables of README and docs.

In a template, and in a marker, studies, settings and rows go by their names:

    {{ scores("controlled", "wbc1-10") }}                        a table
    {{ difference("controlled", "wbc1-10", "joint", "plain") }}  +0.72 [+0.46, +0.97]
    {{ forest("controlled", ["wbc1-10", "wbc1-30"]) }}           a figure

    <!-- table: scores("controlled", "wbc1-10", ["plain", "joint"]) --> ... <!-- /table -->
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from experiments.show import counted, damping, figures, speed, tables, verdicts
from experiments.show.results import Outcome, Results, load

ROOT = Path(__file__).parents[2]
TEMPLATE = ".template.md"
MARKED = re.compile(r"(<!-- table: (.*?) -->).*?(<!-- /table -->)", re.S)
Drawings = dict[str, Callable[[], Figure]]  # by file name, what draws it

OF_STUDY = (tables.settings, tables.configuration, tables.rows, tables.provenance)
OF_SETTING = {
    "scores": tables.scores,
    "published": tables.published,
    "differences": tables.change,
    "choices": tables.choices,
    "score": tables.score,
    "difference": tables.difference,
    "verdict": verdicts.verdict,
    "pooled_differences": counted.pooled_change,
    "pooled_difference": counted.pooled_difference,
    "pooled_verdict": counted.pooled_verdict,
    "cases": lambda one: f"{len(one.groups)} test cases of {len(set(one.groups))} groups",
}
OF_SETTINGS = (
    figures.dots,
    figures.forest,
    figures.training_size,
    counted.gain_by_stride,
)  # side by side
OF_ONE = (figures.gains, figures.crf_parameters)


def generated(root: Path) -> tuple[dict[Path, str], Drawings]:
    """What a repository's results make of the templates in docs/, and of marked tables elsewhere.

    Returns:
        The texts by path, and what draws the figures they show.
    """
    docs, texts, drawings = root / "docs", {}, {}
    studies = load(root / "experiments" / "results")
    for path in [root / "README.md", *sorted(docs.rglob("*.md"))]:
        text = path.read_text("utf-8")
        page = Page(studies, os.path.relpath(docs / "results", path.parent), root)
        if path.name.endswith(TEMPLATE):
            made = path.with_name(path.name.removesuffix(TEMPLATE) + ".md")
            texts[made] = page.render(text)
        elif MARKED.search(text):
            texts[path] = page.fill(text)
        drawings |= page.figures
    return texts, drawings


class Page:
    """Renders text from studies, and remembers the figures it shows.

    Args:
        studies: by name.
        pictures: folder of the figures, as the text links it.
        root: of the repository, where templates include others and benchmarks have their results.

    Attributes:
        figures: by file name, a function that makes it; the page itself draws nothing.
    """

    def __init__(self, studies: Mapping[str, Results], pictures: str, root: Path = ROOT) -> None:
        self.figures: Drawings = {}
        self._studies = studies
        self._pictures = PurePosixPath(pictures)
        self._jinja = jinja2.Environment(
            loader=jinja2.FileSystemLoader(root / "docs"),
            undefined=jinja2.StrictUndefined,  # a misspelt name must not vanish from the page
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # Markdown
        )
        self._jinja.globals.update(
            studies=studies,
            margin=verdicts.MARGIN,
            speed=lambda name: speed.table(root / "benchmarks" / "results" / f"{name}.json"),
            damping=lambda name: damping.table(root / "benchmarks" / "results" / f"{name}.json"),
            pseudo_labels=lambda name: speed.pseudo_labels(
                root / "benchmarks" / "results" / f"{name}.json"
            ),
            **{function.__name__: self._with_study(function) for function in OF_STUDY},
            **{name: self._with_setting(function) for name, function in OF_SETTING.items()},
            **{draw.__name__: self._figure(draw, several=True) for draw in OF_SETTINGS},
            **{draw.__name__: self._figure(draw) for draw in OF_ONE},
        )

    def render(self, template: str) -> str:
        """The text of a template.

        Raises:
            ValueError: for a study, setting or row that is not there.
            jinja2.TemplateError: for a template that is not well formed.
        """
        return self._jinja.from_string(template).render()

    def fill(self, text: str) -> str:
        """The same text with every part between markers made anew.

        Several lines go on lines of their own, a single number stays in its sentence.
        """

        def made(match: re.Match[str]) -> str:
            content = self.render("{{ " + match[2] + " }}")
            if "\n" in content:
                content = f"\n{content}\n"
            return match[1] + content + match[3]

        return MARKED.sub(made, text)

    def _study(self, name: str) -> Results:
        if name not in self._studies:
            raise ValueError(f"No study {name!r}. Expected one of {', '.join(self._studies)}.")
        return self._studies[name]

    def _setting(self, study: str, name: str) -> Outcome:
        settings = self._study(study).settings
        if name not in settings:
            raise ValueError(
                f"No setting {name!r} in {study}. Expected one of {', '.join(settings)}."
            )
        return settings[name]

    def _with_study(self, function: Callable[..., str]) -> Callable[..., str]:
        return lambda study: function(self._study(study))

    def _with_setting(self, function: Callable[..., str]) -> Callable[..., str]:
        return lambda study, name, *rest, **how: function(self._setting(study, name), *rest, **how)

    def _figure(self, draw: Callable[..., Figure], several: bool = False) -> Callable[..., str]:
        """A function that notes a figure and returns the Markdown that shows it."""

        def call(study: str, names: str | Sequence[str], *arguments: Any) -> str:
            names = [names] if isinstance(names, str) else names
            settings = [self._setting(study, name) for name in names]
            rest = "-".join(np.ravel(arguments))
            rest = rest if len(rest) < 40 else f"{zlib.crc32(rest.encode()):08x}"  # a short name
            file = "-".join(filter(None, [study, draw.__name__, *names, rest])) + ".png"
            self.figures[file] = lambda: draw(settings if several else settings[0], *arguments)
            title = f"{draw.__name__.replace('_', ' ')}: {', '.join(names)}"
            return f"![{title}]({self._pictures / file})"

        return call
