"""Two steps of training on two replicas, each with half of the batch; run by test_replicas.py.

python -m tests.layers.replicas HOW OUT.npz [RANK PLACE]

HOW is the name of a function below. OUT.npz gets the weights before, between and after the steps;
of several processes each writes its own. PLACE is where they meet: a port or a file.
"""

import json
import os
import sys

import keras
import numpy as np

from crfrnn import CRFRNN

RNG = np.random.default_rng(16)
IMAGES = RNG.uniform(0, 255, (4, 7, 6, 1)).astype("float32")
LABELS = RNG.integers(0, 3, (4, 7, 6))
KERNEL, BIAS = RNG.normal(size=(3, 3, 1, 3)).astype("float32"), RNG.normal(size=3).astype("float32")
# Small weights and a large step, so that a step, a difference of weights, has the digits of a
# gradient.
CRF = dict(theta_alpha=4.0, theta_beta=60.0, theta_gamma=2.0, bilateral_weight=0.5)
CRF |= dict(spatial_weight=0.25)
LEARNING_RATE, STEPS = 1.0, 2


def keras_model(**options):
    """Image -> refined logits, compiled."""
    image = keras.Input(IMAGES.shape[1:])
    convolution = keras.layers.Conv2D(3, 3, padding="same")
    refined = CRFRNN(2, **CRF, **options)([convolution(image / 255), image])
    model = keras.Model(image, refined)
    convolution.set_weights([KERNEL, BIAS])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(LEARNING_RATE), loss)
    return model


def fitted(model):
    """The weights before, between and after the steps, a list of arrays each."""
    weights = [model.get_weights()]
    for _ in range(STEPS):
        model.fit(IMAGES, LABELS, batch_size=len(IMAGES), shuffle=False, verbose=0)
        weights.append(model.get_weights())
    return weights


def alone(**options):
    """One device with the whole batch: what all others must do."""
    return fitted(keras_model(**options))


# ---- TensorFlow ----------------------------------------------------------------------------------


def mirrored():
    """`fit` under a MirroredStrategy of two devices."""
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    both = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, both)
    with tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"]).scope():
        model = keras_model()
    return fitted(model)


def workers(rank, port):
    """A process per replica, under a MultiWorkerMirroredStrategy."""
    import tensorflow as tf

    addresses = [f"127.0.0.1:{int(port) + i}" for i in range(2)]
    task = {"type": "worker", "index": int(rank)}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        model = keras_model()
        model.optimizer.build(model.trainable_variables)
    step = tf.function(lambda batch: strategy.run(model.train_step, args=(batch,)))
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(len(IMAGES)).repeat(STEPS)
    weights = [model.get_weights()]
    for batch in strategy.experimental_distribute_dataset(batches):
        step(batch)
        weights.append(model.get_weights())
    return weights


# ---- JAX -----------------------------------------------------------------------------------------


def sharded(**options):
    """`fit` under keras.distribution.DataParallel, on the devices that XLA_FLAGS made."""
    devices = keras.distribution.list_devices("cpu")
    assert len(devices) == 2
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    return fitted(keras_model(**options))


def sharded_portable():
    return sharded(native=False)


# ---- PyTorch -------------------------------------------------------------------------------------


def module():
    """The same network of PyTorch's modules, its weights in the order of the Keras model's."""
    import torch

    import crfrnn.torch

    class Segmenter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = torch.nn.Conv2d(1, 3, 3, padding=1)
            self.crf = crfrnn.torch.CRFRNN(2, **CRF, num_labels=3)

        def forward(self, image):
            return self.crf(self.convolution(image / 255), image)

    model = Segmenter()
    with torch.no_grad():
        model.convolution.weight.copy_(torch.from_numpy(KERNEL).permute(3, 2, 0, 1))
        model.convolution.bias.copy_(torch.from_numpy(BIAS))
    return model


def stepped(model, rank, parallel):
    """The weights of a module before, between and after steps of DistributedDataParallel."""
    import torch

    mine = slice(2 * rank, 2 * rank + 2)
    images, labels = torch.from_numpy(IMAGES[mine]), torch.from_numpy(LABELS[mine])
    of_keras = isinstance(model, keras.Model)
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)

    def weights():
        if of_keras:
            return model.get_weights()
        kernel, *others = (p.detach().numpy().copy() for p in model.parameters())
        return [kernel.transpose(2, 3, 1, 0), *others]

    result = [weights()]
    for _ in range(STEPS):
        optimizer.zero_grad()
        if of_keras:
            logits = parallel(images, training=True).movedim(-1, 1)
        else:
            logits = parallel(images.movedim(-1, 1))
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        result.append(weights())
    return result


def processes(rank, file):
    """DistributedDataParallel of two processes: the module of PyTorch, then the Keras model."""
    import torch

    rank = int(rank)
    torch.distributed.init_process_group("gloo", f"file://{file}", rank=rank, world_size=2)
    weights = _in_parallel(rank)
    # Parallel modules are gone before their group, and no process leaves it before the other comes:
    # else one of them hangs at its end, about once in 25 times.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    return weights


def _in_parallel(rank):
    import torch

    weights = []
    for model in (module(), keras_model()):
        # As PyTorch does it: what the others start from is sent to them.
        if rank:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(2)
        parallel = torch.nn.parallel.DistributedDataParallel(model)
        weights += stepped(model, rank, parallel)
    return weights


if __name__ == "__main__":
    how, out, *arguments = sys.argv[1:]
    times = globals()[how](*arguments)
    np.savez(out, **{f"{t}-{i}": w for t, step in enumerate(times) for i, w in enumerate(step)})
