"""The mean-field iteration against loops over all pairs of points, and its edge cases."""

import subprocess
import sys

import numpy as np
import pytest

from crfrnn.filtering import bandwidths
from crfrnn.meanfield.logits import logits_from_probabilities
from crfrnn.meanfield.mean_field import mean_field
from tests import backend
from tests.filtering.references import lattice_matrix
from tests.meanfield.random_case import (
    BILATERAL,
    COMPATIBILITY,
    CRF,
    IMAGE,
    LABELS,
    METHODS,
    RNG,
    SPACING,
    SPATIAL,
    THETAS,
    UNARIES,
    loops,
)
from tests.offline import dense_crf_reference as reference
from tests.tolerances import EXACT, FLOAT16, FLOAT32, assert_close


@pytest.mark.parametrize("normalization", ["after", "before", "symmetric", "none"])
def test_equals_the_loops(normalization):
    refined = mean_field(UNARIES, IMAGE, normalization=normalization, **{**CRF, "method": "exact"})
    assert isinstance(refined, np.ndarray)
    assert refined.dtype == np.float32
    assert_close(refined, loops(normalization=normalization), FLOAT32)


@pytest.mark.parametrize("compatibility", ["potts", COMPATIBILITY], ids=["potts", "matrix"])
@pytest.mark.parametrize(
    ("spatial", "bilateral"),
    [(0.8, 1.7), (np.float32([0.5, 1.5, 1.0]), np.float32([2.0, 0.3, 1.0])), (SPATIAL, BILATERAL)],
    ids=["shared", "per_label", "full"],
)
def test_weights_and_compatibility(spatial, bilateral, compatibility):
    changed = dict(spatial_weight=spatial, bilateral_weight=bilateral, compatibility=compatibility)
    assert_close(mean_field(UNARIES, IMAGE, **{**CRF, **changed}), loops(**changed), FLOAT32)


@pytest.mark.parametrize("shape", [(2, 3, 4), (7,)], ids=["volume", "line"])
def test_number_of_axes(shape):
    unaries = RNG.normal(0, 2, (2, *shape, LABELS)).astype("float32")
    image = RNG.uniform(0, 255, (2, *shape, 1)).astype("float32")
    axes = len(shape)
    thetas = dict(
        theta_alpha=(3.0, 2.0, 4.0)[:axes], theta_beta=(70.0,), theta_gamma=(1.5, 0.8, 2.5)[:axes]
    )
    spacing = (1.0, 0.7, 1.2)[:axes]
    refined = mean_field(unaries, image, **{**CRF, **thetas, "spacing": spacing})
    assert_close(refined, loops(unaries, image, spacing=spacing, thetas=thetas), FLOAT32)


@pytest.mark.parametrize("method", METHODS, ids=["exact", "local", "lattice"])
def test_tensors_give_the_same_numbers(method):
    crf = {**CRF, **method}
    expected = mean_field(UNARIES, IMAGE, **crf)
    refined = mean_field(backend.tensor(UNARIES), backend.tensor(IMAGE), **crf)
    assert_close(backend.array(refined), expected, FLOAT32)


@pytest.mark.parametrize("native", [False, None], ids=["ops", "native"])
@pytest.mark.parametrize("space", ["numpy", "backend"])
@pytest.mark.parametrize("normalization", ["after", "before", "symmetric", "none"])
def test_lattice_equals_the_lattice_of_the_papers(normalization, space, native):
    """Features in the order of pydensecrf: x, y, channels. The lattice depends on the order."""
    refined = []
    for unary, picture in zip(UNARIES, IMAGE, strict=True):
        spatial, bilateral = [], []
        for y, x in np.ndindex(*picture.shape[:-1]):
            # Row and column 0 lie between two simplices. pydensecrf, and crfrnn with it, takes the
            # one where they would be if they were a little larger.
            y_mm, x_mm = SPACING[0] * y + 1e-9, SPACING[1] * x + 1e-9
            spatial.append([x_mm / THETAS["theta_gamma"][1], y_mm / THETAS["theta_gamma"][0]])
            place = [x_mm / THETAS["theta_alpha"][1], y_mm / THETAS["theta_alpha"][0]]
            bilateral.append([*place, *(picture[y, x] / THETAS["theta_beta"])])
        kernels = [lattice_matrix(np.array(positions)) for positions in (spatial, bilateral)]
        kernels = [reference.normalized(kernel, normalization) for kernel in kernels]
        weights = [SPATIAL, BILATERAL]
        flat = unary.reshape(-1, LABELS)
        x = reference.iterate(flat, kernels, weights, COMPATIBILITY, CRF["num_iterations"])
        refined.append(x.reshape(unary.shape))

    given = [UNARIES, IMAGE]
    if space == "backend":
        given = [backend.tensor(array) for array in given]
    crf = {**CRF, "method": "lattice", "native": native, "normalization": normalization}
    assert_close(backend.array(mean_field(*given, **crf)), np.stack(refined), FLOAT32)


