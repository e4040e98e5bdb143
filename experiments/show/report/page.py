"""The page of one run: texts, figures and cases put into page.html."""

from __future__ import annotations

import io
from pathlib import Path

import jinja2
import matplotlib
from markdown_it import MarkdownIt
from markupsafe import Markup
from matplotlib.figure import Figure

from experiments import runs
from experiments.show import curves, figures, run_table, tables, verdicts
from experiments.show.report import browser
from experiments.show.report.command import command
from experiments.show.results import of_run

# Titles come from files of users: HTML in them is text, and nothing is loaded from elsewhere.
MARKDOWN = MarkdownIt("js-default").disable(["image", "link", "autolink"])


# "$" in the names of others is no mathematics; the same bytes for the same figure.
@matplotlib.rc_context({"text.parse_math": False, "svg.hashsalt": "report"})
def render(folder: Path, number: int) -> str:
    """The page of a finished run as HTML, with a number of test cases; always the same text.

    Raises:
        FileNotFoundError, ValueError: from ``browser.browser``.
    """
    results = runs.read_json(folder / "results.json")
    name = folder.resolve().name
    shown = browser.browser(results, folder, number)  # first: what can fail
    run = of_run(name, results)
    texts = run_table.sections(run)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(markdown=_html, words=tables.words)
    return environment.get_template("page.html").render(
        name=name,
        texts=texts,
        markdown=run_table.together(texts),
        curves=_svg(curves.plot(results)),
        forest=_svg(figures.forest([run])) if run.pairs else None,
        margin=verdicts.MARGIN,
        crfs=[
            (row.title, _svg(figures.crf_parameters(run, name)))
            for name, row in run.rows.items()
            if any(run.crf(name))
        ],
        browser=shown,
        command=command(folder),
        hours=run.seconds / 3600,
        environment=run.environment,
        config=run.config,
    )


def _html(text: str) -> Markup:
    """Markdown as HTML, where wide tables scroll on their own."""
    html = MARKDOWN.render(text)
    html = html.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    return Markup(html.replace("</table>", "</table></div>"))


def _svg(figure: Figure) -> str:
    """A figure as a data URI."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return browser.data_uri(file.getvalue(), "image/svg+xml")
