"""The part of `keras.ops` that crfrnn uses, on tensors of PyTorch, so that they need no Keras.

As `crfrnn.arrays`, of which it is the sister: names and signatures are those of `keras.ops`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


@functools.cache
def on(device: torch.device) -> TorchOps:
    """The operations whose new tensors are on `device`."""
    return TorchOps(device)


class TorchOps:
    """Operations on tensors of one device."""

    def __init__(self, device: torch.device):
        self.device = device

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)  # exp, matmul, where, ones_like, broadcast_to, ...

    def convert_to_tensor(self, x: Any, dtype: Any = None) -> torch.Tensor:
        return torch.as_tensor(x, dtype=_dtype(dtype), device=self.device)

    def cast(self, x: Any, dtype: Any) -> torch.Tensor:
        return self.convert_to_tensor(x).to(_dtype(dtype))

    def convert_to_numpy(self, x: torch.Tensor) -> Any:
        return x.detach().cpu().numpy()

    def stop_gradient(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach()

    def custom_gradient(self, f: Callable) -> Callable:
        return lambda *inputs: _WithGradient.apply(f, *inputs)

    def arange(self, stop: int, dtype: Any = None) -> torch.Tensor:
        return torch.arange(stop, dtype=_dtype(dtype), device=self.device)

    def shape(self, x: torch.Tensor) -> tuple[int, ...]:
        return tuple(x.shape)

    def transpose(self, x: torch.Tensor, axes: Any = None) -> torch.Tensor:
        return x.permute(tuple(reversed(range(x.ndim))) if axes is None else axes)

    def concatenate(self, xs: Any, axis: int = -1) -> torch.Tensor:
        return torch.cat(tuple(xs), dim=axis)

    def stack(self, xs: Any, axis: int = 0) -> torch.Tensor:
        return torch.stack(tuple(xs), dim=axis)

    def flip(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        return torch.flip(x, (axis,))

    def clip(self, x: torch.Tensor, least: float, most: float) -> torch.Tensor:
        return torch.clamp(x, least, most)

    def multiply(self, x: Any, y: Any) -> torch.Tensor:
        return self.convert_to_tensor(x) * self.convert_to_tensor(y)

    def minimum(self, x: Any, y: Any) -> torch.Tensor:
        return torch.minimum(x, self.convert_to_tensor(y, x.dtype))

    def maximum(self, x: Any, y: Any) -> torch.Tensor:
        return torch.maximum(x, self.convert_to_tensor(y, x.dtype))

    def sum(self, x: torch.Tensor, axis: Any = None, keepdims: bool = False) -> torch.Tensor:
        # Not int64 for the sum of int32, as PyTorch's own.
        return torch.sum(x, dim=axis, keepdim=keepdims, dtype=x.dtype)

    def mean(self, x: torch.Tensor, axis: Any = None, keepdims: bool = False) -> torch.Tensor:
        return torch.mean(x, dim=axis, keepdim=keepdims)

    def cumsum(self, x: torch.Tensor, axis: int, dtype: Any = None) -> torch.Tensor:
        return torch.cumsum(x, dim=axis, dtype=_dtype(dtype))

    def all(self, x: torch.Tensor, axis: int | None = None) -> torch.Tensor:
        return torch.all(x) if axis is None else torch.all(x, dim=axis)

    def any(self, x: torch.Tensor, axis: int | None = None) -> torch.Tensor:
        return torch.any(x) if axis is None else torch.any(x, dim=axis)

    def max(self, x: torch.Tensor) -> torch.Tensor:
        return torch.max(x)

    def softmax(self, x: torch.Tensor, axis: int = -1) -> torch.Tensor:
        return torch.softmax(x, dim=axis)

    def take(self, x: torch.Tensor, indices: Any, axis: int | None = None) -> torch.Tensor:
        indices = self.convert_to_tensor(indices, "int64")
        return torch.take(x, indices) if axis is None else torch.index_select(x, axis, indices)

    def slice(self, x: torch.Tensor, start_indices: Any, shape: Any) -> torch.Tensor:
        for axis, (start, size) in enumerate(zip(start_indices, shape, strict=True)):
            x = torch.narrow(x, axis, int(start), int(size))
        return x

    def pad(self, x: torch.Tensor, pad_width: Any) -> torch.Tensor:
        flat = [size for pair in reversed(pad_width) for size in pair]  # last axis first
        return torch.nn.functional.pad(x, flat)

    def scatter_update(self, x: torch.Tensor, indices: torch.Tensor, updates: Any) -> torch.Tensor:
        return x.index_put(tuple(indices.long().unbind(-1)), updates)

    def segment_sum(
        self, data: torch.Tensor, segment_ids: torch.Tensor, num_segments: int
    ) -> torch.Tensor:
        return data.new_zeros((num_segments, *data.shape[1:])).index_add(0, segment_ids, data)

    def fori_loop(self, lower: int, upper: int, body_fun: Callable, init_val: Any) -> Any:
        for i in range(lower, upper):
            init_val = body_fun(i, init_val)
        return init_val

    def map(self, f: Callable, xs: torch.Tensor) -> torch.Tensor:
        return torch.stack([f(x) for x in xs])


class _WithGradient(torch.autograd.Function):
    """A function of tensors to (output, gradient function), as `keras.ops.custom_gradient` takes.

    https://keras.io/api/ops/core/#customgradient-function
    """

    @staticmethod
    def forward(context: Any, f: Callable, *inputs: Any) -> torch.Tensor:
        output, context.gradient = f(*inputs)
        return output

    @staticmethod
    def backward(context: Any, upstream: torch.Tensor) -> Any:  # type: ignore[override]
        gradients = context.gradient(upstream=upstream)
        return (None, *(gradients if isinstance(gradients, tuple) else (gradients,)))


def _dtype(dtype: Any) -> Any:
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    return getattr(torch, np.dtype(dtype).name)  # of a name, or of a NumPy array
