"""Settings of known papers and libraries, by name; public as `crfrnn.presets`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from crfrnn.meanfield.parameters import NAMES


class Preset(dict[str, Any]):
    """Arguments of `refine`, as a paper or library has them, in our conventions.

    A dictionary, ready for `refine(image, probs, **preset)`. docs/conversion.md says how they were
    converted.

    Attributes:
        source: where the numbers are from.
        intensities: width of the range of intensities that theta_beta is meant for: 255 or 1.

    Example:

    >>> deeplab = presets["deeplab"]
    >>> deeplab["theta_beta"], deeplab.scaled_to(1.0)["theta_beta"] == 5 / 255
    (5.0, True)
    """

    def __init__(self, source: str, intensities: float = 255.0, **parameters: Any):
        super().__init__(parameters)
        self.source = source
        self.intensities = intensities

    def scaled_to(self, intensities: float) -> Preset:
        """The same for images of another range, for instance 1.0 for images in 0..1."""
        beta = self["theta_beta"] * intensities / self.intensities
        return Preset(self.source, intensities, **{**self, "theta_beta": beta})


def _preset(
    source: str,
    thetas: tuple[float, float, float],
    weights: tuple[float, float],
    num_iterations: int,
    normalization: str = "symmetric",
    intensities: float = 255.0,
) -> Preset:
    """thetas: alpha, beta, gamma; weights: bilateral, spatial."""
    return Preset(
        source,
        intensities,
        **dict(zip(NAMES, thetas + weights, strict=True)),
        num_iterations=num_iterations,
        normalization=normalization,
    )


presets: Mapping[str, Preset] = MappingProxyType(
    {
        "crf-rnn": _preset(
            "Zheng et al., Conditional Random Fields as Recurrent Neural Networks, ICCV 2015, and "
            "its Caffe layer; photographs of 500 x 500 points",
            (160.0, 3.0, 3.0),
            (5.0, 3.0),
            10,
            "after",
        ),
        "deeplab": _preset(
            "Chen et al., Semantic Image Segmentation with Deep Convolutional Nets and Fully "
            "Connected CRFs, ICLR 2015; the script that was released with it",
            (49.0, 5.0, 3.0),
            (4.0, 3.0),
            10,
        ),
        "deeplab-v2": _preset(
            "Chen et al., DeepLab, TPAMI 2018, as in configs/voc12.yaml of "
            "github.com/kazuto1011/deeplab-pytorch",
            (67.0, 3.0, 1.0),
            (4.0, 3.0),
            10,
        ),
        "monai": _preset(
            "default arguments of monai.networks.blocks.CRF, weights times its update_factor",
            (5.0, 0.5, 5.0),
            (3.0, 3.0),
            5,
            "after",
            intensities=1.0,
        ),
        "pydensecrf": _preset(
            "README of pydensecrf, from the example of Kraehenbuehl and Koltun, Efficient "
            "Inference in Fully Connected CRFs with Gaussian Edge Potentials, NIPS 2011",
            (80.0, 13.0, 3.0),
            (10.0, 3.0),
            5,
        ),
        "simplecrf-3d": _preset(
            "examples/demo_densecrf3d.py of github.com/HiLab-git/SimpleCRF",
            (5.0, 5.0, 5.0),
            (3.0, 2.0),
            2,
        ),
    }
)
