"""Every tolerance of the tests, in one table.

`ABSOLUTE[dtype]` is for numbers of order one that differ by rounding alone. A test that needs more
adds a named value here, with the error it measured, and never a number of its own.
"""

from __future__ import annotations

# About a hundred units in the last place of numbers of order one: room for sums in another order.
ABSOLUTE = {"float16": 1e-1, "bfloat16": 8e-1, "float32": 1e-5, "float64": 1e-13}
