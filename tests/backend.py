"""The few things that the Keras backends do each in their own way."""

import keras
import numpy as np

NAME = keras.backend.backend()


def tensor(array):
    """A tensor of the running backend, with the dtype of the array."""
    return keras.ops.convert_to_tensor(np.asarray(array), dtype=str(np.asarray(array).dtype))


def array(tensor):
    """A NumPy array of a tensor or an array."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def compiled(function):
    """The function of arrays as the backend compiles it; on PyTorch, as it is."""
    if NAME == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if NAME == "jax":
        import jax

        return jax.jit(function)
    return function


def gradients(function, *arrays, jit=False):
    """Gradients of a scalar function of tensors with respect to each array, as NumPy arrays.

    jit: on JAX, compile them as Keras does; operation by operation a loop takes much longer there.
    """
    tensors = [tensor(a) for a in arrays]
    if NAME == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        result = tape.gradient(value, tensors, unconnected_gradients="zero")
    elif NAME == "jax":
        import jax

        slopes = jax.grad(function, argnums=tuple(range(len(tensors))))
        result = (jax.jit(slopes) if jit else slopes)(*tensors)
    else:
        import torch

        tensors = [t.requires_grad_() for t in tensors]
        result = torch.autograd.grad(function(*tensors), tensors, materialize_grads=True)
    return [array(gradient) for gradient in result]
