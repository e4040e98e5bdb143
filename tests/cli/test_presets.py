"""--preset: the setting of a paper, on the scale of the image, overridden by options."""

import numpy as np

from crfrnn import refine
from crfrnn.offline.intensities import normalise
from crfrnn.parameters.presets import presets
from tests.cli.scenes import run, scene
from tests.tolerances import FLOAT32, assert_close


def test_a_preset_reaches_the_crf(tmp_path):
    image, probs, _ = scene(labels=2)
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "probs.npy", probs)

    def refined(*more):
        files = [tmp_path / name for name in ("image.npy", "probs.npy")]
        output = tmp_path / "refined.npy"
        assert "guessed" not in run("refine", *files, "-o", output, "--overwrite", *more)
        return np.load(output)

    known = presets["pydensecrf"]
    assert_close(refined("--preset", "pydensecrf"), refine(image, probs, **known), FLOAT32)
    expected = refine(image, probs, **{**known, "theta_gamma": 1.5})
    assert_close(refined("--preset=pydensecrf", "--theta-gamma=1.5"), expected, FLOAT32)
    expected = refine(
        normalise(image[..., None]), probs, **{**known, "theta_beta": known["theta_beta"] / 255}
    )
    assert_close(refined("--preset=pydensecrf", "--rescale"), expected, FLOAT32)
