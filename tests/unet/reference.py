"""Layers in NumPy, written from their equations, and helpers that fill real ones with numbers."""

import keras
import numpy as np


def convolve(x, kernel, bias=0.0, dilation=1):
    """y[i, j] = bias + sum over taps a, b of x[i + r (a - A), j + r (b - A')] w[a, b].

    A, A' is the centre of the kernel; x is zero outside (Yu, Koltun 2016, equation 2).
    """
    height, width = x.shape[1:3]
    y = np.zeros((*x.shape[:3], kernel.shape[3])) + bias
    for i, j, a, b in np.ndindex(height, width, *kernel.shape[:2]):
        row = i + dilation * (a - kernel.shape[0] // 2)
        column = j + dilation * (b - kernel.shape[1] // 2)
        if 0 <= row < height and 0 <= column < width:
            y[:, i, j] += x[:, row, column].astype("float64") @ kernel[a, b]
    return y


def convolve_depthwise(x, kernel, dilation=1):
    """The same for each channel by itself: kernel (k, k, C, 1)."""
    channels = [
        convolve(x[..., c : c + 1], kernel[:, :, c : c + 1], dilation=dilation)
        for c in range(x.shape[-1])
    ]
    return np.concatenate(channels, axis=-1)


def batch_norm(x, layer):
    """What a trained batch normalisation does."""
    scale, shift, mean, variance = layer.get_weights()
    return (x - mean) / np.sqrt(variance.astype("float64") + layer.epsilon) * scale + shift


def relu(x):
    return np.maximum(x, 0)


def conv_norm_relu(x, model, name, dilation=1):
    """Of a model: the convolution called ``name``, its batch norm and a ReLU."""
    kernel, *bias = model.get_layer(name).get_weights()
    y = convolve(x, kernel, *bias, dilation=dilation)
    return relu(batch_norm(y, model.get_layer(f"{name}_norm")))


def separable_norm_relu(x, model, name, dilation=1):
    """Of a model: the separable convolution called ``name``, its batch norm and a ReLU."""
    depthwise, pointwise = model.get_layer(name).get_weights()
    y = convolve(convolve_depthwise(x, depthwise, dilation), pointwise)
    return relu(batch_norm(y, model.get_layer(f"{name}_norm")))


def randomize(model, seed=0):
    """Give a model weights of ordinary size; also those that start as constants."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if "seed" in weight.path:
            continue
        if "variance" in weight.path or "gamma" in weight.path:
            value = rng.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            value = rng.normal(0.0, 0.1, shape)
        else:
            channels = 1 if "depthwise" in weight.path else shape[-2]
            value = rng.normal(0.0, np.sqrt(1.5 / (np.prod(shape[:-2]) * channels)), shape)
        weight.assign(value.astype("float32"))


def pass_through(model):
    """Make every convolution of a network without normalisation hand on its first channel."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = (np.zeros(w.shape, "float32") for w in layer.weights)
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2, 0, 0] = 1
            layer.set_weights([kernel, bias])
