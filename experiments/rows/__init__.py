"""The rows of a table: what is compared, and how each kind of row is made.

In come settings, slices and trained models (of a repetition); out come logits of validation and
test cases, and what was chosen to get them. A kind of row is a class in a file of its own here.
"""

import importlib
import pkgutil

from experiments.rows.kind import KINDS
from experiments.rows.row import Comparison, Row, compared, has_crf

__all__ = ["KINDS", "Comparison", "Row", "compared", "has_crf"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