@pytest.mark.parametrize("method", METHODS, ids=["exact", "local", "lattice"])
def test_batch_equals_single_images(method):
    crf = {**CRF, **method}
    together = mean_field(UNARIES, IMAGE, **crf)
    for i in range(2):
        single = mean_field(UNARIES[i : i + 1], IMAGE[i : i + 1], **crf)
        assert_close(together[i : i + 1], single, FLOAT32)


def test_one_channel_is_background_and_foreground():
    logit = UNARIES[..., :1]
    two = np.concatenate([np.zeros_like(logit), logit], axis=-1)
    crf = {**CRF, "spatial_weight": SPATIAL[:2, :2], "bilateral_weight": BILATERAL[:2, :2]}
    crf["compatibility"] = COMPATIBILITY[:2, :2]
    refined = mean_field(two, IMAGE, **crf)
    assert_close(mean_field(logit, IMAGE, **crf), refined[..., 1:] - refined[..., :1], FLOAT32)


def test_no_iterations_return_the_unaries():
    assert_close(mean_field(UNARIES, IMAGE, **{**CRF, "num_iterations": 0}), UNARIES, EXACT)


@pytest.mark.parametrize("kernel", ["spatial_weight", "bilateral_weight"])
def test_a_kernel_is_left_out(kernel, monkeypatch):
    expected = loops(**{kernel: 0.0})
    built = count_filters(monkeypatch)
    for nothing in (None, 0, 0.0, np.zeros(LABELS)):
        refined = mean_field(UNARIES, IMAGE, **{**CRF, kernel: nothing})
        assert_close(refined, expected, FLOAT32)
    assert len(built) == 4  # one of the two kernels, each time


def test_filters_are_built_once_and_the_spatial_one_for_all_images(monkeypatch):
    built = count_filters(monkeypatch)
    mean_field(UNARIES, IMAGE, **{**CRF, "num_iterations": 7})
    assert built == [(1, 12, 2), (2, 12, 4)]


def count_filters(monkeypatch):
    """List that receives the shape of the positions of each filter that is built."""
    shapes = []
    original = bandwidths.build_filter

    def counting(positions, **options):
        shapes.append(positions.shape)
        return original(positions, **options)

    monkeypatch.setattr(bandwidths, "build_filter", counting)
    return shapes


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_dtype_of_the_unaries_is_returned(dtype):
    refined = mean_field(UNARIES.astype(dtype), IMAGE.astype("uint8"), **CRF)
    assert refined.dtype == dtype
    expected = loops(UNARIES.astype(dtype), IMAGE.astype("uint8"))
    assert_close(refined, expected, FLOAT16 if dtype == "float16" else FLOAT32)


# ---- Saturated and infinite unaries --------------------------------------------------------------


@pytest.mark.parametrize("space", ["numpy", "backend"])
def test_saturated_logits_stay_finite(space):
    unaries = np.where(UNARIES > 0, 1e4, -1e4).astype("float32")
    given = [unaries, IMAGE]
    if space == "backend":
        given = [backend.tensor(array) for array in given]
    refined = backend.array(mean_field(*given, **CRF))
    assert_close(refined, loops(unaries), FLOAT32)


def test_gradients_of_saturated_logits_stay_finite():
    unaries = np.where(UNARIES > 0, 1e4, -1e4).astype("float32")

    def total(u):
        from keras import ops

        return ops.sum(mean_field(u, backend.tensor(IMAGE), **CRF) ** 2)

    assert np.isfinite(backend.gradients(total, unaries)[0]).all()


def test_minus_infinity_forbids_a_label():
    unaries, huge = UNARIES.copy(), UNARIES.copy()
    unaries[0, 1, 2, 1] = -np.inf
    huge[0, 1, 2, 1] = -1e6
    refined = mean_field(unaries, IMAGE, **CRF)
    assert np.isfinite(refined).all()
    assert refined[0, 1, 2, 1] < -1e37
    elsewhere = np.isfinite(unaries)
    assert_close(refined[elsewhere], loops(huge)[elsewhere], FLOAT32)


