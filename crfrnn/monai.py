"""The dense CRF as transforms of MONAI: for the end of a post-processing chain, channels first.

Compose([Activationsd("pred", softmax=True),
         CRFRefined("pred", image_key="image", **crf),
         AsDiscreted("pred", argmax=True)])
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_numpy

from crfrnn import checks
from crfrnn.offline.refine import refine

__all__ = ["CRFRefine", "CRFRefined", "arguments_of"]

AFFINE = "affine"


class CRFRefine(Transform):
    """Refines probabilities along the edges of an image, by `crfrnn.refine`; channels first.

    Args:
        spacing: "affine": distances of points are those of the MetaTensor's affine (the image's, or
            else the probabilities'), so that theta_alpha and theta_gamma are in its unit, usually
            mm; without a MetaTensor they are in points. None: in points. Numbers: one per axis.
        **crf: the other arguments of `crfrnn.refine`: theta_alpha, theta_beta, theta_gamma,
            bilateral_weight, spatial_weight, num_iterations, ...

    Call arguments:
        probs: probabilities (L, *S) that sum to 1 over L, as behind `Activations(softmax=True)`; or
            one channel (1, *S), that of a sigmoid. Array, tensor or MetaTensor.
        image: (K, *S), the image as the network saw it: theta_beta is in its units.

    Returns:
        Refined probabilities of the shape and type of `probs`, with its meta data: as
        `AsDiscrete(argmax=True)`, or `AsDiscrete(threshold=0.5)` for one channel, takes them.

    Raises:
        TypeError: an argument that is missing, or unknown.
        ValueError: probabilities and image that do not fit together, by their shapes or by their
            affines where both have one; or an argument out of its range.

    Example:

    >>> post = CRFRefine(theta_alpha=8.0, theta_beta=0.1, theta_gamma=2.0, bilateral_weight=5.0,
    ...                  spatial_weight=3.0)
    >>> post(np.full((2, 6, 5), 0.5), np.zeros((1, 6, 5))).shape
    (2, 6, 5)
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012  # declared so by MONAI

    def __init__(self, *, spacing: Any = AFFINE, **crf: Any) -> None:
        if isinstance(spacing, str) and spacing != AFFINE:
            raise ValueError(
                f'Expected `spacing` to be "affine", None or numbers. Received {spacing!r}.'
            )
        # Now, not after an epoch of training. The arrays are still missing.
        inspect.signature(refine).bind(None, None, **crf)
        checks.fit(refine.declared, crf, {})  # type: ignore[attr-defined]
        self.spacing = spacing
        self.crf = crf

    def __call__(self, probs: Any, image: Any) -> Any:  # type: ignore[override]
        _check_one_place(probs, image)
        p = np.moveaxis(convert_to_numpy(probs), 0, -1)
        pixels = np.moveaxis(convert_to_numpy(image), 0, -1)
        one = p.shape[-1] == 1
        if one:
            p = np.concatenate([1 - p, p], axis=-1)
        spacing = self.spacing
        if isinstance(spacing, str):
            spacing = _spacing_of(image, probs, axes=p.ndim - 1)
        refined = refine(pixels, p, spacing=spacing, **self.crf)
        refined = np.moveaxis(refined[..., 1:] if one else refined, -1, 0)
        return convert_to_dst_type(np.ascontiguousarray(refined), probs, dtype=np.float32)[0]


class CRFRefined(MapTransform):
    """`CRFRefine` for dictionaries.

    Args:
        keys: of the probabilities, each of which is refined.
        image_key: of the image.
        allow_missing_keys: as in `monai.transforms.MapTransform`.
        **arguments: those of `CRFRefine`.

    Example:

    >>> post = CRFRefined("pred", theta_alpha=8.0, theta_beta=0.1, theta_gamma=2.0,
    ...                   bilateral_weight=5.0, spatial_weight=3.0)
    >>> post({"pred": np.full((2, 6, 5), 0.5), "image": np.zeros((1, 6, 5))})["pred"].shape
    (2, 6, 5)
    """

    backend = CRFRefine.backend

    def __init__(
        self,
        keys: KeysCollection,
        image_key: Hashable = "image",
        allow_missing_keys: bool = False,
        **arguments: Any,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_key = image_key
        self.refine = CRFRefine(**arguments)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        refined = dict(data)
        for key in self.key_iterator(refined):
            refined[key] = self.refine(refined[key], refined[self.image_key])
        return refined


def arguments_of(crf: Any) -> dict[str, Any]:
    """The arguments of `CRFRefine` for a `monai.networks.blocks.CRF`: the same CRF.

    Its update factor multiplies both weights; its distances are in points; and its compatibility
    matrix multiplies messages from the right, with the opposite sign.

    Args:
        crf: the block; its `__call__`, unlike this package, needs MONAI's compiled extensions.

    Example:

    >>> from monai.networks.blocks import CRF
    >>> arguments_of(CRF(bilateral_weight=2.0))["bilateral_weight"]
    6.0
    """
    matrix = crf.compatibility_matrix
    return {
        "theta_alpha": crf.bilateral_spatial_sigma,
        "theta_beta": crf.bilateral_color_sigma,
        "theta_gamma": crf.gaussian_spatial_sigma,
        "bilateral_weight": crf.update_factor * crf.bilateral_weight,
        "spatial_weight": crf.update_factor * crf.gaussian_weight,
        "num_iterations": crf.iterations,
        "compatibility": "potts" if matrix is None else -convert_to_numpy(matrix).T,
        "normalization": "after",
        "spacing": None,
    }


def _check_one_place(probs: Any, image: Any) -> None:
    """ValueError where two MetaTensors say that their points lie in different places."""
    affines = [np.asarray(x.affine, float) for x in (probs, image) if isinstance(x, MetaTensor)]
    known = [affine for affine in affines if not np.array_equal(affine, np.eye(len(affine)))]
    if len(known) < 2:
        return
    one, other = known
    if one.shape == other.shape and not np.allclose(one, other, rtol=1e-3, atol=1e-3):
        raise ValueError(
            "Expected probabilities and image of one affine. Received "
            f"{one.round(3).tolist()} and {other.round(3).tolist()}. Apply the same "
            "transforms to both, or `Invertd` before or behind for both."
        )


def _spacing_of(*arrays: Any, axes: int) -> list[float] | None:
    """The distances of points along each axis by the first MetaTensor's affine."""
    for array in arrays:
        if isinstance(array, MetaTensor):
            return [float(size) for size in affine_to_spacing(array.affine, r=axes)]
    return None
