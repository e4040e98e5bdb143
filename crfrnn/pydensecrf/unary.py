"""Unary energies as pydensecrf takes them: given, or linear in features of the points."""

from __future__ import annotations

from typing import Any

import numpy as np

from crfrnn.pydensecrf.eigen import buffer


class Unary:
    """Unary energies: `energies` is (L, N) float32. Made as `ConstUnary` or `LogisticUnary`."""

    energies: np.ndarray


class ConstUnary(Unary):
    """Given energies.

    Args:
        u: (L, N) float32, C-contiguous.
    """

    def __init__(self, u: Any):
        self.energies = buffer("u", u, np.float32, 2)


class LogisticUnary(Unary):
    """Energies that are linear in features of the points: L f.

    Args:
        L: (L, F) float32, C-contiguous.
        f: (F, N) float32, C-contiguous.
    """

    def __init__(self, L: Any, f: Any):
        weights, features = buffer("L", L, np.float32, 2), buffer("f", f, np.float32, 2)
        if weights.shape[1] != len(features):
            raise ValueError(
                "Expected L of shape (nlabels, F) and f of shape (F, nvar). "
                f"Received shapes {weights.shape} and {features.shape}."
            )
        self.energies = weights @ features