def test_infinities_of_a_whole_point_do_not_spread_nan():
    unaries = UNARIES.copy()
    unaries[0, 0, 0] = -np.inf
    unaries[1, 2, 3] = np.inf
    # Equal logits, and so large that even in float64 every message is lost beside them.
    uniform = UNARIES.astype("float64")
    uniform[0, 0, 0] = uniform[1, 2, 3] = 1e30
    refined = mean_field(unaries, IMAGE, **CRF)
    elsewhere = np.isfinite(unaries)
    assert_close(refined[elsewhere], loops(uniform)[elsewhere], FLOAT32)
    assert np.isfinite(refined).all()


# ---- Properties ----------------------------------------------------------------------------------


def test_permuted_labels_give_permuted_results():
    order = [2, 0, 1]
    weights = np.float32([0.5, 1.5, 1.0])
    crf = {**CRF, "bilateral_weight": weights, "spatial_weight": weights, "native": False}
    crf["method"] = "lattice"
    permuted = {
        **crf,
        "bilateral_weight": weights[order],
        "spatial_weight": weights[order],
        "compatibility": COMPATIBILITY[order][:, order],
    }
    expected = mean_field(UNARIES, IMAGE, **crf)[..., order]
    assert_close(mean_field(UNARIES[..., order], IMAGE, **permuted), expected, FLOAT32)


def test_an_edge_of_the_image_is_an_edge_of_the_labels():
    """Noisy labels of two half planes become right everywhere; without the image they do not."""
    rng = np.random.default_rng(1)
    truth = np.zeros((1, 12, 17), int)
    truth[:, :, 9:] = 1
    image = (truth * 100.0 + rng.normal(0, 3, truth.shape))[..., None]
    unaries = np.eye(2)[np.where(rng.random(truth.shape) < 0.2, 1 - truth, truth)] * 2.0
    crf = dict(theta_alpha=8.0, theta_beta=15.0, theta_gamma=1.0, num_iterations=5, native=False)
    refined = mean_field(unaries, image, spatial_weight=1.0, bilateral_weight=4.0, **crf)
    assert np.array_equal(refined.argmax(-1), truth)
    blind = mean_field(unaries, 0 * image, spatial_weight=1.0, bilateral_weight=4.0, **crf)
    assert not np.array_equal(blind.argmax(-1), truth)


# ---- Probabilities, errors, imports --------------------------------------------------------------


def test_logits_of_probabilities():
    logits = np.array([[2.0, -1.0, 0.5]])
    probabilities = np.exp(logits) / np.exp(logits).sum()
    found = logits_from_probabilities(probabilities)
    assert_close(found - found[:, :1], logits - logits[:, :1], FLOAT32)
    single = logits_from_probabilities(1 / (1 + np.exp(-logits.reshape(3, 1))))
    assert_close(single, logits.reshape(3, 1), FLOAT32)
    assert np.isfinite(logits_from_probabilities(np.array([[0.0, 1.0], [1.0, 0.0]]))).all()
    assert np.isfinite(logits_from_probabilities(np.array([[0.0], [1.0]]))).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": IMAGE[:, :2]}, "one spatial size"),
        ({"image": IMAGE[:1]}, "one batch size"),
        ({"image": IMAGE[..., 0]}, "Add the missing axis"),
        ({"spatial_weight": np.ones(2)}, r"a number, \(3,\) or \(3, 3\) for 3 labels"),
        ({"compatibility": np.eye(2)}, r"`compatibility` of shape \(3, 3\)"),
        ({"compatibility": "Potts"}, "Received 'Potts'"),
        ({"num_iterations": -1}, "0 or more"),
        ({"method": "latice"}, "'latice'"),
        ({"normalization": "both"}, "'both'"),
        ({"theta_beta": (1.0, 2.0, 3.0)}, "one number per channel"),
    ],
)
def test_errors_say_what_is_wrong(changed, message):
    arguments = {"unaries": UNARIES, "image": IMAGE, **CRF, **changed}
    with pytest.raises(ValueError, match=message):
        mean_field(**arguments)


def test_numpy_needs_no_keras():
    code = (
        "import sys, numpy as np; from crfrnn.meanfield.mean_field import mean_field; "
        "mean_field(np.zeros((1, 2, 3, 2)), np.zeros((1, 2, 3, 1)), spatial_weight=1.0, "
        "bilateral_weight=1.0, theta_alpha=2.0, theta_beta=2.0, theta_gamma=2.0, "
        "num_iterations=1); "
        "sys.exit(bool({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
