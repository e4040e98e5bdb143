"""The CRF-as-RNN layer: weights and configuration of the mean-field iteration."""

from typing import Any

import keras
import numpy as np
from keras import ops

from crfrnn import checks
from crfrnn.filtering import native as native_lattice
from crfrnn.meanfield.learned import LAYER, initial_weights
from crfrnn.meanfield.logits import logits_from_probabilities
from crfrnn.meanfield.mean_field import mean_field, sizes_of
from crfrnn.meanfield.parameters import THETAS, check_products


@keras.saving.register_keras_serializable(package="crfrnn")
class CRFRNN(keras.layers.Layer):
    """Conditional random field as recurrent neural network: refines unaries along image edges.

    Runs the mean-field iteration of a dense CRF with learnable weights (see `crfrnn.mean_field`,
    where the equations stand), so that the CRF trains jointly with the network before it.

    Args:
        num_iterations: iterations T when called with `training=True`. The paper trains with 5:
            with more, gradients vanish.
        num_test_iterations: iterations otherwise.
        theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight: see
            `crfrnn.Parameters`. The weights are initial ones, a number for each kernel. The
            defaults are CRF-RNN's, for intensities of 0..255.
        kernel_weights: what is learned per kernel: "full" an (L, L) matrix, starting at the weight
            times the identity; "per_label" (L,); "shared" one number.
        compatibility: initial compatibility of labels: "potts" (minus the identity: equal labels
            support each other) or an (L, L) array; learned either way.
        trainable_thetas: learn the bandwidths, as their logarithms, which keeps them positive. With
            `method="lattice"` the backward pass then filters S + K times as many channels.
        normalization: "after" (CRF-as-RNN), "symmetric" (pydensecrf's default), "before", "none".
        method: "lattice" (all pairs, approximate), "exact" (all pairs, small images only) or
            "local" (exact within `window`).
        native: None: the C++ lattice where available; True: insist on it; False: Keras only.
        window: odd width in points of the window of `method="local"`.
        from_logits: whether the unaries are logits; if not, probabilities, of which the logarithm
            is taken. The output is logits either way.
        spacing: distance of neighbouring points along each axis, e.g. voxel sizes in mm; default 1.
        image_gradient: pass a gradient to the image also with `method="lattice"` (the others always
            do), so that what made it, an embedding, learns. The backward pass then filters 2 K
            times as many channels. See docs/joint-training.md.
        damping: share of its logits that an iteration keeps, in [0, 1]; see `crfrnn.mean_field`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: list of unaries (B, *S, L), larger = more likely, and image (B, *S, K), K >= 1, of
            any real dtype. One channel of unaries (L = 1) is a sigmoid's logit (or probability):
            then the weights are those of the two labels background and foreground.
        training: whether `num_iterations` (True) or `num_test_iterations` are done.
        mask: (B, *S), of bool or numbers, not 0 for the points that take part: no padding, no
            missing data, whatever stands there, NaN included. The others have no part in any
            kernel and keep their unaries. Default: the masks that earlier layers attached to
            unaries and image (`keras.layers.Masking` leaves out points whose channels all have one
            value), else all points. Handed on to later layers.

    Input shape:
        Two tensors, S = (H, W), (D, H, W) or (N,); B and S may be None.

    Output shape:
        (B, *S, L): refined logits, in the dtype of the unaries. Computed in float32 whatever the
        dtype policy.

    Weights, in this order: spatial, bilateral, compatibility, and with `trainable_thetas` the
        logarithms of theta_alpha, theta_beta, theta_gamma. With `kernel_weights="full"` the first
        three have the shapes and signs of crfasrnn_keras's `CrfRnnLayer` (compatibility -I).

    Raises:
        ValueError: an argument out of its range; unaries and image that do not fit together; NaN in
            the image. Compiled functions cannot raise it: there the native lattice stops with the
            backend's own error, and without it every result is NaN.

    Saved models: `import crfrnn` before `keras.models.load_model`, and, unless the layer has
        `native=False`, `import crfrnn.layers.crf_rnn` before `tf.saved_model.load` of an exported
        model.

    Reference:
        Zheng et al., "Conditional random fields as recurrent neural networks", ICCV 2015.

    Example:

    >>> image = keras.Input((None, None, 3))
    >>> unaries = keras.layers.Conv2D(4, 3, padding="same")(image)
    >>> refined = CRFRNN(theta_alpha=80.0, theta_beta=13.0)([unaries, image])
    >>> refined.shape
    (None, None, None, 4)
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
        **kwargs: Any,
    ) -> None:
        # No autocast: float16 could not hold an image 0..255 in fractions of a small theta_beta.
        super().__init__(autocast=False, **kwargs)
        self.num_iterations = int(num_iterations)
        self.num_test_iterations = int(num_test_iterations)
        self.theta_alpha = checks.plain(theta_alpha)
        self.theta_beta = checks.plain(theta_beta)
        self.theta_gamma = checks.plain(theta_gamma)
        self.bilateral_weight = float(bilateral_weight)
        self.spatial_weight = float(spatial_weight)
        self.kernel_weights = kernel_weights
        self.compatibility = checks.plain(compatibility)
        self.trainable_thetas = bool(trainable_thetas)
        self.normalization = normalization
        self.method = method
        self.native = native
        self.window = checks.plain(window, int)
        self.from_logits = bool(from_logits)
        self.spacing = checks.plain(spacing)
        self.image_gradient = bool(image_gradient)
        self.damping = float(damping)
        check_products(bilateral_weight, spatial_weight, compatibility)
        self.supports_masking = True
        self.supports_jit = method != "lattice" or native is False or native_lattice.xla_compiles()

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2 or None in input_shape or isinstance(input_shape[0], int):
            raise ValueError(
                "Expected a list of two tensors, [unaries, image]. Received shapes "
                f"{input_shape}. `crfrnn.attach` puts the layer behind a whole model."
            )
        unaries, image = (tuple(shape) for shape in input_shape)
        sizes = sizes_of(unaries, image)
        if unaries[-1] is None or image[-1] is None:
            raise ValueError(
                "Expected a known number of channels, the last axis, of unaries and image. "
                f"Received shapes {unaries} and {image}. Only batch and spatial sizes may be None."
            )
        checks.fit(LAYER, {name: getattr(self, name) for name in LAYER}, sizes)
        labels = max(unaries[-1], 2)  # one sigmoid channel: background and foreground
        start = initial_weights(
            labels,
            theta_alpha=self.theta_alpha,
            theta_beta=self.theta_beta,
            theta_gamma=self.theta_gamma,
            bilateral_weight=self.bilateral_weight,
            spatial_weight=self.spatial_weight,
            kernel_weights=self.kernel_weights,
            compatibility=self.compatibility,
            trainable_thetas=self.trainable_thetas,
        )
        weights = [self._add(name, value) for name, value in start.items()]
        self.spatial_weights, self.bilateral_weights, self.compatibility_matrix = weights[:3]
        self.log_thetas = weights[3:]

    def _add(self, name: str, value: np.ndarray) -> Any:
        return self.add_weight(
            shape=value.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(value, dtype),
            dtype="float32",  # whatever the policy: a CRF in float16 loses small messages
            autocast=False,
            name=name,
        )

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        unaries, image = inputs
        logits = unaries if self.from_logits else logits_from_probabilities(unaries)
        refined = mean_field(
            logits,
            image,
            **self._thetas(),
            bilateral_weight=ops.convert_to_tensor(self.bilateral_weights),
            spatial_weight=ops.convert_to_tensor(self.spatial_weights),
            compatibility=ops.convert_to_tensor(self.compatibility_matrix),
            num_iterations=self.num_iterations if training else self.num_test_iterations,
            normalization=self.normalization,
            method=self.method,
            native=self.native,
            window=self.window,
            spacing=self.spacing,
            image_gradient=self.image_gradient,
            damping=self.damping,
            mask=_common(mask),
        )
        return ops.cast(refined, unaries.dtype)

    def _thetas(self) -> dict[str, Any]:
        if not self.trainable_thetas:
            return {name: getattr(self, name) for name in THETAS}
        return {
            name: ops.exp(ops.convert_to_tensor(log))
            for name, log in zip(THETAS, self.log_thetas, strict=True)
        }

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape[0])

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return _common(previous_mask)

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        unaries, _ = inputs
        return keras.KerasTensor(unaries.shape, dtype=unaries.dtype)

    def get_config(self) -> dict[str, Any]:
        config = {
            "num_iterations": self.num_iterations,
            "num_test_iterations": self.num_test_iterations,
            "theta_alpha": self.theta_alpha,
            "theta_beta": self.theta_beta,
            "theta_gamma": self.theta_gamma,
            "bilateral_weight": self.bilateral_weight,
            "spatial_weight": self.spatial_weight,
            "kernel_weights": self.kernel_weights,
            "compatibility": self.compatibility,
            "trainable_thetas": self.trainable_thetas,
            "normalization": self.normalization,
            "method": self.method,
            "native": self.native,
            "window": self.window,
            "from_logits": self.from_logits,
            "spacing": self.spacing,
            "image_gradient": self.image_gradient,
            "damping": self.damping,
        }
        return {**super().get_config(), **config}


def _common(mask: Any) -> Any:
    """One mask, of one for both inputs or of those that each has; None: all points."""
    if not isinstance(mask, (list, tuple)):
        return mask
    both = [one for one in mask if one is not None]
    if len(both) == 2:
        return ops.logical_and(*(ops.cast(one, "bool") for one in both))
    return both[0] if both else None


native_lattice.refusal()  # registers TensorFlow's ops, without which no SavedModel with them loads
