"""The package by name: options, and what a fresh process needs to load a saved model."""

import os
import subprocess
import sys

import keras
import pytest

import unet

LOAD = """
import sys
sys.modules["sklearn"] = None  # which Keras imports where it is installed, and with it SciPy
import unet
assert not {"scipy.ndimage", "skimage"} & sys.modules.keys()
import keras
print(type(keras.saving.load_model(sys.argv[1]).loss).__name__)
"""


def test_a_fresh_process_needs_no_more_than_the_package(tmp_path):
    # DeepLab v3's layers and a loss of unet.losses.
    model = unet.build("deeplabv3", (9, 7, 1), 2, depth=18, width=1, multi_grid=(1, 2))
    model.compile(keras.optimizers.SGD(), unet.losses.CrossEntropyAndDice(ignore_class=255))
    model.save(tmp_path / "model.keras")
    command = [sys.executable, "-c", LOAD, str(tmp_path / "model.keras")]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.stdout == "CrossEntropyAndDice\n", done.stderr


@pytest.mark.parametrize("function", [unet.options, lambda name: unet.build(name, (9, 7, 1), 2)])
def test_an_unknown_name_is_told_the_known_ones(function):
    with pytest.raises(ValueError, match=r"Expected one of: deconvnet.* Received: name='fcn9s'"):
        function("fcn9s")
