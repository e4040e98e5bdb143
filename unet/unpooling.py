"""Max pooling that remembers where its maxima were, and its inverse, for 2 x 2 windows."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="unet")
class MaxPoolingWithIndices(keras.layers.Layer):
    """Halves a feature map by maxima of 2 x 2 windows and tells where in each window they were.

    Windows do not overlap. An odd size is rounded up, and the last windows are then cut short.

    Call arguments:
        x: ``(B, H, W, C)``.

    Output shape:
        A pair, both ``(B, ceil(H / 2), ceil(W / 2), C)``: the maxima in the dtype of ``x``, and the
        position of each in its window, int32: 0, 1 in the upper row, 2, 3 in the lower. Of equal
        values the first counts.

    Example:
        >>> x = ops.reshape(ops.convert_to_tensor([[1.0, 2.0, 7.0], [4.0, 3.0, 8.0]]), (1, 2, 3, 1))
        >>> maxima, indices = MaxPoolingWithIndices()(x)
        >>> [int(value) for value in ops.convert_to_numpy(indices).ravel()]
        [2, 2]
    """

    def call(self, x: Any) -> tuple[Any, Any]:
        maxima = ops.max_pool(x, 2, 2, padding="same", data_format="channels_last")
        height, width = (2 * ((size + 1) // 2) for size in ops.shape(x)[1:3])  # the next even sizes
        padded = ops.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=-float("inf"))
        window = [padded[:, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)]
        return maxima, ops.argmax(ops.stack(window, axis=-1), axis=-1)

    def compute_output_spec(self, x: Any) -> tuple[Any, Any]:
        batch, *sizes, channels = x.shape
        shape = (batch, *(s and (s + 1) // 2 for s in sizes), channels)
        return keras.KerasTensor(shape, dtype=x.dtype), keras.KerasTensor(shape, dtype="int32")


@keras.saving.register_keras_serializable(package="unet")
class MaxUnpooling(keras.layers.Layer):
    """Puts each value where the maximum of its 2 x 2 window was, and zeros elsewhere.

    Call arguments:
        inputs: ``[x, indices, reference]``: features ``(B, h, w, C)``; the indices, of the same
            shape, that ``MaxPoolingWithIndices`` gave; and what was pooled then, ``(B, H, W, C')``
            with h = ceil(H / 2), w = ceil(W / 2), for its size alone.

    Output shape:
        ``(B, H, W, C)``.

    Reference:
        - [SegNet](https://arxiv.org/abs/1511.00561), figure 3

    Example:
        >>> x, indices = ops.ones((1, 1, 1, 1)), 2 * ops.ones((1, 1, 1, 1), "int32")
        >>> y = MaxUnpooling()([x, indices, ops.zeros((1, 2, 2, 1))])
        >>> [int(value) for value in ops.convert_to_numpy(y).ravel()]
        [0, 0, 1, 0]
    """

    def call(self, inputs: list[Any]) -> Any:
        x, indices, reference = inputs
        window = [ops.where(indices == i, x, ops.zeros_like(x)) for i in range(4)]
        rows = [ops.stack(window[i : i + 2], axis=3) for i in (0, 2)]  # 2 x (B, h, w, 2, C)
        y = ops.stack(rows, axis=2)  # (B, h, 2, w, 2, C)
        height, width = ops.shape(x)[1:3]
        y = ops.reshape(y, (-1, 2 * height, 2 * width, x.shape[-1]))
        height, width = ops.shape(reference)[1:3]
        return y[:, :height, :width]

    def compute_output_shape(
        self, input_shape: list[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        x, _, reference = input_shape
        return (x[0], *reference[1:3], x[-1])
