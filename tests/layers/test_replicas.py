"""Data-parallel training: replicas with parts of a batch do what one device does with all of it."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests import backend
from tests.conftest import ROOT
from tests.layers import replicas
from tests.tolerances import EXACT, FLOAT32, assert_close


def started(how, out, *arguments, **environment):
    command = [sys.executable, "-m", "tests.layers.replicas", how, str(out), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)


def weights_of(folder, how, places=(), **environment):
    """What each process has written: arrays by time and number of the weight."""
    files = [folder / f"{rank}.npz" for rank in range(len(places) or 1)]
    each = zip(files, [(rank, place) for rank, place in enumerate(places)] or [()], strict=True)
    running = [started(how, file, *arguments, **environment) for file, arguments in each]
    try:
        assert [process.wait(300) for process in running] == [0] * len(running)
    finally:
        for process in running:
            process.kill()
            process.wait()
    return [[file[name] for name in file.files] for file in map(np.load, files)]


def assert_the_same_steps(found, expected=None):
    """Of both steps the gradients, that is the differences, and the weights."""
    expected = expected or replicas.alone()
    count = len(expected[0])
    found = [found[i : i + count] for i in range(0, len(found), count)]
    assert len(found) == len(expected) == 1 + replicas.STEPS
    for weights, start in zip(found[0], expected[0], strict=True):
        assert_close(weights, start, EXACT)
    for time in range(replicas.STEPS):
        for number in range(count):
            step = found[time][number] - found[time + 1][number]
            gradient = expected[time][number] - expected[time + 1][number]
            assert np.abs(gradient).max() > 1e-3
            assert_close(step, gradient, FLOAT32)
            assert_close(found[time + 1][number], expected[time + 1][number], FLOAT32)


def free_ports():
    """Two neighbouring ports nobody listens at, as the first of them."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise RuntimeError("No two neighbouring ports are free.")


tensorflow = pytest.mark.skipif(backend.NAME != "tensorflow", reason="a strategy of TensorFlow")
jax = pytest.mark.skipif(backend.NAME != "jax", reason="a distribution for JAX")
torch = pytest.mark.skipif(backend.NAME != "torch", reason="PyTorch's parallel modules")


@tensorflow
def test_tensorflow_s_mirrored_strategy(tmp_path):
    assert_the_same_steps(*weights_of(tmp_path, "mirrored"))


@tensorflow
def test_tensorflow_s_workers_in_two_processes(tmp_path):
    port = free_ports()
    first, second = weights_of(tmp_path, "workers", [port, port])
    assert_the_same_steps(first)
    assert_the_same_steps(second)


@jax
@pytest.mark.parametrize("how", ["sharded", "sharded_portable"])
def test_jax_s_devices(tmp_path, how):
    flags = "--xla_force_host_platform_device_count=2"
    found = weights_of(tmp_path, how, XLA_FLAGS=flags)
    assert_the_same_steps(*found)


@torch
def test_pytorch_s_processes(tmp_path):
    place = tmp_path / "meeting"
    expected = replicas.alone()
    for found in weights_of(tmp_path, "processes", [place, place]):
        half = len(found) // 2
        assert_the_same_steps(found[:half], expected)  # the module of PyTorch
        assert_the_same_steps(found[half:], expected)  # the Keras layer
