"""The dense CRF's energy as a loss: what an image asks of the points that nobody labelled."""

from typing import Any

import keras

from crfrnn import checks
from crfrnn.meanfield.mean_field import sizes_of
from crfrnn.meanfield.relaxed_energy import LOSS, check_kernels, relaxed_energy


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
            Padding counts as image, also in the mean, unless `sample_weight` leaves it out.
        y_pred: predictions (B, *S, L), larger = more likely. L = 1 is one sigmoid channel, two
            labels.
        sample_weight: (B,), one number per image; or (B, *S), one number per point: those of weight
            0 (padding, an ignored region, no data) take no part, also not in the kernels, whatever
            image and predictions are there, NaN included. The mean is over the other points.

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
        check_kernels(self.bilateral_weight, self.spatial_weight, self.theta_gamma)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        shape = () if sample_weight is None else tuple(sample_weight.shape)
        points = tuple(y_true.shape)[:-1]  # (B, *S)
        if len(shape) < 2 or (shape[1:] == (1,) and points[1:] != (1,)):  # one number per image
            return super().__call__(y_true, y_pred, sample_weight)
        if shape == (*points, 1):
            sample_weight, shape = sample_weight[..., 0], points
        if len(shape) != len(points) or any(
            a != b for a, b in zip(shape, points, strict=True) if None not in (a, b)
        ):
            raise ValueError(
                f"Expected `sample_weight` of shape {points[:1]}, one per image, or {points}, one "
                f"per point. Received shape {shape}."
            )
        return super().__call__((y_true, sample_weight), y_pred)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        image, weights = y_true if isinstance(y_true, tuple) else (y_true, None)
        given = {name: getattr(self, name) for name in LOSS}
        checks.fit(LOSS, given, sizes_of(tuple(y_pred.shape), tuple(image.shape)))
        return relaxed_energy(y_pred, image, weights, **given)  # (B,)

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
