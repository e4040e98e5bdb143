"""The CRF as modules of PyTorch: channels first, and without Keras.

refine = crfrnn.torch.CRFRNN(theta_alpha=80.0, theta_beta=13.0)
logits = refine(network(image), image)
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parameter import UninitializedParameter

from crfrnn import checks
from crfrnn.meanfield.learned import LAYER, initial_weights
from crfrnn.meanfield.logits import logits_from_probabilities
from crfrnn.meanfield.mean_field import mean_field, sizes_of
from crfrnn.meanfield.parameters import THETAS, check_products
from crfrnn.meanfield.relaxed_energy import LOSS, check_kernels, relaxed_energy

__all__ = ["CRFRNN", "DenseCRFLoss"]


class CRFRNN(torch.nn.Module):
    """Conditional random field as recurrent neural network, for PyTorch: channels first.

    The same CRF, arguments and numbers as the Keras layer `crfrnn.CRFRNN`, where they are
    explained, and `crfrnn.mean_field` has the equations. Keras is not needed.

    Args:
        num_iterations, num_test_iterations: iterations in training and in evaluation mode.
        theta_alpha, theta_beta, theta_gamma: bandwidths; see `crfrnn.Parameters`. theta_beta is in
            the image's own units: 3 suits 0..255, 3 / 255 the same image in 0..1.
        bilateral_weight, spatial_weight: initial weight of each kernel.
        kernel_weights: what is learned per kernel: "full" (L, L), "per_label" (L,), "shared" ().
        compatibility: initial compatibility of labels: "potts" or (L, L).
        trainable_thetas: learn the bandwidths, as their logarithms.
        normalization, method, native, window, spacing, image_gradient, damping: as in
            `crfrnn.mean_field`; on a GPU the lattice is PyTorch's operations.
        from_logits: whether the unaries are logits; if not, probabilities. The output is logits.
        num_labels: L. None: parameters get their shapes in the first call or from a state dict, as
            those of `torch.nn.LazyLinear`; an optimizer that has them already keeps them.

    Call arguments:
        unaries: (B, L, *S), larger = more likely; L = 1 is one sigmoid channel, two labels.
        image: (B, K, *S), any real dtype; S is (H, W), (D, H, W) or (N,). A pair (unaries, image)
            as the only argument does as well, as `torch.nn.Sequential` hands it on.
        mask: (B, *S) or (B, 1, *S), not 0 for the points that take part; see `crfrnn.mean_field`.

    Returns:
        (B, L, *S) refined logits in the dtype of the unaries; computed in float32, also under
        autocast.

    Raises:
        ValueError: an argument out of its range; unaries and image that do not fit together; NaN in
            the image.

    Parameters, in the order of the Keras layer's weights: spatial_weights, bilateral_weights,
        compatibility, and with `trainable_thetas` log_theta_alpha, log_theta_beta, log_theta_gamma.

    Example:

    >>> crf = CRFRNN(theta_alpha=4.0, theta_beta=0.1, num_labels=3)
    >>> crf(torch.zeros(2, 3, 8, 6), torch.rand(2, 1, 8, 6)).shape
    torch.Size([2, 3, 8, 6])
    """

    @checks.door(**LAYER)
    def __init__(
        self,
        num_iterations: int = 5,
        num_test_iterations: int = 10,
        *,
        theta_alpha: Any = 160.0,
        theta_beta: Any = 3.0,
        theta_gamma: Any = 3.0,
        bilateral_weight: float = 5.0,
        spatial_weight: float = 3.0,
        kernel_weights: str = "per_label",
        compatibility: Any = "potts",
        trainable_thetas: bool = False,
        normalization: str = "after",
        method: str = "lattice",
        native: bool | None = None,
        window: int = 11,
        from_logits: bool = True,
        spacing: Any = None,
        image_gradient: bool = False,
        damping: float = 0.0,
        num_labels: int | None = None,
    ) -> None:
        super().__init__()
        self.num_iterations = int(num_iterations)
        self.num_test_iterations = int(num_test_iterations)
        self.thetas = {
            "theta_alpha": checks.plain(theta_alpha),
            "theta_beta": checks.plain(theta_beta),
            "theta_gamma": checks.plain(theta_gamma),
        }
        self.start = {
            "bilateral_weight": float(bilateral_weight),
            "spatial_weight": float(spatial_weight),
            "kernel_weights": kernel_weights,
            "compatibility": checks.plain(compatibility),
            "trainable_thetas": bool(trainable_thetas),
        }
        self.options = {
            "normalization": normalization,
            "method": method,
            "native": native,
            "window": checks.plain(window, int),
            "spacing": checks.plain(spacing),
            "image_gradient": bool(image_gradient),
            "damping": float(damping),
        }
        self.from_logits = bool(from_logits)
        check_products(bilateral_weight, spatial_weight, compatibility)
        for name in initial_weights(2, **self.thetas, **self.start | {"compatibility": "potts"}):
            shapeless: Any = UninitializedParameter()
            self.register_parameter(name, shapeless)
        if num_labels is not None:
            self._materialize(max(num_labels, 2))

    def forward(self, unaries: Any, image: Any = None, mask: Any = None) -> torch.Tensor:
        if image is None:
            if torch.is_tensor(unaries):  # which would be unpacked along its batch
                raise ValueError(
                    "Expected unaries and an image. Received unaries alone, of shape "
                    f"{tuple(unaries.shape)}: call crf(unaries, image)."
                )
            unaries, image = unaries
        logits, image = _channels_last(unaries), _channels_last(image)
        sizes = sizes_of(tuple(logits.shape), tuple(image.shape))
        checks.fit(LAYER, {**self.thetas, **self.options, **self.start}, sizes)
        if isinstance(self.compatibility, UninitializedParameter):
            self._materialize(max(logits.shape[-1], 2))
        if not self.from_logits:
            logits = logits_from_probabilities(logits)
        with torch.autocast(logits.device.type, enabled=False):
            refined = mean_field(
                logits.float(),
                image,
                **self._thetas(),
                bilateral_weight=self.bilateral_weights.float(),
                spatial_weight=self.spatial_weights.float(),
                compatibility=self.compatibility.float(),
                num_iterations=self.num_iterations if self.training else self.num_test_iterations,
                mask=None if mask is None else _of_points("mask", mask, image),
                **self.options,
            )
        return refined.movedim(-1, 1).to(unaries.dtype)

    def _materialize(self, labels: int) -> None:
        """Gives the parameters their shapes and first values, in place."""
        for name, value in initial_weights(labels, **self.thetas, **self.start).items():
            parameter = getattr(self, name)
            parameter.materialize(value.shape)
            with torch.no_grad():
                parameter.copy_(torch.as_tensor(value))

    def _thetas(self) -> dict[str, Any]:
        if not self.start["trainable_thetas"]:
            return self.thetas
        return {name: getattr(self, f"log_{name}").float().exp() for name in THETAS}

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        saved = state_dict.get(prefix + "compatibility")
        if isinstance(self.compatibility, UninitializedParameter) and saved is not None:
            self._materialize(saved.shape[0])
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        settings = {**self.thetas, **self.start, **self.options}
        return ", ".join(f"{name}={value!r}" for name, value in settings.items())


class DenseCRFLoss(torch.nn.Module):
    """Energy of a dense CRF as a loss without labels, for PyTorch: channels first.

    The same as the Keras loss `crfrnn.DenseCRFLoss`, where equation and arguments are explained.

    Call arguments:
        predictions: (B, L, *S), larger = more likely; L = 1 is one sigmoid channel, two labels.
        image: (B, K, *S), any real dtype.
        weights: (B, *S) or (B, 1, *S), not negative, one per point; those of weight 0 take no part,
            also not in the kernels. None: all count.

    Returns:
        A scalar, the mean over the images, float32; differentiable in the predictions.

    Raises:
        ValueError: an argument out of its range; predictions, image and weights that do not fit
            together.

    Example:

    >>> energy = DenseCRFLoss(theta_alpha=10.0, theta_beta=0.1)
    >>> logits = torch.zeros(2, 3, 8, 6, requires_grad=True)
    >>> loss = energy(logits, torch.rand(2, 1, 8, 6))
    >>> loss.backward()
    >>> round(loss.item(), 3)  # two draws of three labels differ in two cases of three
    0.667
    """

    @checks.door(**LOSS)
    def __init__(
        self,
        *,
        theta_alpha: Any,
        theta_beta: Any,
        theta_gamma: Any = None,
        bilateral_weight: float = 1.0,
        spatial_weight: float = 0.0,
        method: str = "lattice",
        native: bool | None = None,
        window: int = 11,
        spacing: Any = None,
        from_logits: bool = True,
    ) -> None:
        super().__init__()
        check_kernels(bilateral_weight, spatial_weight, theta_gamma)
        self.settings = {
            "theta_alpha": checks.plain(theta_alpha),
            "theta_beta": checks.plain(theta_beta),
            "theta_gamma": checks.plain(theta_gamma),
            "bilateral_weight": float(bilateral_weight),
            "spatial_weight": float(spatial_weight),
            "method": method,
            "native": native,
            "window": checks.plain(window, int),
            "spacing": checks.plain(spacing),
            "from_logits": bool(from_logits),
        }

    def forward(self, predictions: Any, image: Any, weights: Any = None) -> torch.Tensor:
        predictions, image = _channels_last(predictions), _channels_last(image)
        checks.fit(LOSS, self.settings, sizes_of(tuple(predictions.shape), tuple(image.shape)))
        if weights is not None:
            weights = _of_points("weights", weights, image)
        with torch.autocast(predictions.device.type, enabled=False):
            return relaxed_energy(predictions, image, weights, **self.settings).mean()

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.settings.items())


def _of_points(name: str, values: Any, image: torch.Tensor) -> Any:
    """(B, *S) of values (B, *S) or (B, 1, *S), for an image (B, *S, K)."""
    batch, *grid = image.shape[:-1]
    if tuple(values.shape) not in ((batch, *grid), (batch, 1, *grid)):
        raise ValueError(
            f"Expected `{name}` of shape {(batch, *grid)} or {(batch, 1, *grid)}, one number per "
            f"point. Received shape {tuple(values.shape)}."
        )
    return values.reshape(batch, *grid)


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(1, -1)
