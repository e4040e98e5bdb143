"""What users give: declared once for each argument, checked once, at the public door.

    @door(theta_alpha=Reals(above=0, per="axis of the grid"), num_iterations=Whole(0))
    def refine(image, probs, *, theta_alpha, num_iterations): ...

The message comes from the declaration: what was expected, what was received. Behind the door
nothing is checked again. tests/test_bad_input.py makes bad values from the declarations of every
public function.
"""

from crfrnn.checks.caller import outside
from crfrnn.checks.constraints import (
    Choice,
    Constraint,
    Flag,
    LabelWeights,
    Listed,
    Named,
    Odd,
    Reals,
    Sizes,
    Whole,
)
from crfrnn.checks.door import door, fit, renamed
from crfrnn.checks.values import (
    array,
    array_or_tensor,
    is_tensor,
    no_nan,
    plain,
    without_tensors,
)

__all__ = [
    "Choice",
    "Constraint",
    "Flag",
    "LabelWeights",
    "Listed",
    "Named",
    "Odd",
    "Reals",
    "Sizes",
    "Whole",
    "array",
    "array_or_tensor",
    "door",
    "fit",
    "is_tensor",
    "no_nan",
    "outside",
    "plain",
    "renamed",
    "without_tensors",
]
