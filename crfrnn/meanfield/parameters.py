"""The five parameters of a dense CRF: names, order, meaning and ranges."""

from __future__ import annotations

import re
from typing import Any, TypedDict

import numpy as np

from crfrnn.checks import Choice, Constraint, Flag, LabelWeights, Odd, Reals, Whole
from crfrnn.filtering.make_filter import METHODS
from crfrnn.filtering.normalized import NORMALIZATIONS


class Parameters(TypedDict):
    """The five parameters of a dense CRF, as every function of the package names and orders them.

    theta_alpha: spatial bandwidth of the bilateral kernel: how far apart two points of like
        intensity may be to support each other. Positive; in points, or in the unit of `spacing`
        (or of `coordinates`). A number, or one number per axis of the grid.
    theta_beta: intensity bandwidth of the bilateral kernel: how much two points may differ to count
        as alike. Positive, in the image's own units: 13 in 0..255 is 13 / 255 in 0..1. A number, or
        one number per channel.
    theta_gamma: bandwidth of the spatial kernel, which smooths whatever the image shows. As
        theta_alpha.
    bilateral_weight, spatial_weight: how strongly each kernel speaks, against logits: a number,
        (L,) one per label, or (L, L) receiving times sending label. 0 leaves the kernel out.

    All of them are standard deviations of Gaussians or multiply logits; nothing else is scaled.

    Reference:
        P. Kraehenbuehl, V. Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
        Potentials", NIPS 2011, equation 3.
    """

    theta_alpha: Any
    theta_beta: Any
    theta_gamma: Any
    bilateral_weight: Any
    spatial_weight: Any


NAMES = tuple(Parameters.__annotations__)
THETAS = tuple(name for name in NAMES if name.startswith("theta"))
WEIGHTS = tuple(name for name in NAMES if name.endswith("weight"))


def meaning(name: str) -> str:
    """What `Parameters` says of a theta, in a sentence, for the help of commands.

    Example:

    >>> meaning("theta_gamma")
    'Bandwidth of the spatial kernel, which smooths whatever the image shows'
    """
    # There are no docstrings under python -OO.
    entry = re.search(rf"^\s*{name}: (.+?)\.\s", Parameters.__doc__ or "", re.DOTALL | re.MULTILINE)
    text = " ".join(entry[1].split()) if entry else name
    return text[0].upper() + text[1:]


# Mean field has converged, or swings for ever, after some hundred: more is a slip of the pen, which
# would run until somebody ends it.
MOST_ITERATIONS = 10_000
ITERATIONS = Whole(0, MOST_ITERATIONS)

_ON_THE_GRID = Reals(above=0, per="axis of the grid")

# Every argument of a CRF, by name, for the doors of all functions that take it.
_DECLARED: dict[str, Constraint] = {
    "theta_alpha": _ON_THE_GRID,
    "theta_beta": Reals(above=0, per="channel"),
    "theta_gamma": _ON_THE_GRID,
    "bilateral_weight": LabelWeights(),
    "spatial_weight": LabelWeights(),
    "num_iterations": ITERATIONS,
    "compatibility": LabelWeights(matrix=True),
    "normalization": Choice(NORMALIZATIONS),
    "method": Choice(METHODS),
    "native": Flag(optional=True),
    "window": Odd(),
    "spacing": Reals(above=0, per="axis of the grid", optional=True),
    "ignore_below": Reals(least=0),
    "image_gradient": Flag(),
    "damping": Reals(least=0, most=1),
}


def declared(*names: str, **otherwise: Constraint) -> dict[str, Constraint]:
    """What the five parameters and the named other arguments of a CRF may be.

    Args:
        names: of other arguments, such as "num_iterations".
        otherwise: arguments of which a function takes other values than the rest.
    """
    return {name: _DECLARED[name] for name in (*NAMES, *names)} | otherwise


def check_products(bilateral_weight: Any, spatial_weight: Any, compatibility: Any) -> None:
    """Raises ValueError where messages, weights times compatibility, overflow float32."""
    strongest = 1.0 if isinstance(compatibility, str) else np.max(np.abs(compatibility), initial=0)
    weights = (np.max(np.abs(weight), initial=0) for weight in (bilateral_weight, spatial_weight))
    product = float(strongest) * sum(map(float, weights))
    if not product < float(np.finfo(np.float32).max):
        raise ValueError(
            "Expected bilateral_weight and spatial_weight times compatibility to be finite in "
            f"float32. Received numbers whose product is {product:.3g}. Use smaller weights."
        )
