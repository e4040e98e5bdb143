"""Parameter files: what is wrong in one is named."""

import json

import numpy as np
import pytest

from crfrnn import refine
from tests.cli.scenes import CRF, picture, run, scene
from tests.tolerances import FLOAT32, assert_close

PARAMETERS = [
    ('{"rescale": "no"}', "expected rescale to be true or false. Received 'no'"),
    ('{"rescale": 0}', "true or false. Received 0"),
    ('{"slice_axis": true}', "slice_axis to be 0, 1 or 2"),
    ('{"slice_axis": 3}', "slice_axis to be 0, 1 or 2"),
    ('{"spacing": "1"}', "spacing to be a number, or a list of numbers"),
    ('{"spacing": {"x": 1}}', "spacing to be a number, or a list of numbers"),
    ('{"layout": ["last"]}', "layout to be one of auto, last"),
    ('{"theta_beta": "3"}', "theta_beta to be a number, or a list of numbers. Received '3'"),
    ('{"theta_beta": null}', "theta_beta to be a number"),
    ('{"theta_beta": {"a": 3}}', "theta_beta to be a number"),
    ('{"num_iterations": 2.5}', "num_iterations to be a whole number"),
    ('{"num_iterations": true}', "num_iterations to be a whole number"),
    (f'{{"num_iterations": {10**30}}}', "`num_iterations` to be a whole number 0..10000"),
    ('{"ignore_below": -1}', "`ignore_below` to be a number, 0 or more"),
    ('{"theta_gamma": 1e999}', "`theta_gamma` to be finite"),
    ('{"normalization": 1}', "normalization to be a text"),
    ('{"parameters": [' + "[" * 50_000, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "message"), PARAMETERS)
def test_parameter_files_of_wrong_types(tmp_path, text, message):
    image, probs, _ = scene()
    i, p, j = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "crf.json"
    np.save(p, probs)
    j.write_text(text)
    found = run("refine", i, p, "-o", tmp_path / "o.png", "--parameters", j, status=1)
    assert str(j) in found and message in found


def test_a_parameter_file_of_a_windows_editor(tmp_path):
    image, probs, _ = scene()
    i, p, j = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "crf.json"
    np.save(p, probs)
    j.write_bytes(b"\xef\xbb\xbf" + json.dumps(CRF).encode())
    run("refine", i, p, "-o", tmp_path / "o.npy", "--parameters", j)
    assert_close(np.load(tmp_path / "o.npy"), refine(image, probs, **CRF), FLOAT32)
