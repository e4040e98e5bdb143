"""The transforms for MONAI, beside `crfrnn.refine` and MONAI's own chain of transforms."""

import numpy as np
import pytest

import crfrnn
from tests.tolerances import EXACT, FLOAT32, assert_close

torch = pytest.importorskip("torch")
monai = pytest.importorskip("monai")
from monai.data import MetaTensor  # noqa: E402
from monai.networks.blocks import CRF  # noqa: E402
from monai.transforms import Activationsd, AsDiscreted, Compose  # noqa: E402

from crfrnn.monai import CRFRefine, CRFRefined, arguments_of  # noqa: E402

RNG = np.random.default_rng(8)
CRF_ARGUMENTS = dict(
    theta_alpha=4.0, theta_beta=0.2, theta_gamma=1.5, bilateral_weight=3.0, spatial_weight=1.0
)
LOGITS = RNG.normal(0, 2, (3, 5, 4, 6)).astype("float32")  # (L, *S)
IMAGE = RNG.uniform(0, 1, (2, 5, 4, 6)).astype("float32")  # (K, *S)
PROBS = np.exp(LOGITS) / np.exp(LOGITS).sum(0)
AFFINE = np.array([[0, -2.0, 0, 5], [0.5, 0, 0, 7], [0, 0, 3.0, 9], [0, 0, 0, 1]])
SPACING = (0.5, 2.0, 3.0)  # along the columns of the affine: array axes


def by_refine(spacing=None, **crf):
    image, probs = (np.moveaxis(array, 0, -1) for array in (IMAGE, PROBS))
    refined = crfrnn.refine(image, probs, spacing=spacing, **(crf or CRF_ARGUMENTS))
    return np.moveaxis(refined, -1, 0)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_arrays_and_tensors(kind):
    refined = CRFRefine(**CRF_ARGUMENTS)(kind(PROBS), kind(IMAGE))
    assert type(refined) is type(kind(PROBS))
    assert_close(np.asarray(refined), by_refine(), EXACT)


@pytest.mark.parametrize("of", ["image", "probs"])
def test_spacing_is_that_of_the_affine(of):
    image = MetaTensor(IMAGE, affine=torch.tensor(AFFINE)) if of == "image" else IMAGE
    probs = MetaTensor(PROBS, affine=torch.tensor(AFFINE)) if of == "probs" else PROBS
    refined = CRFRefine(**CRF_ARGUMENTS)(probs, image)
    assert_close(np.asarray(refined), by_refine(SPACING), EXACT)
    if of == "probs":
        assert isinstance(refined, MetaTensor)
        assert_close(np.asarray(refined.affine), AFFINE, EXACT)
    in_points = CRFRefine(spacing=None, **CRF_ARGUMENTS)(probs, image)
    assert_close(np.asarray(in_points), by_refine(), EXACT)
    given = CRFRefine(spacing=[1.0, 2.0, 0.5], **CRF_ARGUMENTS)(probs, image)
    assert_close(np.asarray(given), by_refine([1.0, 2.0, 0.5]), EXACT)


def test_in_a_chain_of_dictionary_transforms():
    chain = Compose(
        [
            Activationsd("pred", softmax=True),
            CRFRefined("pred", image_key="scan", **CRF_ARGUMENTS),
            AsDiscreted("pred", argmax=True),
        ]
    )
    data = {"pred": torch.as_tensor(LOGITS), "scan": torch.as_tensor(IMAGE), "name": "case"}
    out = chain(data)
    assert out["name"] == "case"
    assert_close(np.asarray(out["pred"])[0], by_refine().argmax(0), EXACT)
    assert data["pred"] is not out["pred"]
    missing = CRFRefined("other", image_key="scan", allow_missing_keys=True, **CRF_ARGUMENTS)
    assert_close(np.asarray(missing(data)["pred"]), LOGITS, EXACT)


def test_one_channel_of_a_sigmoid():
    p = PROBS[:1]
    two = np.moveaxis(np.concatenate([1 - p, p]), 0, -1)
    expected = crfrnn.refine(np.moveaxis(IMAGE, 0, -1), two, **CRF_ARGUMENTS)[..., 1]
    assert_close(CRFRefine(**CRF_ARGUMENTS)(p, IMAGE)[0], expected, EXACT)


def test_monai_s_settings_give_monai_s_iteration():
    """By the equations of MONAI's `CRF.forward`, with dense matrices for its filter."""
    matrix = torch.tensor([[1.0, 0.2, -0.3], [0.1, 0.9, 0.4], [0.0, -0.5, 1.1]])
    block = CRF(
        iterations=3, bilateral_weight=0.7, gaussian_weight=0.4, bilateral_spatial_sigma=2.0,
        bilateral_color_sigma=0.3, gaussian_spatial_sigma=1.5, update_factor=2.0,
        compatibility_matrix=matrix,
    )  # fmt: skip
    grid = np.stack(np.meshgrid(*map(np.arange, IMAGE.shape[1:]), indexing="ij")).reshape(3, -1)

    def kernel(features):
        squared = np.square(features[:, :, None] - features[:, None]).sum(0)
        weights = np.exp(-squared / 2)
        return weights / weights.sum(1, keepdims=True)

    bilateral = kernel(np.concatenate([grid / 2.0, IMAGE.reshape(2, -1) / 0.3]))
    spatial = kernel(grid / 1.5)
    logits = np.log(PROBS.reshape(3, -1).T.astype("float64"))
    q = PROBS.reshape(3, -1).T.astype("float64")
    for _ in range(3):
        x = logits + 2.0 * (0.7 * bilateral @ q + 0.4 * spatial @ q) @ matrix.numpy()
        q = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    refined = CRFRefine(**arguments_of(block), method="exact")(PROBS, IMAGE)
    assert_close(refined, q.T.reshape(PROBS.shape), FLOAT32)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`spacing`"):
        CRFRefine(spacing="mm", **CRF_ARGUMENTS)
    with pytest.raises(ValueError, match="same S"):
        CRFRefine(**CRF_ARGUMENTS)(PROBS, IMAGE[:, :3])
    with pytest.raises(TypeError, match="missing a required argument: 'theta_beta'"):
        CRFRefined("pred", theta_alpha=4.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'theta_delta'"):
        CRFRefine(**CRF_ARGUMENTS, theta_delta=1.0)
    with pytest.raises(ValueError, match="`theta_beta` to be positive"):
        CRFRefine(**{**CRF_ARGUMENTS, "theta_beta": -1.0})


def test_points_that_lie_elsewhere_are_refused():
    """A flip of one of the two changes no shape."""
    flipped = AFFINE @ np.diag([-1.0, 1, 1, 1])
    image, moved = (MetaTensor(IMAGE, affine=torch.tensor(a)) for a in (AFFINE, flipped))
    post = CRFRefine(**CRF_ARGUMENTS)
    with pytest.raises(ValueError, match="probabilities and image of one affine"):
        post(MetaTensor(PROBS, affine=torch.tensor(AFFINE)), moved)
    # Half a rounding apart, or of a tensor that knows of no place.
    near = MetaTensor(PROBS, affine=torch.tensor(AFFINE + 1e-6))
    for probs in (near, MetaTensor(PROBS)):
        assert_close(np.asarray(post(probs, image)), by_refine(SPACING), EXACT)
