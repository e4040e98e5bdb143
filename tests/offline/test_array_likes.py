"""Arrays of other libraries on the CPU: taken, with the results of NumPy's, or refused in words."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import crfrnn
from tests.tolerances import EXACT, assert_close

RNG = np.random.default_rng(4)
TRUTH = np.zeros((9, 12), int)
TRUTH[3:7, 4:10] = 1
IMAGE = (TRUTH[..., None] + RNG.normal(0, 0.2, (9, 12, 3))).astype("float32")
P = np.clip(0.3 + 0.4 * TRUTH + RNG.normal(0, 0.2, TRUTH.shape), 0.05, 0.95)
PROBS = np.stack([1 - P, P], -1).astype("float32")
BETAS = np.array([0.5, 0.4, 0.3], "float32")
POTTS = -np.eye(2, dtype="float32")
THETAS = dict(theta_alpha=4.0, theta_beta=0.5, theta_gamma=1.5)
CRF = dict(THETAS, bilateral_weight=2.0, spatial_weight=1.0)


def module(name, attribute):
    """Makes arrays of a library; skips where it is not installed."""

    def make(array):
        where, _, rest = name.partition(":")
        library = pytest.importorskip(where)
        for part in filter(None, [*rest.split("."), *attribute.split(".")]):
            library = getattr(library, part)
        return library(array)

    return make


def jax(array):
    with warnings.catch_warnings():  # that int64 becomes int32
        warnings.simplefilter("ignore")
        return pytest.importorskip("jax").numpy.asarray(array)


LIBRARIES = {
    "torch": module("torch", "as_tensor"),
    "tensorflow": module("tensorflow", "constant"),
    "tensorflow variable": module("tensorflow", "Variable"),
    "jax": jax,
    "dask": module("dask.array", "asarray"),
    "xarray": module("xarray", "DataArray"),
}


def dense_crf(t, **unary):
    crf = crfrnn.DenseCRF(t(IMAGE), 2, **dict(CRF, theta_beta=t(BETAS)))
    crf.set_unary(**{name: t(array) for name, array in unary.items()})
    crf.step(2)
    return crf.probs()


def search(t):
    pytest.importorskip("optuna")
    cases = ([t(array), t(array[:, ::-1].copy())] for array in (IMAGE, PROBS, TRUTH))
    return crfrnn.search(*cases, trials=2, workers=1).best


FUNCTIONS = {
    "refine": lambda t: crfrnn.refine(t(IMAGE), t(PROBS), **CRF),
    "refine, its parameters": lambda t: crfrnn.refine(
        t(IMAGE),
        t(PROBS),
        **dict(CRF, theta_beta=t(BETAS), bilateral_weight=t(BETAS[:2])),
        compatibility=t(POTTS),
        spacing=t(BETAS[:2]),
    ),
    "refine within a mask": lambda t: crfrnn.refine(
        t(IMAGE), t(PROBS), mask=t(TRUTH.astype(bool)), **CRF
    ),
    "DenseCRF": lambda t: dense_crf(t, probs=PROBS),
    "DenseCRF, energies": lambda t: dense_crf(t, energies=-np.log(PROBS)),
    "probs_from_logits": lambda t: crfrnn.probs_from_logits(t(PROBS)),
    "probs_from_labels": lambda t: crfrnn.probs_from_labels(t(TRUTH), 2),
    "first_guess": lambda t: crfrnn.first_guess(t(IMAGE), t(PROBS)),
    "first_guess of two": lambda t: crfrnn.first_guess([t(IMAGE)] * 2, [t(PROBS)] * 2),
    "search": search,
    "diagnose": lambda t: (
        crfrnn.diagnose(t(IMAGE), t(PROBS), t(TRUTH), **dict(CRF, theta_beta=t(BETAS))).after
    ),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_results_of_numpy(function, library):
    call = FUNCTIONS[function]
    found, expected = call(LIBRARIES[library]), call(np.asarray)
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert_close(found, expected, EXACT)
    else:
        assert found == expected


@pytest.mark.parametrize("library", ["dask", "xarray"])
def test_what_is_no_framework_s_is_filtered_without_keras(library):
    make = LIBRARIES[library]
    values, positions = PROBS.reshape(-1, 2), IMAGE.reshape(-1, 3)
    found = crfrnn.gaussian_filter(make(values), make(positions))
    assert type(found) is np.ndarray
    assert_close(found, crfrnn.gaussian_filter(values, positions), EXACT)
    refined = crfrnn.mean_field(make(PROBS[None]), make(IMAGE[None]), num_iterations=2, **CRF)
    assert type(refined) is np.ndarray


def test_points_in_tables():
    pandas = pytest.importorskip("pandas")
    image, probs = (pandas.DataFrame(x.reshape(-1, x.shape[-1])) for x in (IMAGE, PROBS))
    grid = pandas.DataFrame(np.argwhere(TRUTH >= 0).astype(float), columns=["y", "x"])
    found = crfrnn.refine(image, probs, coordinates=grid, **CRF)
    expected = crfrnn.refine(image.values, probs.values, coordinates=grid.values, **CRF)
    assert_close(found, expected, EXACT)
    filtered = crfrnn.gaussian_filter(probs, image)
    assert_close(filtered, crfrnn.gaussian_filter(probs.values, image.values), EXACT)
    with pytest.raises(ValueError, match="Received dtype object"):
        crfrnn.refine(image.assign(name="a"), probs, **CRF)


def test_bfloat16_is_taken_where_numpy_can_read_it():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    rounded = IMAGE.astype(ml_dtypes.bfloat16)
    found = crfrnn.refine(rounded, PROBS, **CRF)
    assert_close(found, crfrnn.refine(rounded.astype("float32"), PROBS, **CRF), EXACT)


@pytest.mark.parametrize("kind", ["bfloat16", "requires grad", "on another device"])
def test_tensors_that_are_no_arrays_are_refused_in_words(kind):
    torch = pytest.importorskip("torch")
    image = {
        "bfloat16": lambda x: x.bfloat16(),
        "requires grad": lambda x: x.requires_grad_(),
        "on another device": lambda x: x.to("meta"),
    }[kind](torch.tensor(IMAGE))
    with pytest.raises(ValueError, match=r"Pass image\.detach\(\)\.cpu\(\)\.float\(\)\.$"):
        crfrnn.refine(image, PROBS, **CRF)
