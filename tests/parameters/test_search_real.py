"""What a search finds on real images and volumes."""

import warnings

import numpy as np
import pytest

import data
from crfrnn import refine
from crfrnn.parameters.scores import label_map_score
from crfrnn.parameters.search import search
from data import corruption
from tests.real_sets import needs

# ---- Real images and volumes -----------------------------------------------------------------


def from_set(name, part):
    """Some cases of a split: windows of images, whole volumes, slices of volumes."""
    cases = data.split(data.load(name.split()[0]))[part]
    if name == "hippocampus volume":
        return cases[:2]
    if name == "hippocampus slice":
        return [data.slices([case], 0)[case.label.shape[0] // 2] for case in cases[:6]]
    if name == "vnc_em volume":  # four neighbouring sections each, 45-50 nm apart, pixels of 4.6 nm
        tiles = {case.id: data.crop(case, (80, 96)) for case in data.load("vnc_em")}
        first = {"val": 0, "test": 8}[part]
        volumes = [
            [tiles[f"s{section:02d}_y000_x000"] for section in range(start, start + 4)]
            for start in (first, first + 4)
        ]
        return [
            data.Case(
                np.stack([tile.image for tile in tiles]),
                np.stack([tile.label for tile in tiles]),
                (10.0, 1.0, 1.0),
                tiles[0].id,
                tiles[0].group,
            )
            for tiles in volumes
        ]
    return [data.crop(case, (160, 192)) for case in cases[:3]]


@pytest.mark.parametrize(
    "name",
    [
        *("hippocampus slice", "hippocampus volume", "wbc1", "nuclei_stain"),
        *("vnc_em", "vnc_em volume", "hc18"),
    ],
)
def test_what_is_found_on_some_real_cases_helps_another(name):
    needs(name.split()[0])
    labels = len(data.labels(name.split()[0]))
    *searched, (case, probs) = [
        (case, corruption.blurred(case.label, labels, blur=1.0, length=1.5, seed=index))
        for index, case in enumerate([*from_set(name, "val"), from_set(name, "test")[0]])
    ]
    cases = [case for case, _ in searched]
    found = search(
        [case.image for case in cases],
        [probs for _, probs in searched],
        [case.label for case in cases],
        spacing=[case.spacing for case in cases],
        trials=12,
        progress=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refined = refine(case.image, probs, spacing=case.spacing, **found.best)
    score = label_map_score(case.label, labels)
    assert score(refined.argmax(-1)) > score(probs.argmax(-1)) + 1
    assert found.score >= found.guess_score >= found.baseline
    if name in ("wbc1", "nuclei_stain"):  # elsewhere the guess leaves the CRF out
        assert found.guess_score > found.baseline
