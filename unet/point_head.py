"""The layer of PointRend: chosen points predicted anew, in training and at inference."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from unet import points
from unet.arguments import check_at_least
from unet.blocks import INITIALIZER


@keras.saving.register_keras_serializable(package="unet")
class PointRend(layers.Layer):
    """From coarse logits and fine features to logits at the resolution of the image.

    In training the coarse logits are interpolated at every pixel, and replaced by the point head's
    at N pixels that :func:`unet.points.choose` chooses. The gradient at these is multiplied by
    ``H W / N``: a mean over the image then weighs them as a mean over themselves.

    At inference the coarse map is enlarged twice, and its most uncertain points are predicted
    anew; that is repeated up to the size of the image.

    The point head has three fully connected layers with ReLU, the same at every point; it and each
    of its layers take the coarse logits at the point beside what they work on.

    Args:
        coarse_stride: pixels of the image per pixel of the coarse logits.
        fine_stride: the same of the fine features.
        align_corners: how both lie over the image; see ``unet.points``.
        auxiliary: whether to give the enlarged coarse logits, too. The first output then has no
            gradient for them, except through the head.
        num_points: N, in training; all pixels where those are fewer.
        num_test_points: points predicted anew in each step of inference.
        oversampling: k, candidates per chosen point.
        importance: beta, share of the points that are chosen for their uncertainty.
        head_width: units of each hidden layer.
        seed: of the choice of points.
        **kwargs: those of every Keras layer.

    Call arguments:
        inputs: ``[image, coarse, fine]``, ``(B, H, W, K)``, of which only the size counts, logits
            ``(B, h, w, L)`` and features ``(B, h', w', C)``.
        training: whether points are chosen at random for training.

    Output shape:
        ``(B, H, W, L)``; with ``auxiliary`` two of them in a list.

    Raises:
        ValueError: if an argument is out of range.

    Reference:
        - [PointRend](https://arxiv.org/abs/1912.08193), sections 3.1 and 3.2

    Example:
        >>> head = PointRend(coarse_stride=8, fine_stride=4)
        >>> maps = [ops.ones((1, 5, 7, 3)), ops.ones((1, 10, 14, 16))]
        >>> head([ops.ones((1, 37, 53, 1)), *maps]).shape == (1, 37, 53, 3)
        True
    """

    def __init__(
        self,
        coarse_stride: int,
        fine_stride: int,
        align_corners: bool = True,
        *,
        auxiliary: bool = False,
        num_points: int = 2048,
        num_test_points: int = 8192,
        oversampling: int = 3,
        importance: float = 0.75,
        head_width: int = 256,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_at_least(
            1,
            coarse_stride=coarse_stride,
            fine_stride=fine_stride,
            num_points=num_points,
            num_test_points=num_test_points,
            oversampling=oversampling,
            head_width=head_width,
        )
        if not 0 < importance <= 1:
            raise ValueError(
                f"Invalid importance. Expected a share in (0, 1]. Received: importance={importance}"
            )
        self.coarse_stride = coarse_stride
        self.fine_stride = fine_stride
        self.align_corners = align_corners
        self.auxiliary = auxiliary
        self.num_points = num_points
        self.num_test_points = num_test_points
        self.oversampling = oversampling
        self.importance = importance
        self.head_width = head_width
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: list[tuple[Any, ...]]) -> None:
        _, (*_, num_labels), (*_, channels) = input_shape
        self.hidden = [
            layers.Dense(
                self.head_width,
                "relu",
                kernel_initializer=INITIALIZER,
                dtype=self.dtype_policy,
                name=f"fc{i}",
            )
            for i in (1, 2, 3)
        ]
        self.predictor = layers.Dense(
            num_labels,
            # The head begins by saying almost nothing.
            kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
            dtype=self.dtype_policy,
            name="predictor",
        )
        for layer in (*self.hidden, self.predictor):
            layer.build((None, None, channels + num_labels))
            channels = self.head_width

    def call(self, inputs: list[Any], training: bool | None = None) -> Any:
        image, coarse, fine = inputs
        size: Any = ops.shape(image)[1:3]
        if training:
            rendered = self._with_chosen_points(size, coarse, fine)
        else:
            rendered = self._subdivided(size, coarse, fine)
        if not self.auxiliary:
            return rendered
        return [rendered, self._as_map(self._enlarged(size, coarse), size)]

    def _with_chosen_points(self, size: tuple[Any, Any], coarse: Any, fine: Any) -> Any:
        logits = self._enlarged(size, coarse)  # (B, H W, L)
        chosen = points.choose(
            points.uncertainty(logits),
            self.num_points,
            self.oversampling,
            self.importance,
            self.seed_generator,
        )  # (B, N)
        predicted = self._predict(ops.take(self._grid(size, 1)[0], chosen, axis=0), coarse, fine)
        share = ops.shape(chosen)[1] / ops.shape(logits)[1]  # N / (H W)
        extra = ops.cast(1 / share - 1, predicted.dtype)
        predicted += extra * (predicted - ops.stop_gradient(predicted))  # adds 0 to the value
        if self.auxiliary:
            logits = ops.stop_gradient(logits)
        return self._as_map(points.replace(logits, chosen, predicted), size)

    def _subdivided(self, size: tuple[Any, Any], coarse: Any, fine: Any) -> Any:
        logits, stride = coarse, self.coarse_stride
        while logits is coarse or stride > 1:
            finer = max(stride // 2, 1)
            new_size = tuple((s + finer - 1) // finer for s in size)  # ceil(S / finer)
            pixels = self._grid(new_size, finer)  # (1, P, 2)
            values = points.sample(logits, pixels, stride, self.align_corners)  # (B, P, L)
            chosen = points.most_uncertain(points.uncertainty(values), self.num_test_points)
            predicted = self._predict(ops.take(pixels[0], chosen, axis=0), coarse, fine)
            logits = self._as_map(points.replace(values, chosen, predicted), new_size)
            stride = finer
        return logits

    def _enlarged(self, size: tuple[Any, Any], coarse: Any) -> Any:
        pixels = self._grid(size, 1)  # (1, H W, 2)
        return points.sample(coarse, pixels, self.coarse_stride, self.align_corners)

    def _predict(self, positions: Any, coarse: Any, fine: Any) -> Any:
        """Logits (B, N, L) of the point head at positions (B, N, 2)."""
        known = points.sample(coarse, positions, self.coarse_stride, self.align_corners)
        x = points.sample(fine, positions, self.fine_stride, self.align_corners)
        for layer in self.hidden:
            x = layer(ops.concatenate([x, known], axis=-1))
        return self.predictor(ops.concatenate([x, known], axis=-1))

    def _grid(self, size: tuple[Any, Any], stride: int) -> Any:
        return points.grid(*size, stride, self.align_corners)

    def _as_map(self, values: Any, size: tuple[Any, Any]) -> Any:
        return ops.reshape(values, (-1, *size, values.shape[-1]))  # (B, P, L) -> (B, H, W, L)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> Any:
        image, coarse, _ = input_shape
        one = (*image[:3], coarse[-1])
        return [one, one] if self.auxiliary else one

    def get_config(self) -> dict[str, Any]:
        names = (
            "coarse_stride",
            "fine_stride",
            "align_corners",
            "auxiliary",
            "num_points",
            "num_test_points",
            "oversampling",
            "importance",
            "head_width",
            "seed",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
