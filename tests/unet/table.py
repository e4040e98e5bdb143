"""Of every network: options that make it small enough for a test, and counts of its parameters."""

from __future__ import annotations

from typing import Any, NamedTuple


class Count(NamedTuple):
    """Parameters of a network at full size, derived from its paper."""

    options: dict[str, Any]  # beside num_channels and num_labels
    num_channels: int
    num_labels: int
    trainable: int
    fixed: int = 0  # not trainable, the running statistics of batch normalisation left out


class Row(NamedTuple):
    """What the tests know about one network."""

    reduced: dict[str, Any]  # options: a few thousand parameters, so that a test takes a second
    counts: list[Count]  # at least one with the options of the paper
    overfit: dict[str, Any] | None = None  # to learn four images by heart; None = as reduced
    learning_rate: float = 5e-3  # for that


# VGG16 to fc7 and the scores of 21 labels: what FCN-32s, 16s and 8s have before up-sampling.
VGG16 = 14_714_688
FCN = VGG16 + (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 21  # 134,346,581
SKIP4, SKIP3 = (512 + 1) * 21, (256 + 1) * 21  # scores of the fourth and third pooling
TWICE = 4 * 4 * 21 * 21  # the bilinear kernel, of all pairs of labels, for a factor of 2

TABLE = {
    "deconvnet": Row(
        {"width": 2},
        [Count({}, 3, 21, 251_805_653)],
        {"width": 4},
    ),
    "deeplabv1": Row(
        {"width": 2},
        [Count({}, 3, 21, VGG16 + (9 * 512 + 1) * 1024 + (1024 + 1) * 1024 + (1024 + 1) * 21)],
        {"width": 8, "normalization": "batch"},
    ),
    "deeplabv2": Row(
        {"depth": 18, "width": 2},
        [
            Count({}, 3, 21, 42_500_160 + 4 * (9 * 2048 + 1) * 21),  # ResNet-101; 44,048,532
            Count({"depth": 16}, 3, 21, 37_877_652),  # ASPP-L on VGG16
        ],
        {"depth": 18, "width": 8},
    ),
    "deeplabv3": Row(
        {"depth": 18, "width": 2, "multi_grid": (1, 2)},
        # torchvision counts 39,638,869 and 58,630,997: one more 3x3 convolution before the scores,
        # 9 * 256 * 256 and its batch norm's 2 * 256.
        [
            Count({}, 3, 21, 58_040_661),
            Count({"output_stride": 8}, 3, 21, 58_630_997 - 9 * 256 * 256 - 2 * 256),
            Count({"depth": 50}, 3, 21, 39_048_533),
        ],
        {"depth": 18, "width": 8, "multi_grid": (1, 2), "output_stride": 8},
    ),
    "dilated": Row(
        {"width": 2},
        [Count({}, 3, 21, FCN)],  # the layers are those of FCN before up-sampling
        {"width": 4, "normalization": "batch", "padding": "same"},
    ),
    "dilated_context": Row(
        {"width": 2},
        [
            Count({}, 3, 21, FCN + 28_392),
            Count({"context": "large"}, 3, 21, FCN + 6_803_139),
        ],
        {"width": 4, "normalization": "batch", "padding": "same"},
    ),
    "fcn16s": Row(
        {"width": 2},
        [
            # 134,815,994 in all.
            Count({}, 3, 21, FCN + SKIP4, TWICE + 32 * 32 * 21 * 21),
            Count({"upsampling": "learned"}, 3, 21, 134_815_994),
        ],
        {"width": 4, "normalization": "batch"},
    ),
    "fcn32s": Row(
        {"width": 2},
        [
            # 136,152,917 in all.
            Count({}, 3, 21, FCN, 64 * 64 * 21 * 21),
            Count({"upsampling": "learned"}, 3, 21, 136_152_917),
        ],
        {"width": 4, "normalization": "batch"},
    ),
    "fcn32s_alexnet": Row(
        {"width": 2, "normalization": "batch"},
        [
            # Caffe's reference AlexNet is 60,965,224 with a classifier of 1000, (4096 + 1) 1000.
            Count({}, 3, 21, 60_965_224 - 4_097_000 + (4096 + 1) * 21, 63 * 63 * 21 * 21),
            Count({"upsampling": "learned"}, 3, 21, 56_954_261 + 63 * 63 * 21 * 21),
        ],
        {"width": 8, "normalization": "batch"},
    ),
    "fcn8s": Row(
        {"width": 2},
        [
            # 134,489,759 in all.
            Count({}, 3, 21, FCN + SKIP4 + SKIP3, 2 * TWICE + 16 * 16 * 21 * 21),
            Count({"upsampling": "learned"}, 3, 21, 134_489_759),
        ],
        {"width": 4, "normalization": "batch"},
    ),
    "gcn": Row(
        {"depth": 18, "width": 2, "kernel_size": 5},
        [
            Count({}, 3, 21, 60_688_084),
            Count({"kernel_size": 7}, 3, 21, 59_369_620),
            Count({"kernel_size": 7, "depth": 50}, 3, 21, 24_733_844),
        ],
        {"depth": 18, "width": 8, "kernel_size": 5},
    ),
    "liteseg": Row(
        {"width": 12},
        [
            # The authors' 4.38 M = 3,504,872 of MobileNetV2, whose classifier (1280 + 1) 1000 does
            # not take part, + 877,835 of the pyramid and the decoder.
            Count({}, 3, 19, 3_504_872 - 1281 * 1000 + 877_835),  # 3,101,707
            # The authors' 20.55 M.
            Count({"backbone": "darknet19"}, 3, 19, 20_545_331),
            # The authors' 3.51 M = 3,508,115 less the classifier (1536 + 1) 1000 and 19,584 biases
            # that convolutions in front of a batch norm do not need: of each of its 4 + 8 + 4 units
            # c / 4 + c / 4 + c (c less the channels before it in the first of a stage), and 24.
            Count({"backbone": "shufflenet"}, 3, 19, 3_508_115 - 1537 * 1000 - 19_584),
        ],
        {"width": 48},
    ),
    "patch_cnn": Row(
        {"width": 6},
        # Kernels 4, 5, 4, 4 with 48 channels; 200 units that see 3 x 3 positions; the labels.
        [Count({}, 1, 2, 16 * 48 + (25 + 16 + 16) * 48**2 + 4 * 48 + (9 * 48 + 1) * 200 + 201 * 2)],
        {"width": 12},
    ),
    "pointrend": Row(
        {
            "depth": 18,
            "width": 2,
            "multi_grid": (1, 2),
            "num_points": 200,
            "num_test_points": 300,
            "head_width": 8,
        },
        # DeepLab v3 has 58,040,661 with 21 scores of 256 features each.
        [Count({}, 3, 19, 58_040_661 - 2 * (256 + 1) + 217_212)],
        {
            "depth": 18,
            "width": 8,
            "multi_grid": (1, 2),
            "num_points": 900,  # a quarter of 60 x 60 pixels
            "head_width": 32,
        },
    ),
    "pspnet": Row(
        {"depth": 18, "width": 2},
        [
            Count({}, 3, 21, 46_716_373),
            Count({"auxiliary": True}, 3, 21, 49_081_578),
            Count({"depth": 101}, 3, 21, 65_708_501),
            Count({"depth": 101, "auxiliary": True}, 3, 21, 68_073_706),
        ],
        {"depth": 18, "width": 8},
    ),
    "refinenet": Row(
        {"depth": 18, "width": 2},
        [Count({}, 3, 21, 118_052_437)],
        {"depth": 18, "width": 6},
        learning_rate=1e-3,  # half of it has no batch norm
    ),
    "segnet": Row(
        {"width": 2},
        [Count({}, 3, 11, 29_449_355), Count({}, 3, 21, 29_455_125)],
        {"width": 8},
    ),
    "unet": Row(
        {"width": 4, "depth": 2},
        # By hand from the paper's figure 1: a convolution has (k k C_in + 1) C_out parameters.
        [
            Count({}, 1, 1, 31_030_593),
            Count({}, 1, 2, 31_030_658),
            Count({}, 3, 2, 31_031_810),
            # Scale and shift after each 3x3 convolution: 2 (2 (64 + ... + 512) 2 + 2 1024).
            Count({"normalization": "batch"}, 1, 1, 31_030_593 + 11_776),
        ],
        {"width": 8, "depth": 3},
    ),
}
