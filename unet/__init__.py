"""Front ends: networks from an image to unaries, one score per label at every pixel or voxel.

Conventions of the package: channels last, images ``(B, H, W, K)`` or volumes ``(B, D, H, W, K)``;
the output holds logits (larger = more likely, no softmax) at the resolution of the input. Nothing
here knows about CRFs: ``crfrnn.attach`` puts one behind any of these models, or any other.
``unet.losses`` and ``unet.weight_maps`` have what trains them. A process that loads a saved model
must ``import unet`` first, or ``import crfrnn``: either lets Keras find the layers and losses of
this package.

    >>> import unet
    >>> model = unet.build("unet", input_shape=(None, None, 1), num_labels=2, width=8, depth=2)
    >>> model.output_shape
    (None, None, None, 2)
"""

from __future__ import annotations

import inspect
from typing import Any

try:
    import keras
except ImportError as error:
    raise ImportError(
        f"The networks of unet need Keras and one of its backends ({error}): "
        "pip install one of 'crfrnn[tensorflow]', 'crfrnn[jax]', 'crfrnn[torch]' (in a clone: "
        "'.[tensorflow]', ...), and set KERAS_BACKEND if it is not TensorFlow."
    ) from error

from unet import losses
from unet.convolutionalize import convolutionalize
from unet.embedding import with_embedding
from unet.front_ends import function as _function
from unet.registry import NETWORKS as _NETWORKS
from unet.summary import summary_table
from unet.transfer import initialize_from

__all__ = [
    "build",
    "convolutionalize",
    "initialize_from",
    "losses",
    "names",
    "options",
    "summary_table",
    "with_embedding",
]


def build(
    name: str, input_shape: tuple[int | None, ...], num_labels: int, **options: Any
) -> keras.Model:
    """Build the network called ``name``.

    Args:
        name: one of :func:`names`.
        input_shape: ``(H, W, K)`` or ``(D, H, W, K)``, without the batch: sizes in pixels or
            voxels, ``None`` where they vary from call to call, and K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        **options: for the network's own function, e.g. ``width`` and ``depth`` of
            ``unet.unet.unet``. Left out, they have the values of the network's paper.

    Returns:
        A ``keras.Model`` from images ``(B, *S, K)`` to logits ``(B, *S, L)``.

    Raises:
        ValueError: if the name is unknown or an argument out of range.

    Example:
        >>> build("unet", (37, 53, 3), num_labels=4, width=8, depth=3).output_shape
        (None, 37, 53, 4)
    """
    return _function(name, _NETWORKS)(input_shape, num_labels, **options)


def names() -> list[str]:
    """List the names that :func:`build` accepts, sorted.

    Example:
        >>> "unet" in names()
        True
    """
    return sorted(_NETWORKS)


def options(name: str) -> dict[str, Any]:
    """The options that a network takes beside shape and labels, with their default values.

    Raises:
        ValueError: if the name is unknown.

    Example:
        >>> options("fcn8s")["upsampling"]
        'fixed'
    """
    parameters = inspect.signature(_function(name, _NETWORKS)).parameters.values()
    found = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    if isinstance(found.get("front_end"), str):  # passes on what it does not know itself
        found = options(found["front_end"]) | found
    return found
