"""The README's Python blocks run as printed, one after another in one namespace."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tests.tolerances import FLOAT32, assert_close

README = Path(__file__).parents[1] / "README.md"


def test_the_python_blocks_run_as_printed():
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 4
    names: dict = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    network, model = names["network"], names["model"]
    assert network.output_shape == (None, None, None, 2)
    assert model.output_shape == (None, None, None, None, 3)
    probs, refined, truth = names["probs"], names["refined"], names["truth"]
    assert_close(refined.sum(axis=-1), np.ones((60, 80)), FLOAT32)
    before, after = ((array.argmax(-1) == truth).mean() for array in (probs, refined))
    assert before < 0.75 and after > 0.95
