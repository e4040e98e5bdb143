"""Unaries of another size than the image, brought to it."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="crfrnn")
class MatchSize(keras.layers.Layer):
    """Brings unaries to the size of an image by linear interpolation along each axis.

    Call arguments:
        inputs: list of unaries (B, *S', L) and image (B, *S, K).

    Output shape:
        (B, *S, L), in the dtype of the unaries.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def call(self, inputs: Any) -> Any:
        unaries, image = inputs
        sizes = list(zip(ops.shape(unaries)[1:-1], ops.shape(image)[1:-1], strict=True))
        if all(isinstance(size, int) for pair in sizes for size in pair):
            same = all(old == new for old, new in sizes)
            return unaries if same else _resize(unaries, sizes)
        same = ops.all(ops.stack([ops.equal(old, new) for old, new in sizes]))
        return ops.cond(same, lambda: unaries, lambda: _resize(unaries, sizes))

    def compute_output_shape(self, input_shape: Any) -> Any:
        unaries, image = input_shape
        return (*image[:-1], unaries[-1])

    def compute_output_spec(self, inputs: Any) -> Any:
        shape = self.compute_output_shape([tensor.shape for tensor in inputs])
        return keras.KerasTensor(shape, dtype=inputs[0].dtype)


def _resize(x: Any, sizes: list[tuple[Any, Any]]) -> Any:
    """Linear interpolation of x (B, *S', L) along each axis; sizes: (old, new) of each axis."""
    for axis, (old, new) in enumerate(sizes, start=1):
        scale = ops.cast(old, "float32") / ops.cast(new, "float32")
        # Where the new points lie on the old axis: centres of pixels are at half integers.
        place = (ops.arange(new, dtype="float32") + 0.5) * scale - 0.5  # (new,)
        place = ops.clip(place, 0.0, ops.cast(old - 1, "float32"))
        distance = ops.abs(place[:, None] - ops.arange(old, dtype="float32"))  # (new, old)
        hat = ops.cast(ops.maximum(1.0 - distance, 0.0), x.dtype)
        x = ops.moveaxis(ops.tensordot(x, hat, axes=[[axis], [1]]), -1, axis)
    return x
