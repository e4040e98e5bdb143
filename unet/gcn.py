"""Global Convolutional Network (Peng et al. 2017): large separable kernels, refined boundaries."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from unet import resnet
from unet.arguments import check_at_least, check_shape_and_labels
from unet.blocks import logits, precise_dtype
from unet.resize import ResizeTo


def gcn(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    depth: int = 152,
    width: int = 64,
    kernel_size: int = 15,
    weights: str | None = None,
) -> keras.Model:
    """Build a Global Convolutional Network: image to logits at the same resolution.

    Each of the last four stages of a ResNet is scored by a global convolution, a k x k kernel made
    of two pairs of one-dimensional ones. From the deepest stage up, scores are refined at
    boundaries, enlarged twice and added to those of the next. On three channels with 21 labels
    60,688,084 parameters; 59,369,620 for ``kernel_size=7``, 24,733,844 for that and ``depth=50``.
    Any size from one pixel on works. Scores are enlarged bilinearly, as in most versions of this
    network; the paper's figure has transposed convolutions.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        depth: layers of the ResNet: 18, 34, 50, 101 or 152.
        width: channels of its first stage, >= 1.
        kernel_size: k >= 1, in pixels of each stage's features; odd, so that it has a centre.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a classifier in the ResNet
            (depth 50, 101 or 152, width 64, three channels); see ``unet.resnet.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [Large Kernel Matters](https://arxiv.org/abs/1703.02719), figures 2 and 3, table 3

    Example:
        >>> gcn((37, 53, 3), num_labels=21, depth=18, width=2, kernel_size=7).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_at_least(1, kernel_size=kernel_size)
    if kernel_size % 2 == 0:
        raise ValueError(
            f"Invalid kernel_size. Expected an odd number. Received: kernel_size={kernel_size}"
        )
    resnet.check_weights(weights, depth, width, input_shape[-1])

    image = keras.Input(input_shape, name="image")
    stem, *stages = resnet.resnet(image, depth, width=width)  # strides 2 and 4, 8, 16, 32
    scores = [
        refine_boundary(
            global_convolution(x, num_labels, kernel_size, f"gcn{stage}"), f"refine{stage}"
        )
        for stage, x in enumerate(stages, start=2)
    ]
    x = scores.pop()  # (B, H / 32, W / 32, L)
    for stage, score in zip((4, 3, 2), reversed(scores), strict=True):
        x = _enlarge(x, score, f"up{stage}_resize")
        x = layers.Add(dtype=precise_dtype(), name=f"up{stage}_add")([x, score])
        x = refine_boundary(x, f"up{stage}_refine")
    x = refine_boundary(_enlarge(x, stem, "up1_resize"), "up1_refine")  # (B, H / 2, W / 2, L)
    x = refine_boundary(_enlarge(x, image, "up0_resize"), "logits")
    model = keras.Model(image, x, name="gcn")
    resnet.load_weights(model, depth, weights)
    return model


def global_convolution(x: Any, num_labels: int, kernel_size: int, name: str) -> Any:
    """Append a k x k kernel made of 1-D ones: ``(B, H, W, C)`` to scores ``(B, H, W, L)``.

    The sum of k x 1 followed by 1 x k and of 1 x k followed by k x 1, nothing in between.
    """
    vertical, horizontal = (kernel_size, 1), (1, kernel_size)
    branches = []
    for branch, sizes in (("left", (vertical, horizontal)), ("right", (horizontal, vertical))):
        y = x
        for i, size in enumerate(sizes, start=1):
            # No ReLU follows, so the deviation is sqrt(1 / incoming nodes) without its factor 2.
            y = logits(y, num_labels, size, initializer="lecun_normal", name=f"{name}_{branch}{i}")
        branches.append(y)
    return layers.Add(dtype=precise_dtype(), name=f"{name}_add")(branches)


def refine_boundary(x: Any, name: str) -> Any:
    """Append boundary refinement, x + conv(ReLU(conv(x))) with 3 x 3 kernels, to scores.

    It starts as the identity: nine random ones in a row would make logits of size 50.
    """
    y = logits(x, x.shape[-1], 3, name=f"{name}_conv1")
    y = layers.ReLU(dtype=precise_dtype(), name=f"{name}_relu")(y)
    y = logits(y, x.shape[-1], 3, initializer="zeros", name=f"{name}_conv2")
    return layers.Add(dtype=precise_dtype(), name=name)([x, y])


def _enlarge(x: Any, reference: Any, name: str) -> Any:
    return ResizeTo(align_corners=True, factor=2, dtype=precise_dtype(), name=name)([x, reference])
