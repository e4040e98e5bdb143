"""The CRFRNN layer as functions that are compiled by, and finish on, the running Keras backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import Workload


def layer_functions(
    workload: Workload, unaries: np.ndarray, images: np.ndarray, **options: Any
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """forward() and forward_backward() of the layer on unaries (B, *S, L) and images (B, *S, K).

    tf.function on TensorFlow, jax.jit on JAX, eager on PyTorch: what training with Keras does.
    Backward is to the unaries and to all weights of the layer. Both wait for the results.
    """
    import keras

    from crfrnn import CRFRNN

    layer = CRFRNN(
        workload.iterations,
        workload.iterations,
        **workload.thetas,
        spatial_weight=workload.spatial_weight,
        bilateral_weight=workload.bilateral_weight,
        **options,
    )
    # The gradient of some loss: not constant, since the gradient of a softmax to that is zero.
    upstream = np.random.default_rng(3).normal(size=unaries.shape).astype(np.float32)
    arguments = [keras.ops.convert_to_tensor(array) for array in (unaries, images, upstream)]
    layer.build([unaries.shape, images.shape])
    functions = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return functions[keras.backend.backend()](layer, *arguments)


def finish(result: Any, last: Any) -> Any:
    """Waits until `last`, a tensor of the running backend, is computed; returns `result`."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # On a GPU, kernels are only queued; on a CPU this costs nothing.
        tf.test.experimental.sync_devices()
    elif keras.backend.backend() == "jax":
        last.block_until_ready()
    elif last.device.type == "cuda":
        import torch

        torch.cuda.synchronize()
    return result


def _tensorflow(layer: Any, unaries: Any, images: Any, upstream: Any) -> Any:
    import tensorflow as tf

    @tf.function
    def forward(unaries, images):
        return layer([unaries, images], training=False)

    @tf.function
    def both(unaries, images, upstream):
        with tf.GradientTape() as tape:
            tape.watch(unaries)
            refined = layer([unaries, images], training=True)
        sources = [unaries, *(weight.value for weight in layer.trainable_weights)]
        return refined, tape.gradient(refined, sources, output_gradients=upstream)

    return (
        lambda: finish(forward(unaries, images), unaries),
        lambda: finish(both(unaries, images, upstream), unaries),
    )


def _jax(layer: Any, unaries: Any, images: Any, upstream: Any) -> Any:
    import jax

    weights = [weight.value for weight in layer.trainable_weights]

    def apply(weights, unaries, images, training):
        return layer.stateless_call(weights, [], [unaries, images], training=training)[0]

    @jax.jit
    def forward(weights, unaries, images):
        return apply(weights, unaries, images, False)

    @jax.jit
    def both(weights, unaries, images, upstream):
        refined, backward = jax.vjp(lambda w, u: apply(w, u, images, True), weights, unaries)
        return refined, backward(upstream)

    return (
        lambda: jax.block_until_ready(forward(weights, unaries, images)),
        lambda: jax.block_until_ready(both(weights, unaries, images, upstream)),
    )


def _torch(layer: Any, unaries: Any, images: Any, upstream: Any) -> Any:
    import torch

    unaries.requires_grad_(True)

    def forward():
        with torch.no_grad():
            return finish(layer([unaries, images], training=False), unaries)

    def both():
        refined = layer([unaries, images], training=True)
        sources = [unaries, *(weight.value for weight in layer.trainable_weights)]
        gradients = torch.autograd.grad(refined, sources, upstream)
        return finish((refined.detach(), gradients), unaries)

    return forward, both


def peak_device_mb(function: Callable[[], Any]) -> float | None:
    """Peak memory of the GPU during a call above what it held before, MB; None without a GPU."""
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        if not torch.cuda.is_available():
            return None
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "gpu":
            return None
        before = device.memory_stats()["bytes_in_use"]
        function()
        # JAX cannot reset its peak: right only in a fresh process.
        return (device.memory_stats()["peak_bytes_in_use"] - before) / 2**20
    return None


def has_gpu() -> bool:
    """Whether the running Keras backend computes on a GPU."""
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return torch.cuda.is_available()
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
