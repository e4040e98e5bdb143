"""--preset: the setting of a paper, on the scale of the image, overridden by options."""

import importlib.util

import numpy as np
import pytest

from crfrnn import refine
from crfrnn.offline.intensities import normalise
from crfrnn.parameters.presets import presets
from tests.tolerances import FLOAT32, assert_close

if importlib.util.find_spec("click") is None:
    pytest.skip("the command needs click", allow_module_level=True)

from click.testing import CliRunner

from crfrnn.cli.commands import crfrnn


def test_a_preset_reaches_the_crf(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.zeros((18, 24), int)
    truth[4:13, 6:20] = 1
    image = (60 + 100 * truth + rng.normal(0, 8, truth.shape)).clip(0, 255).astype("uint8")
    p = (0.3 + 0.4 * truth + rng.normal(0, 0.15, truth.shape)).clip(0.02, 0.98)
    probs = np.stack([1 - p, p], -1).astype("float32")
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "probs.npy", probs)

    def run(*more):
        files = [str(tmp_path / name) for name in ("image.npy", "probs.npy")]
        output = tmp_path / "refined.npy"
        result = CliRunner().invoke(
            crfrnn, ["refine", *files, "-o", str(output), "--overwrite", *more]
        )
        assert result.exit_code == 0, result.output
        assert "guessed" not in result.output
        return np.load(output)

    known = presets["pydensecrf"]
    assert_close(run("--preset", "pydensecrf"), refine(image, probs, **known), FLOAT32)
    expected = refine(image, probs, **{**known, "theta_gamma": 1.5})
    assert_close(run("--preset=pydensecrf", "--theta-gamma=1.5"), expected, FLOAT32)
    expected = refine(
        normalise(image[..., None]), probs, **{**known, "theta_beta": known["theta_beta"] / 255}
    )
    assert_close(run("--preset=pydensecrf", "--rescale"), expected, FLOAT32)
