"""Presets: what the papers and libraries say, and that it reaches the CRF."""

import json

import numpy as np
import pytest

import crfrnn
from crfrnn.parameters.presets import Preset, presets


def scene():
    rng = np.random.default_rng(0)
    truth = np.zeros((20, 26), int)
    truth[5:14, 8:20] = 1
    image = (90 * truth + 60 + rng.normal(0, 9, truth.shape)).clip(0, 255).astype("uint8")
    p = (0.3 + 0.4 * truth + rng.normal(0, 0.15, truth.shape)).clip(0.02, 0.98)
    return image, np.stack([1 - p, p], -1)


def test_they_are_the_defaults_of_what_they_name():
    pydensecrf = crfrnn.presets["pydensecrf"]
    # README of pydensecrf: sxy=(3, 3), compat=3; sxy=(80, 80), srgb=(13, 13, 13), compat=10
    assert dict(pydensecrf) == {
        "theta_alpha": 80.0,
        "theta_beta": 13.0,
        "theta_gamma": 3.0,
        "bilateral_weight": 10.0,
        "spatial_weight": 3.0,
        "num_iterations": 5,
        "normalization": "symmetric",
    }
    assert crfrnn.presets["crf-rnn"]["normalization"] == "after"


@pytest.mark.parametrize("name", presets)
def test_each_has_a_source_and_refines_an_8_bit_picture(name):
    image, probs = scene()
    preset = presets[name].scaled_to(255.0)
    assert preset.source
    assert json.loads(json.dumps(preset)) == preset
    one = crfrnn.refine(image, probs, **preset)
    other = crfrnn.refine(image / 255, probs, **preset.scaled_to(1.0))
    np.testing.assert_allclose(one, other, atol=2e-3)
    assert np.abs(one - probs).max() > 0.01


def test_scaling_keeps_all_but_theta_beta_and_changes_no_preset():
    preset = presets["monai"]
    wide = preset.scaled_to(255.0)
    assert isinstance(wide, Preset) and wide.source == preset.source
    assert wide["theta_beta"] == 127.5 and preset["theta_beta"] == 0.5
    assert {**wide, "theta_beta": 0.5} == preset
    with pytest.raises(TypeError):
        presets["mine"] = preset
