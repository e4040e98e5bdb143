"""The part of `keras.ops` that crfrnn uses, on NumPy arrays, so that NumPy users need no Keras.

A numerical function starts with `ops = namespace(its arrays)` and is then written once: `ops` is
this module when every array is a NumPy array, `crfrnn.torch_ops` when one is a tensor of PyTorch,
and `keras.ops` otherwise. Names and signatures are
those of `keras.ops`; what NumPy already has under the same name (`exp`, `stack`, `where`, ...) is
passed through.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from crfrnn.optional import needed_keras, of_framework


def namespace(*arrays: Any) -> Any:
    """The namespace for computing with `arrays`: this module, PyTorch's, or `keras.ops`.

    Args:
        arrays: arrays, numbers, nested lists of numbers, or None. All NumPy (or plain Python, or
            what NumPy takes for an array: of pandas, dask, xarray) gives this module; a tensor of
            PyTorch anywhere gives `crfrnn.torch_ops` on its device, whatever the Keras backend, and
            another tensor gives `keras.ops`.

    Returns:
        a namespace with the names of `keras.ops`.

    Example:

    >>> ops = namespace(np.array([1.0, 3.0]))
    >>> ops.softmax(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    if all(_for_numpy(array) for array in arrays):
        return sys.modules[__name__]
    torch: Any = sys.modules.get("torch")  # who has a tensor of it has imported it
    for array in arrays if torch else ():
        if isinstance(array, torch.Tensor):
            from crfrnn import torch_ops

            return torch_ops.on(array.device)
    return needed_keras("Tensors").ops


def _for_numpy(array: Any) -> bool:
    # No string either is a tensor: one in the place of a number must not start a backend.
    if isinstance(array, np.ndarray | np.generic | int | float | list | tuple | str | None):
        return True
    return hasattr(array, "__array__") and not of_framework(array)


def with_gradient(forward: Callable, backward: Callable) -> Callable:
    """`forward`, with gradients of our own in place of those of its operations.

    Args:
        forward: function of one or more arrays or tensors to one.
        backward: function (upstream, output, *inputs) to a tuple with the gradient for each input.

    Returns:
        A function of the same inputs; of NumPy arrays, `forward` as it is.

    Example:

    >>> square = with_gradient(lambda x: x * x, lambda upstream, y, x: (2 * x * upstream,))
    >>> square(np.float32(3))
    np.float32(9.0)
    """

    def differentiable(*inputs: Any) -> Any:
        output = forward(*inputs)

        def gradient(*args: Any, upstream: Any = None) -> Any:
            if upstream is None:  # TensorFlow and JAX pass it by position, PyTorch by name
                (upstream,) = args
            gradients = backward(upstream, output, *inputs)
            return gradients if len(inputs) > 1 else gradients[0]

        return output, gradient

    def function(*inputs: Any) -> Any:
        return namespace(*inputs).custom_gradient(differentiable)(*inputs)

    return function


def concrete(array: Any) -> np.ndarray | None:
    """`array` as a NumPy array, or None while a graph is traced and it has no value yet.

    Args:
        array: a NumPy array or a tensor of the running Keras backend.

    Example:

    >>> concrete(np.float32(2.0))
    array(2., dtype=float32)
    """
    try:
        return np.asarray(namespace(array).convert_to_numpy(array))
    except (TypeError, ValueError, NotImplementedError, RuntimeError):
        return None  # every backend has its own exception for an array that is only a symbol


def __getattr__(name: str) -> Any:
    # Not the private names: with NumPy's __path__ this module would be taken for a package.
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(np, name)


def cast(x: Any, dtype: Any) -> np.ndarray:
    return np.asarray(x).astype(dtype, copy=False)


def convert_to_tensor(x: Any, dtype: Any = None) -> np.ndarray:
    return np.asarray(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    return np.asarray(x)


def stop_gradient(variable: Any) -> Any:
    return variable


def custom_gradient(f: Callable) -> Callable:
    return lambda *args: f(*args)[0]


def softmax(x: Any, axis: int = -1) -> np.ndarray:
    shifted = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return shifted / np.sum(shifted, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: int = -1) -> np.ndarray:
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def slice(inputs: np.ndarray, start_indices: Any, shape: Any) -> np.ndarray:
    ranges = zip(start_indices, shape, strict=True)
    return inputs[tuple(np.s_[int(start) : int(start) + int(size)] for start, size in ranges)]


def scatter_update(inputs: np.ndarray, indices: np.ndarray, updates: Any) -> np.ndarray:
    outputs = inputs.copy()
    outputs[tuple(np.asarray(indices).T)] = updates
    return outputs


def segment_sum(
    data: np.ndarray, segment_ids: np.ndarray, num_segments: int, sorted: bool = False
) -> np.ndarray:
    del sorted  # NumPy has no faster way for sorted ones
    columns = data.reshape(len(data), -1)
    sums = np.empty((num_segments, columns.shape[1]), data.dtype)
    # One weighted histogram per column: several times faster than np.add.at, and summed in float64.
    for c in range(columns.shape[1]):
        sums[:, c] = np.bincount(segment_ids, columns[:, c], num_segments)
    return sums.reshape(num_segments, *data.shape[1:])


def fori_loop(lower: int, upper: int, body_fun: Callable, init_val: Any) -> Any:
    for i in range(int(lower), int(upper)):
        init_val = body_fun(i, init_val)
    return init_val


def while_loop(cond: Callable, body: Callable, loop_vars: tuple) -> tuple:
    while cond(*loop_vars):
        loop_vars = body(*loop_vars)
    return loop_vars


def map(f: Callable, xs: np.ndarray) -> np.ndarray:
    return np.stack([f(x) for x in xs])
