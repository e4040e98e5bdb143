"""The README's Python blocks run as printed, one after another in one namespace; it stays short."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_the_python_blocks_run_as_printed():
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 2
    names: dict = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    network, model = names["network"], names["model"]
    assert network.output_shape == (None, None, None, 2)
    assert model.output_shape == (None, None, None, 2)
    probs, refined, truth = names["probs"], names["refined"], names["truth"]
    assert_close(refined.sum(axis=-1), np.ones((60, 80)), FLOAT32)
    before, after = ((array.argmax(-1) == truth).mean() for array in (probs, refined))
    assert before < 0.75 and after > 0.95


@pytest.mark.parametrize("name, words", [("README.md", 800), ("docs/results.md", 1500)])
def test_it_is_read_in_minutes(name, words):
    markdown_it = pytest.importorskip("markdown_it")
    html = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(
        (ROOT / name).read_text("utf-8")
    )
    text = re.sub(r"<!--.*?-->|<[^>]*>", " ", html, flags=re.S)
    assert 300 < len(text.split()) <= words


def pages():
    """README and docs, but for templates, whose lines are not those of the page."""
    found = [README, *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if ".template" not in path.name]


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_no_comment_tears_a_paragraph(path):
    """In CommonMark a line that begins with a comment is HTML, to its end, even amid prose."""
    markdown_it = pytest.importorskip("markdown_it")
    for token in markdown_it.MarkdownIt("commonmark").parse(path.read_text("utf-8")):
        if token.type == "html_block" and token.content.startswith("<!--"):
            assert re.fullmatch(r"<!--((?!-->).)*-->", token.content.strip(), re.S), token.content
