"""What a network computes: multiply-adds, receptive field, output stride, from its layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import layers

from unet.alexnet import LocalResponseNormalization
from unet.crop import CropTo
from unet.padding import MirrorPad, PadToAtLeast
from unet.patch_cnn import DilatedMaxPooling
from unet.pointrend import PointRend
from unet.pyramid import AdaptiveAveragePooling
from unet.resize import ResizeTo
from unet.unpooling import MaxPoolingWithIndices, MaxUnpooling

Interval = tuple[float, float]  # first and last row that are seen, both included

_WINDOWED = (
    layers.AveragePooling2D,
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.MaxPooling2D,
    layers.SeparableConv2D,
)
_GLOBAL = (AdaptiveAveragePooling, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
# Row by row; normalisation counts as such although group normalisation in fact looks at the image.
_POINTWISE = (
    layers.Activation,
    layers.Add,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dense,
    layers.Dropout,
    layers.GroupNormalization,
    layers.Identity,
    LocalResponseNormalization,
    layers.ReLU,
    layers.Rescaling,
)
# Of their inputs only the first is read; the last gives a size.
_SIZED = (CropTo, MaxUnpooling, PointRend, ResizeTo)


class Call(NamedTuple):
    """One layer at work: its symbolic inputs and outputs, ``(B, H, W, C)`` each."""

    layer: keras.layers.Layer
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]


class Trace(NamedTuple):
    """All layers of a network in the order in which they work."""

    calls: list[Call]
    image: keras.KerasTensor
    logits: keras.KerasTensor


def trace(model: keras.Model, size: tuple[int, int]) -> Trace:
    """Follow an image of a certain size through the layers of a network.

    Args:
        model: a functional model of one image, of this size or of any.
        size: ``(H, W)`` in pixels.

    Example:
        >>> import unet
        >>> model = unet.build("unet", (None, None, 1), 2, width=2, depth=1)
        >>> [call.layer.name for call in trace(model, (32, 32)).calls][:2]
        ['down0_conv1', 'down0_conv1_relu']
    """
    image = keras.Input((*size, model.input_shape[-1]))
    calls = []

    def follow(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        calls.append(Call(layer, keras.tree.flatten(args), keras.tree.flatten(output)))
        return output

    clone = keras.models.clone_model(
        model,
        input_tensors=image,
        clone_function=lambda layer: layer,  # the layers themselves: no new weights
        call_function=follow,
    )
    return Trace(calls, image, clone.outputs[0])


def multiply_adds(traced: Trace) -> int:
    """Multiplications with a weight, each with its addition, for one image.

    Those of convolutions and fully connected layers; interpolation, pooling, normalisation and
    activation are left out.

    Example:
        >>> image = keras.Input((10, 20, 3))
        >>> model = keras.Model(image, layers.Conv2D(8, 3, padding="same")(image))
        >>> multiply_adds(trace(model, (10, 20))) == 10 * 20 * 9 * 3 * 8
        True
    """
    return sum(_multiply_adds(call) for call in traced.calls)


def _multiply_adds(call: Call) -> int:
    if isinstance(call.layer, PointRend):
        return _multiply_adds_of_points(call)
    names = ("kernel", "depthwise_kernel", "pointwise_kernel")
    kernels = [getattr(call.layer, name) for name in names if hasattr(call.layer, name)]
    # A transposed convolution multiplies once per position of its input.
    transposed = isinstance(call.layer, layers.Conv2DTranspose)
    _, height, width, _ = (call.inputs if transposed else call.outputs)[0].shape
    return sum(height * width * math.prod(kernel.shape) for kernel in kernels)


def _multiply_adds_of_points(call: Call) -> int:
    head: PointRend = call.layer
    _, height, width, _ = call.inputs[0].shape
    per_point = sum(math.prod(dense.kernel.shape) for dense in (*head.hidden, head.predictor))
    points, stride = 0, head.coarse_stride
    while stride > 1:  # as ``PointRend`` subdivides
        stride //= 2
        points += min(head.num_test_points, -(-height // stride) * -(-width // stride))
    return points * per_point


def receptive_field(traced: Trace) -> int | None:
    """Rows of the image that one row of logits depends on, at most; ``None`` = all.

    Every row in the middle half of the image is followed back through the layers, as if the image
    went on beyond its border.

    Example:
        >>> image = keras.Input((32, 32, 1))
        >>> x = layers.MaxPooling2D(2)(layers.Conv2D(1, 3, padding="same")(image))
        >>> model = keras.Model(image, layers.Conv2D(1, 3, padding="same")(x))
        >>> receptive_field(trace(model, (32, 32)))  # 3 of 2 each, and one around
        8
    """
    height = traced.logits.shape[1]
    seen = [_seen_by(row, traced) for row in range(height // 4, 3 * height // 4)]
    widest = max(last - first + 1 for first, last in seen)
    return None if widest == math.inf else int(widest)


def _seen_by(row: int, traced: Trace) -> Interval:
    needed: dict[int, Interval] = {id(traced.logits): (row, row)}
    for call in reversed(traced.calls):
        intervals = [needed[id(x)] for x in call.outputs if id(x) in needed]
        if not intervals:
            continue
        interval = _union(intervals)
        read = call.inputs
        if isinstance(call.layer, PointRend):
            read = read[1:]  # of the image, only the size
        elif isinstance(call.layer, _SIZED):
            read = read[:-1]
        for x in read:
            found = _read(call, x, interval)
            needed[id(x)] = _union([found, needed.get(id(x), found)])
    return needed[id(traced.image)]


def _union(intervals: Sequence[Interval]) -> Interval:
    return min(first for first, _ in intervals), max(last for _, last in intervals)


def _read(call: Call, x: keras.KerasTensor, interval: Interval) -> Interval:
    """Rows of an input that rows of the output depend on."""
    layer, size, (first, last) = call.layer, x.shape[1], interval
    if math.isinf(last) or isinstance(layer, _GLOBAL):
        return -math.inf, math.inf
    if isinstance(layer, MaxPoolingWithIndices):
        return 2 * first, 2 * last + 1
    if isinstance(layer, MaxUnpooling):
        return first // 2, last // 2
    if isinstance(layer, DilatedMaxPooling):
        return first, last + layer.dilation
    if isinstance(layer, CropTo):
        return first + layer.offset, last + layer.offset
    if isinstance(layer, MirrorPad):
        return first - layer.before, last - layer.before
    if isinstance(layer, layers.ZeroPadding2D):
        before = layer.padding[0][0]
        return first - before, last - before
    if isinstance(layer, ResizeTo):
        return _interpolated(interval, _position(layer, call.outputs[0].shape[1], size))
    if isinstance(layer, PointRend):
        return _rendered(layer, x is call.inputs[1], interval)
    if isinstance(layer, layers.Conv2DTranspose):
        return _read_by_transposed(layer, interval)
    if isinstance(layer, _WINDOWED):
        return _read_by_window(layer, size, call.outputs[0].shape[1], interval)
    if isinstance(layer, (PadToAtLeast, *_POINTWISE)):
        return interval
    raise ValueError(
        "The receptive field of this layer is not known; add it to unet/measure.py. Received: "
        f"{layer.name!r}, a {type(layer).__name__}"
    )


def _window(layer: Any) -> tuple[int, int]:
    """Rows from the first to the last tap, and between two windows."""
    kernel = layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size
    dilation = getattr(layer, "dilation_rate", 1)
    kernel, dilation, stride = (
        value if isinstance(value, int) else value[0] for value in (kernel, dilation, layer.strides)
    )
    return (kernel - 1) * dilation + 1, stride


def _read_by_window(layer: Any, before: int, after: int, interval: Interval) -> Interval:
    extent, stride = _window(layer)
    padding = 0
    if layer.padding == "same":  # the surplus is at the far end
        padding = max((after - 1) * stride + extent - before, 0) // 2
    first, last = interval
    return first * stride - padding, last * stride - padding + extent - 1


def _read_by_transposed(layer: Any, interval: Interval) -> Interval:
    extent, stride = _window(layer)
    cut = max(extent - stride, 0) // 2 if layer.padding == "same" else 0
    first, last = interval
    return math.ceil((first + cut - extent + 1) / stride), (last + cut) // stride


def _interpolated(interval: Interval, position: Callable[[float], float]) -> Interval:
    first, last = (position(row) for row in interval)
    return math.floor(first + 1e-6), math.ceil(last - 1e-6)  # a neighbour of weight 0 is none


def _position(layer: ResizeTo, new: int, old: int) -> Callable[[float], float]:
    centre = 0.0 if layer.align_corners else 0.5
    scale = (old - 1) / max(new - 1, 1) if layer.align_corners else old / new
    if layer.factor:
        scale = 1 / layer.factor
    return lambda row: (row + centre) * scale - centre


def _rendered(layer: PointRend, is_coarse: bool, interval: Interval) -> Interval:
    """Rows of the coarse or the fine map of points at all the steps of subdivision."""
    centre = 0.0 if layer.align_corners else 0.5

    def read(interval: Interval, factor: float) -> Interval:
        return _interpolated(interval, lambda row: (row + centre) / factor - centre)

    # At each step a point may be predicted anew, from both maps, or interpolated from the last.
    own_stride = layer.coarse_stride if is_coarse else layer.fine_stride
    seen, stride = [], 1
    while True:
        seen.append(read(interval, own_stride / stride))
        if stride >= layer.coarse_stride // 2:
            break
        interval, stride = read(interval, 2), 2 * stride
    if is_coarse:
        seen.append(read(interval, 2))
    return _union(seen)


def output_stride(traced: Trace) -> int:
    """Pixels of the image, along a side, per pixel of the coarsest features.

    What pooling over the whole image or a fixed number of bins gives is left out.

    Example:
        >>> image = keras.Input((32, 32, 1))
        >>> model = keras.Model(image, layers.MaxPooling2D(4)(image))
        >>> output_stride(trace(model, (32, 32)))
        4
    """
    strides: dict[int, float] = {id(traced.image): 1}
    for layer, inputs, outputs in traced.calls:
        stride = max(strides[id(x)] for x in inputs)
        if isinstance(layer, _GLOBAL):
            stride = math.inf
        elif isinstance(layer, PointRend):
            stride = strides[id(inputs[0])]
        elif isinstance(layer, (ResizeTo, MaxUnpooling)):
            stride = strides[id(inputs[-1])]
        elif isinstance(layer, MaxPoolingWithIndices):
            stride *= 2
        elif isinstance(layer, layers.Conv2DTranspose):
            stride /= _window(layer)[1]
        elif isinstance(layer, _WINDOWED):
            stride *= _window(layer)[1]
        strides |= {id(x): stride for x in outputs}
    return round(max(stride for stride in strides.values() if stride < math.inf))
