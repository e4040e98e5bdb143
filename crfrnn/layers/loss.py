"""The dense CRF's energy as a loss: what an image asks of the points that nobody labelled."""

import math
from typing import Any

import keras
from keras import ops

from crfrnn import checks
from crfrnn.checks import Flag, Reals
from crfrnn.filtering.make_filter import build_filter
from crfrnn.meanfield.logits import flat_logits
from crfrnn.meanfield.mean_field import sizes_of
from crfrnn.meanfield.parameters import declared
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions

_DECLARED = declared(
    *("method", "native", "window", "spacing"),
    theta_gamma=Reals(above=0, per="axis of the grid", optional=True),
    bilateral_weight=Reals(least=0),
    spatial_weight=Reals(least=0),
    from_logits=Flag(),
)


@keras.saving.register_keras_serializable(package="crfrnn")
class DenseCRFLoss(keras.losses.Loss):
    """Energy of a dense CRF: small where neighbours that look alike have the same label.

    For training from few labels, such as scribbles, boxes or points. A loss on the labelled points
    says nothing of the others. This one needs no labels: its target is the image. For each image,

        sum_k w_k  mean_i  sum_c  q_ic (1 - (K_k q)_ic),

    where q_ic is the predicted probability of label c at point i, and K_k the Gaussian filter of a
    kernel (bilateral or spatial, as in `crfrnn.mean_field`) whose rows sum to 1. With weight 1 the
    value lies in 0..1. It is the probability that a point and a neighbour of it, drawn by the
    kernel, get different labels when both are drawn from q. It is 0 where every point is sure of
    the same label, so it can only be used together with a loss on some labels.

    This is the quadratic relaxation of the Potts energy. The paper sums kernels as they are; here
    each row is normalised and the mean is taken, so that a weight means the same for every size of
    image and every bandwidth. A point is its own neighbour, too, which favours sure predictions.

    Args:
        theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight: see
            `crfrnn.Parameters`. The weights are w_k, a number for each kernel, not negative.
            theta_gamma is needed where `spatial_weight` is not 0.
        method: "lattice" (all pairs, approximate), "exact" (all pairs, small images only) or
            "local" (exact within `window`).
        native: None: the C++ lattice where available; True: insist on it; False: Keras only. XLA
            cannot run the C++ lattice on TensorFlow: with `jit_compile=True`, None means False.
        window: odd width in points of the window of `method="local"`.
        spacing: distance of neighbouring points along each axis, e.g. voxel sizes in mm; default 1.
        from_logits: whether the predictions are logits; if not, probabilities.
        name, **loss_arguments: as in `keras.losses.Loss`.

    Call arguments:
        y_true: the image (B, *S, K), K >= 1, of any real dtype; S is (H, W), (D, H, W) or (N,).
            Padding counts as image, also in the mean.
        y_pred: predictions (B, *S, L), larger = more likely. L = 1 is one sigmoid channel, two
            labels.
        sample_weight: (B,), one number per image.

    Returns:
        A scalar, the mean over the images (or what `reduction` says), computed in float32;
        differentiable in the predictions.

    Raises:
        ValueError: an argument out of its range; predictions and image that do not fit together.

    Reference:
        Tang, Perazzi, Djelouah, Ben Ayed, Schroers, Boykov, "On regularized losses for
        weakly-supervised CNN segmentation", ECCV 2018, arXiv:1803.09569.

    Example:

    A model has two losses, one on the labels and one on the image, when it returns its logits under
    two names. Points without label have the label 255.

    >>> import numpy as np
    >>> image = keras.Input((None, None, 1))
    >>> logits = keras.layers.Conv2D(3, 3, padding="same")(image)
    >>> model = keras.Model(image, {"logits": logits, "energy": logits})
    >>> model.compile(
    ...     "adam",
    ...     loss={
    ...         "logits": keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255),
    ...         "energy": DenseCRFLoss(theta_alpha=10.0, theta_beta=0.1),
    ...     },
    ...     loss_weights={"logits": 1.0, "energy": 0.5},
    ... )
    >>> images = keras.random.uniform((2, 12, 16, 1), seed=0)
    >>> scribbles = np.full((2, 12, 16), 255)
    >>> scribbles[:, 2, 3:9], scribbles[:, 8, 3:9] = 1, 2
    >>> history = model.fit(images, {"logits": scribbles, "energy": images}, verbose=0)
    >>> 0 < history.history["energy_loss"][0] < 1
    True
    """

    @checks.door(**_DECLARED)
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
        name: str = "dense_crf",
        **loss_arguments: Any,
    ) -> None:
        # Keras casts image and predictions to this dtype; float16 could not hold an image 0..255 in
        # fractions of a small theta_beta.
        super().__init__(name=name, **{"dtype": "float32", **loss_arguments})
        self.theta_alpha = checks.plain(theta_alpha)
        self.theta_beta = checks.plain(theta_beta)
        self.theta_gamma = checks.plain(theta_gamma)
        self.bilateral_weight = float(bilateral_weight)
        self.spatial_weight = float(spatial_weight)
        self.method = method
        self.native = native
        self.window = checks.plain(window, int)
        self.spacing = checks.plain(spacing)
        self.from_logits = bool(from_logits)
        if self.spatial_weight and self.theta_gamma is None:
            raise ValueError(
                "Expected `theta_gamma`, the bandwidth of the spatial kernel, because "
                f"spatial_weight={spatial_weight}. Received None."
            )
        if not self.bilateral_weight + self.spatial_weight:
            raise ValueError(
                "Expected `bilateral_weight` or `spatial_weight` to be larger than 0. Received 0 "
                "for both: the loss would always be 0."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        image = ops.stop_gradient(ops.cast(y_true, "float32"))
        sizes = sizes_of(tuple(y_pred.shape), tuple(image.shape))
        checks.fit(_DECLARED, {name: getattr(self, name) for name in _DECLARED}, sizes)
        q = _probabilities(y_pred, self.from_logits)  # (B, N, L)
        smoothed = 0.0
        for weight, kernel in self._kernels(image):
            smoothed = smoothed + weight * kernel(q)
        # K is not symmetric, so that both q need their gradient: 1 - K q and -(K transposed) q.
        energy = q * (self.bilateral_weight + self.spatial_weight - smoothed)
        return ops.mean(ops.sum(energy, axis=-1), axis=-1)  # (B,)

    def _kernels(self, image: Any) -> list[tuple[float, Any]]:
        """Weight and filter of each kernel whose weight is not 0."""
        _, *grid, _ = ops.shape(image)
        positions = []
        if self.bilateral_weight:
            bilateral = bilateral_positions(image, self.theta_alpha, self.theta_beta, self.spacing)
            positions.append((self.bilateral_weight, bilateral))
        if self.spatial_weight:
            # One image's grid serves all: these positions have batch 1.
            spatial = spatial_positions(grid, self.theta_gamma, self.spacing, ops)
            positions.append((self.spatial_weight, spatial))
        options = (self.method, "after", self.native, grid, self.window)
        return [(weight, build_filter(points, *options)) for weight, points in positions]

    def get_config(self) -> dict[str, Any]:
        config = {
            "theta_alpha": self.theta_alpha,
            "theta_beta": self.theta_beta,
            "theta_gamma": self.theta_gamma,
            "bilateral_weight": self.bilateral_weight,
            "spatial_weight": self.spatial_weight,
            "method": self.method,
            "native": self.native,
            "window": self.window,
            "spacing": self.spacing,
            "from_logits": self.from_logits,
        }
        return {**super().get_config(), **config}


def _probabilities(y_pred: Any, from_logits: bool) -> Any:
    """Predictions (B, *S, L) as float32 probabilities (B, N, L); L = 1 becomes two labels."""
    if from_logits:
        return ops.softmax(flat_logits(y_pred, ops), axis=-1)
    p = ops.cast(y_pred, "float32")
    if p.shape[-1] == 1:
        p = ops.concatenate([1.0 - p, p], axis=-1)
    batch, *grid, _ = ops.shape(p)
    return ops.reshape(p, (batch, math.prod(grid), p.shape[-1]))
