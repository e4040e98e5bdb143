"""A table of all networks, computed from the networks themselves."""

from __future__ import annotations

from collections.abc import Iterable

import keras

from unet import measure
from unet.registry import NETWORKS

SIZE = (512, 512)  # pixels, for the multiply-adds


def summary_table(
    names: Iterable[str] | None = None, num_channels: int = 3, num_labels: int = 21
) -> str:
    """Table of networks at the size of their papers, in Markdown.

    Keras then forgets names and weights that wait for values, as after
    ``keras.utils.clear_session``; networks built before go on working.

    Args:
        names: of ``unet.names()``; ``None`` = all.
        num_channels: K of the images.
        num_labels: L.

    Returns:
        A line per network: parameters, multiply-adds for an image of 512 x 512 pixels, receptive
        field and stride of the coarsest features in pixels, paper.

    Example:
        >>> print(summary_table(["unet"], num_channels=1, num_labels=2).splitlines()[-1][:20])
        | `unet` | 31.03 M |
    """
    head = ["network", "parameters", "multiply-adds", "receptive field", "stride", "paper"]
    rule = ["---", *["---:"] * 4, "---"]
    names = sorted(NETWORKS) if names is None else names
    lines = [head, rule, *(_line(name, num_channels, num_labels) for name in names)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def page() -> str:
    """The page docs/networks.md."""
    return f"""# Networks

Every network is a function from an image to logits at the resolution of the image:

    import unet
    model = unet.build("fcn8s", input_shape=(None, None, 3), num_labels=21)

`width` and further options make it smaller; `unet.options("fcn8s")` lists them. Left out, they have
the values of the paper, and those make this table, which `python -m unet > docs/networks.md`
writes. All take images; `unet` takes volumes, too. A process that loads a saved model must
`import unet` or `import crfrnn` first, by which Keras finds the layers and losses.

{summary_table()}

For three channels and 21 labels. Parameters: those of `model.count_params()`, with fixed
up-sampling kernels and running statistics. Multiply-adds: of convolutions and fully connected
layers, for one image of 512 x 512 pixels, with the border that a network adds. Receptive field:
pixels, along a side, that a logit can depend on. Stride: pixels of the image per pixel of the
coarsest features.
"""


def _line(name: str, num_channels: int, num_labels: int) -> list[str]:
    network = NETWORKS[name]
    # Shapes are all that is needed. Values would fill a gigabyte for some networks.
    with keras.StatelessScope(initialize_variables=False):
        model = network.function((*SIZE, num_channels), num_labels)
        traced = measure.trace(model, SIZE)
        field = measure.receptive_field(traced)
        cells = [
            f"`{name}`",
            f"{model.count_params() / 1e6:.2f} M",
            f"{measure.multiply_adds(traced) / 1e9:.1f} G",
            "whole image" if field is None else str(field),
            str(measure.output_stride(traced)),
            f"[{network.authors} {network.year}]({network.url})",
        ]
    keras.utils.clear_session()
    return cells
