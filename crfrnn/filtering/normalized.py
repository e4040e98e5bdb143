"""A Gaussian filter with one of the usual normalisations."""

from __future__ import annotations

import functools
from typing import Any

from crfrnn.arrays import namespace

NORMALIZATIONS = ("after", "before", "symmetric", "none")

# Keeps the norm of a point without neighbours from being zero; the value of the reference
# implementations, so that results agree with theirs.
_TINY_NORM = 1e-20


class NormalizedFilter:
    """A Gaussian filter K with one of the usual normalisations by n = K 1.

    | normalization | result                      |                              |
    |---------------|-----------------------------|------------------------------|
    | "after"       | diag(1/n) K v               | weighted mean; CRF-RNN       |
    | "before"      | K diag(1/n) v               |                              |
    | "symmetric"   | diag(n^-1/2) K diag(n^-1/2) v | default of pydensecrf      |
    | "none"        | K v                         |                              |

    Args:
        operator: the filter without normalisation; see `crfrnn.filtering.operator`.
        normalization: a name of the table.
        present: (B, N, 1) float32, 1 for points and 0 for those that only lend the lattice their
            vertices: their values and they themselves count for nothing. None: all are points.
        norm: (B, N, 1) float32, n, where it is known: of a part of an image, in the whole. None: it
            is computed.

    Made by `make_filter`, which has an example.
    """

    def __init__(
        self, operator: Any, normalization: str = "after", present: Any = None, norm: Any = None
    ):
        self.operator = operator
        self.scale_in, self.scale_out = present, None
        if normalization == "none":
            return
        ops = namespace(operator.positions)
        if norm is None:
            # One channel: all would be the same.
            ones = ops.ones_like(operator.positions[..., :1]) if present is None else present
            norm = operator(ones)
        norm = norm + _TINY_NORM
        scale = 1.0 / (ops.sqrt(norm) if normalization == "symmetric" else norm)
        if normalization in ("before", "symmetric"):
            self.scale_in = scale if present is None else scale * present
        if normalization in ("after", "symmetric"):
            self.scale_out = scale

    def __call__(self, values: Any) -> Any:
        """Filters values (B, N, C) of any real dtype; returns (B, N, C) float32."""
        values = self._checked(values)
        return self.operator(values, self.scale_in, self.scale_out)

    def transpose(self, values: Any) -> Any:
        """Applies the transposed of the filter to values (B, N, C); returns (B, N, C) float32."""
        values = self._checked(values)
        return self.operator(values, self.scale_out, self.scale_in, transposed=True)

    @functools.cached_property
    def largest_row_sum(self) -> Any:
        """The most that a point receives where all values are 1; of NumPy positions, B = 1."""
        if self.scale_in is None and self.scale_out is not None:
            return 1.0  # "after": each row is divided by its sum
        ones = namespace(self.operator.positions).ones_like(self.operator.positions[..., :1])
        return self(ones).max(initial=0)

    def _checked(self, values: Any) -> Any:
        positions = self.operator.positions
        if len(values.shape) != 3 or not (
            compatible(values.shape[1], positions.shape[1])
            and (positions.shape[0] == 1 or compatible(values.shape[0], positions.shape[0]))
        ):
            raise ValueError(
                "Expected values of shape (B, N, C) with the B and N of the positions (B, N, F), "
                "where positions with B = 1 serve any number of images. Received: values of shape "
                f"{tuple(values.shape)}, positions of shape {tuple(positions.shape)}."
            )
        return namespace(values, positions).cast(values, "float32")


def compatible(a: int | None, b: int | None) -> bool:
    """Whether two sizes, None if unknown, may be the same."""
    return a is None or b is None or a == b
