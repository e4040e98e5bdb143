"""Text with numbers in it: what templates may call, and the marked parts of README and docs.

In the template and in the markers, studies, settings and rows go by their names:

    {{ scores("controlled", "wbc1-10") }}                        a table
    {{ difference("controlled", "wbc1-10", "joint", "plain") }}  +0.72 [+0.46, +0.97]
    {{ forest("controlled", ["wbc1-10", "wbc1-30"]) }}           a figure

    <!-- table: scores("controlled", "wbc1-10", ["plain", "joint"]) --> ... <!-- /table -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from experiments import markdown
from experiments.publish import figures, tables, verdicts
from experiments.publish.study import Setting, Study

MARKED = re.compile(r"(<!-- table: (.*?) -->).*?(<!-- /table -->)", re.S)


class Page:
    """Renders text from studies, and remembers the figures it shows.

    Args:
        studies: by name.
        pictures: folder of the figures, as the text links it.

    Attributes:
        figures: by file name, a function that makes it; the page itself draws nothing.
    """

    def __init__(self, studies: Mapping[str, Study], pictures: str) -> None:
        self.figures: dict[str, Callable[[], Figure]] = {}
        self._studies = studies
        self._pictures = PurePosixPath(pictures)
        self._jinja = jinja2.Environment(
            undefined=jinja2.StrictUndefined,  # a misspelt name must not vanish from the page
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # Markdown
        )
        self._jinja.globals.update(studies=studies, margin=verdicts.MARGIN, **self._functions())

    def render(self, template: str) -> str:
        """The text of a template.

        Raises:
            ValueError: for a study, setting or row that is not there.
            jinja2.TemplateError: for a template that is not well formed.
        """
        return self._jinja.from_string(template).render()

    def fill(self, text: str) -> str:
        """The same text with every part between markers made anew.

        Args:
            text: with ``<!-- table: CALL -->`` and ``<!-- /table -->``. Several lines go on lines
                of their own, a single number stays in its sentence.
        """

        def made(match: re.Match[str]) -> str:
            content = self.render("{{ " + match[2] + " }}")
            if "\n" in content:
                content = f"\n{content}\n"
            return match[1] + content + match[3]

        return MARKED.sub(made, text)

    def _functions(self) -> dict[str, Callable[..., str]]:
        of_study = {
            name: self._with_study(getattr(tables, name))
            for name in ("settings", "configuration", "rows", "provenance")
        }
        of_setting = {
            name: self._with_setting(function)
            for name, function in {
                "scores": tables.scores,
                "published": tables.published,
                "differences": tables.change,
                "choices": tables.choices,
                "score": _score,
                "difference": _difference,
                "verdict": _verdict,
                "cases": _cases,
            }.items()
        }
        drawn = {
            "dots": self._figure(figures.dots, several=True),
            "forest": self._figure(figures.forest, several=True),
            "training_size": self._figure(figures.training_size, several=True),
            "gains": self._figure(figures.gains),
            "crf_parameters": self._figure(figures.crf_parameters),
        }
        return {**of_study, **of_setting, **drawn}

    def _study(self, name: str) -> Study:
        if name not in self._studies:
            raise ValueError(f"No study {name!r}. Expected one of {', '.join(self._studies)}.")
        return self._studies[name]

    def _setting(self, study: str, name: str) -> Setting:
        settings = self._study(study).settings
        if name not in settings:
            raise ValueError(
                f"No setting {name!r} in {study}. Expected one of {', '.join(settings)}."
            )
        return settings[name]

    def _with_study(self, function: Callable[..., str]) -> Callable[..., str]:
        return lambda study: function(self._study(study))

    def _with_setting(self, function: Callable[..., str]) -> Callable[..., str]:
        def call(study: str, setting: str, *arguments: Any, **options: Any) -> str:
            return function(
                self._study(study), self._setting(study, setting), *arguments, **options
            )

        return call

    def _figure(self, draw: Callable[..., Figure], several: bool = False) -> Callable[..., str]:
        """A function that notes a figure and returns the Markdown that shows it."""

        def call(study: str, names: str | Sequence[str], *arguments: Any) -> str:
            names = [names] if isinstance(names, str) else names
            settings = [self._setting(study, name) for name in names]
            chosen = settings if several else settings[0]
            file = "-".join([study, draw.__name__, *names, *np.ravel(arguments)]) + ".png"
            self.figures[file] = lambda: draw(self._study(study), chosen, *arguments)
            title = f"{draw.__name__.replace('_', ' ')}: {', '.join(names)}"
            return f"![{title}]({self._pictures / file})"

        return call


def _score(study: Study, setting: Setting, row: str, metric: str = "dice") -> str:
    return markdown.mean_and_sd(setting.scores(row, metric))


def _difference(study: Study, setting: Setting, *arguments: str) -> str:
    return tables.difference(setting, *arguments)


def _verdict(study: Study, setting: Setting, row: str, reference: str) -> str:
    found = [o for o in verdicts.differences(setting) if (o.row, o.reference) == (row, reference)]
    if not found:
        raise ValueError(
            f"{setting.name} does not compare {row!r} with {reference!r}. It compares "
            f"{', '.join(' with '.join(pair) for pair in setting.pairs)}."
        )
    return found[0].words


def _cases(study: Study, setting: Setting) -> str:
    return f"{len(setting.groups)} test cases of {len(np.unique(setting.groups))} groups"
