"""How Sphinx builds the documentation: `make docs`, or `python -m sphinx -W docs PLACE`."""

import inspect
import logging
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util.logging import getLogger

import crfrnn

sys.path.insert(0, str(Path(__file__).parents[1]))  # for whom `python -m sphinx` runs elsewhere
from tools.explorer import page

project = "crfrnn"
release = crfrnn.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["**.template.md"]

html_theme = "furo"
html_math_renderer = "mathml"
html_title = f"crfrnn {release}"
html_copy_source = False
html_show_copyright = False
highlight_language = "none"  # what is not marked as Python is a shell command or its output

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more: shapes, units and ranges
default_role = "code"
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    ("Input shape", "notes_style"),
    ("Output shape", "notes_style"),
    "Input shape, output shape",
    ("Reference", "notes_style"),
]


# Results and notebooks are made by other commands: their pages join when they are there. (Without a
# type, the warning is out of reach for suppress_warnings.)
logging.getLogger("sphinx.sphinx.directives.other").addFilter(
    lambda record: not str(record.msg).startswith("toctree glob pattern")
)


def plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text: what would be markup in reStructuredText is taken literally."""
    text = "\n".join(lines)
    # Names of arguments that go on in a second line.
    text = re.sub(r"^( +)([\w, ]+,)\n\1 +([\w, ]+:)", r"\1\2 \3", text, flags=re.M)
    # An indented paragraph after a colon holds an equation or code.
    text = re.sub(r"(?<![:\n]):\n\n(?=( +)\S)", _literal_if_deeper(text), text)
    kept = re.split(r"(``?[^`]+``?|^ *(?:>>>|\.\.\.) .*$|^ *\|.*\|$)", text, flags=re.M)
    kept[::2] = [re.sub(r"([*|])", r"\\\1", part) for part in kept[::2]]
    lines[:] = "".join(kept).split("\n")


def _literal_if_deeper(text):
    def replace(match):
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        deeper = len(match[1]) > len(line) - len(line.lstrip())
        return "::\n\n" if deeper else match[0]

    return replace


def keras_signature(app, what, name, obj, options, signature, result):
    """Keras wraps `__new__`, which hides the arguments of its subclasses."""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(plain)), None


def formula(display):
    """Formulas become MathML here: browsers draw it without a script, and without a network."""

    def visit(self, node):
        self.body.append(convert(node.astext(), display=display))
        raise nodes.SkipNode

    return visit, None


def complete(app, env):
    """Every public name has its place in the documentation; a warning, and so with -W an error."""
    documented = env.get_domain("py").objects
    for name in {*crfrnn.__all__} - {"__version__"}:
        if f"crfrnn.{name}" not in documented:
            getLogger(__name__).warning("crfrnn.%s is on no page: docs/api.md lists them", name)


def explorer(app, error):
    """The page of the explorer is a file of its own, made of docs/explorer and crfrnn/explorer."""
    if error is None and app.builder.format == "html":
        page.write(Path(app.outdir, "explorer", "index.html"))


def setup(app):
    app.connect("env-check-consistency", complete)
    app.connect("build-finished", explorer)
    app.add_html_math_renderer("mathml", formula("inline"), formula("block"))
    app.connect("autodoc-process-signature", keras_signature)
    # Before napoleon, which makes markup of its own.
    app.connect("autodoc-process-docstring", plain_text, priority=100)
