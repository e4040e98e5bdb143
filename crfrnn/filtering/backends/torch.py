"""The C++ lattice on tensors of PyTorch, without copies."""

from __future__ import annotations

from typing import Any

import torch

from crfrnn.native import library

XLA_COMPILES = True  # PyTorch does not use it here


def build(positions: torch.Tensor) -> library.NativeLattice:
    return library.build(positions.detach().numpy())


def apply(
    values: Any, scale_in: Any, scale_out: Any, lattice: library.NativeLattice, transposed: bool
) -> torch.Tensor:
    tensors = (None if a is None else torch.as_tensor(a) for a in (values, scale_in, scale_out))
    return _Apply.apply(*tensors, lattice, transposed)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, values: Any, scale_in: Any, scale_out: Any, lattice: Any, transposed: bool
    ) -> torch.Tensor:
        context.transpose = (scale_out, scale_in, lattice, not transposed)
        values, scale_in, scale_out = (
            None if a is None else a.detach().numpy() for a in (values, scale_in, scale_out)
        )
        return torch.from_numpy(library.apply(lattice, values, scale_in, scale_out, transposed))

    @staticmethod
    def backward(context: Any, upstream: torch.Tensor) -> Any:  # type: ignore[override]
        return _Apply.apply(upstream, *context.transpose), None, None, None, None


def refusal(positions: torch.Tensor) -> str | None:
    return None if positions.device.type == "cpu" else f"The positions are on {positions.device}."
