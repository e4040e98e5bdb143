"""PointRend (Kirillov et al. 2020): predict single points anew, where labels are uncertain."""

from __future__ import annotations

import math
from typing import Any

import keras

from unet.arguments import check_shape_and_labels
from unet.blocks import precise_dtype
from unet.front_ends import FRONT_ENDS, function
from unet.point_head import PointRend


def pointrend(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    front_end: str | keras.Model = "deeplabv3",
    coarse: str = "score",
    fine: str | None = None,
    align_corners: bool = True,
    auxiliary: bool = False,
    num_points: int = 2048,
    num_test_points: int = 8192,
    head_width: int = 256,
    seed: int | None = None,
    **options: Any,
) -> keras.Model:
    """Put a PointRend head on a front end: image to logits at the same resolution.

    The front end's coarse logits are enlarged; at uncertain points a small network, the point
    head, predicts the logits anew, from fine features and the coarse logits interpolated there. On
    256 fine features with 19 labels the head has 217,212 parameters. :class:`PointRend` says which
    points.

    It trains like any network. In training, the logits at N chosen points are the head's, all
    others the enlarged coarse ones, so every loss, and a CRF behind, teaches both. The paper adds
    the mean loss at the points to that of the whole coarse map. For a loss that is a mean over
    pixels, the gradient here is the same but for one thing: the coarse logits learn nothing at the
    N points of a step themselves. ``auxiliary=True`` gives the paper's sum exactly, by two
    outputs::

        model = pointrend((512, 1024, 3), 19, auxiliary=True)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss=[loss, loss])
        model.fit(images, [labels, labels])
        network = keras.Model(model.input, model.outputs[0])  # shares the trained weights

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        front_end: the name of a network, or a model for this shape (its layers are shared, not
            copied).
        coarse: name of the front end's layer that gives logits ``(B, h, w, L)``.
        fine: name of its layer that gives fine features ``(B, h', w', C)``; by default the last
            block of a ResNet's stage conv2 (stride 4, 256 channels), as in the paper.
        align_corners: how features lie over the image: ``True`` where strides count from the
            first pixel on (ResNet), ``False`` where n x n pixels are pooled; see ``ResizeTo``.
        auxiliary: whether the enlarged coarse logits are a second output, for training only.
        num_points: N, points per image in training. The paper's number is for crops of 512 x 1024
            pixels, of which it is 1 in 256; smaller images need fewer.
        num_test_points: points predicted anew per image in each step of inference.
        head_width: units of each of the head's three hidden layers.
        seed: of the choice of points in training.
        **options: for the front end's own function, if it is given by name.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32;
        with ``auxiliary`` to two of them in a list.

    Raises:
        ValueError: if the shape is no image's, a layer has no such name or not L channels, or an
            option is out of range.

    Reference:
        - [PointRend: Image Segmentation as Rendering](https://arxiv.org/abs/1912.08193)

    Example:
        >>> model = pointrend((37, 53, 3), 4, depth=50, width=2, num_points=64)
        >>> model.output_shape
        (None, 37, 53, 4)
    """
    check_shape_and_labels(input_shape, num_labels)
    network = _network(front_end, input_shape, num_labels, options)
    maps = [_output(network, coarse), _output(network, fine or _last_of_conv2(network))]
    if maps[0].shape[-1] != num_labels:
        raise ValueError(
            f"Invalid coarse. Expected a layer that gives {num_labels} logits. "
            f"Received: coarse={coarse!r}, which has {maps[0].shape[-1]} channels"
        )
    coarse_stride, fine_stride = _strides(keras.Model(network.input, maps), input_shape)
    head = PointRend(
        coarse_stride,
        fine_stride,
        align_corners,
        auxiliary=auxiliary,
        num_points=num_points,
        num_test_points=num_test_points,
        head_width=head_width,
        seed=seed,
        dtype=precise_dtype(),
        name="logits",
    )
    return keras.Model(network.input, head([network.input, *maps]), name="pointrend")


def _network(
    front_end: str | keras.Model,
    input_shape: tuple[int | None, ...],
    num_labels: int,
    options: dict[str, Any],
) -> keras.Model:
    if isinstance(front_end, str):
        return function(front_end, FRONT_ENDS)(input_shape, num_labels, **options)
    if options:
        raise ValueError(
            "Options are for a front end given by its name. "
            f"Received: a model, and {', '.join(options)}"
        )
    if tuple(front_end.input_shape[1:]) != tuple(input_shape):
        raise ValueError(
            f"Invalid front_end. Expected a model for images of shape {tuple(input_shape)}. "
            f"Received: one for {tuple(front_end.input_shape[1:])}"
        )
    return front_end


def _output(network: keras.Model, name: str) -> Any:
    names = [layer.name for layer in network.layers]
    if name not in names:
        raise ValueError(
            f"Unknown layer. Expected one of the front end's: {', '.join(names)}. "
            f"Received: {name!r}"
        )
    return network.get_layer(name).output


def _last_of_conv2(network: keras.Model) -> str:
    names = [layer.name for layer in network.layers]
    blocks = [n for n in names if n.startswith("conv2_block") and n.endswith("_out")]
    if not blocks:
        raise ValueError(
            "The front end has no ResNet. Give the name of the layer with the fine features: "
            f"fine=one of {', '.join(names)}"
        )
    return blocks[-1]


def _strides(maps: keras.Model, input_shape: tuple[int | None, ...]) -> list[int]:
    """Pixels of the image per pixel of each map, the power of two that explains its size."""
    height, width, channels = input_shape
    size = height or 256, width or 256
    shapes = maps.compute_output_shape((1, *size, channels))
    ratios = [max(s / r for s, r in zip(size, shape[1:3], strict=True)) for shape in shapes]
    # Sizes are rounded up, so a stride of 8 leaves at most 8 times fewer, and more than 4.
    return [2 ** math.ceil(math.log2(ratio)) for ratio in ratios]
