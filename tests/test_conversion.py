"""The table of docs/conversion.md: each row gives the same CRF as `refine` and `mean_field`.

pydensecrf runs beside ours. For the other libraries the update is written here from their source,
with matrices of all pairs.
"""

import re
from pathlib import Path

import numpy as np
import pytest

import crfrnn
from crfrnn.pydensecrf import densecrf as drop_in
from tests.offline.dense_crf_reference import iterate, kernel_matrices, normalized
from tests.tolerances import FLOAT32, assert_close

DOCUMENT = Path(__file__).parents[1] / "docs" / "conversion.md"
THETAS = dict(theta_alpha=(4.0, 3.0), theta_beta=(30.0, 40.0, 50.0), theta_gamma=(1.5, 2.0))


def case(grid=(5, 7), labels=3, channels=3, seed=0):
    """A noisy ramp, another one in each channel, and noise for probabilities."""
    rng = np.random.default_rng(seed)
    ramp = np.tensordot(np.indices(grid), rng.uniform(-6, 6, (len(grid), channels)), (0, 0))
    image = np.clip(120 + ramp + rng.normal(0, 12, ramp.shape), 0, 255).astype(np.uint8)
    return image, rng.dirichlet(np.ones(labels), grid)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def exact_kernels(image, normalization):
    matrices = kernel_matrices(image, *THETAS.values(), spacing=(1.0,) * (image.ndim - 1))
    return [normalized(matrix, normalization) for matrix in matrices]


@pytest.fixture(params=["drop-in", "pydensecrf"])
def densecrf(request):
    if request.param == "drop-in":
        return drop_in
    return pytest.importorskip("pydensecrf.densecrf", reason="the extra `bench` has pydensecrf2")


def pydensecrf(densecrf, image, probs, spatial_compat, bilateral_compat, normalization):
    height, width, labels = probs.shape
    d = densecrf.DenseCRF2D(width, height, labels)
    energies = -np.log(probs.reshape(-1, labels)).T
    d.setUnaryEnergy(np.ascontiguousarray(energies, np.float32))
    options = dict(normalization=getattr(densecrf, normalization))
    (ay, ax), (gy, gx) = THETAS["theta_alpha"], THETAS["theta_gamma"]
    d.addPairwiseGaussian((gx, gy), spatial_compat, **options)
    d.addPairwiseBilateral((ax, ay), THETAS["theta_beta"], image, bilateral_compat, **options)
    return np.array(d.inference(4)).T.reshape(probs.shape)


@pytest.mark.parametrize(
    ("constant", "normalization", "scale"),
    [
        ("NORMALIZE_SYMMETRIC", "symmetric", 1),
        ("NORMALIZE_AFTER", "after", 1),
        ("NORMALIZE_BEFORE", "before", 1),
        ("NO_NORMALIZATION", "none", 0.1),
    ],
)
def test_pydensecrf_numbers(densecrf, constant, normalization, scale):
    image, probs = case((30, 40))
    refined = crfrnn.refine(
        image,
        probs,
        **THETAS,
        spatial_weight=2 * scale,
        bilateral_weight=5 * scale,
        num_iterations=4,
        normalization=normalization,
    )
    assert_close(
        refined, pydensecrf(densecrf, image, probs, 2 * scale, 5 * scale, constant), FLOAT32
    )


def test_pydensecrf_vector_and_matrix(densecrf):
    image, probs = case((30, 40))
    vector = np.float32([-3, -1, -2])
    matrix = np.float32([[-3, 0.5, 0.2], [0.1, -2, 0], [0.3, 0.7, -1]])
    refined = crfrnn.refine(
        image,
        probs,
        **THETAS,
        spatial_weight=-vector,
        bilateral_weight=-(matrix + matrix.T) / 2,
        num_iterations=4,
    )
    expected = pydensecrf(densecrf, image, probs, vector, matrix, "NORMALIZE_SYMMETRIC")
    assert_close(refined, expected, FLOAT32)


def test_pydensecrf_energies(densecrf):
    image, probs = case((30, 40))
    crf = crfrnn.DenseCRF(image, 3, **THETAS, spatial_weight=2, bilateral_weight=5)
    crf.set_unary(-np.log(probs))
    crf.step(4)
    expected = pydensecrf(densecrf, image, probs, 2, 5, "NORMALIZE_SYMMETRIC")
    assert_close(crf.probs(), expected, FLOAT32)


@pytest.mark.parametrize("sign", [1, -1], ids=["crfasrnn_keras and Caffe", "crfasrnn_pytorch"])
def test_crf_as_rnn(sign):
    """x = u - C (W_s K_s q + W_b K_b q); crfasrnn_pytorch adds the message."""
    image, probs = case()
    rng = np.random.default_rng(1)
    spatial, bilateral, theirs = rng.normal(size=(3, 3, 3))
    kernels = exact_kernels(image, "after")
    logits = np.log(probs).reshape(-1, 3)
    x = logits
    for _ in range(3):
        q = softmax(x)
        message = np.zeros_like(x)
        for i in range(len(x)):
            weighted = spatial @ (kernels[0][i] @ q) + bilateral @ (kernels[1][i] @ q)
            message[i] = theirs @ weighted
        x = logits - sign * message
    refined = crfrnn.mean_field(
        np.log(probs)[None],
        image[None],
        **THETAS,
        spatial_weight=spatial,
        bilateral_weight=bilateral,
        compatibility=sign * theirs,
        num_iterations=3,
        normalization="after",
        method="exact",
    )
    assert_close(refined[0].reshape(-1, 3), x, FLOAT32)


@pytest.mark.parametrize("matrix", [None, np.array([[1, 0.2, 0], [-0.1, 0.8, 0.3], [0.4, 0, 1.1]])])
def test_monai(matrix):
    """x = u + update_factor (w_b K_b q + w_g K_g q) M, labels on the right-hand axis."""
    image, probs = case()
    update_factor, bilateral_weight, gaussian_weight = 3.0, 1.2, 0.7
    spatial, bilateral = exact_kernels(image, "after")
    logits = np.log(probs).reshape(-1, 3)
    q = softmax(logits)
    for _ in range(3):
        combined = bilateral_weight * bilateral @ q + gaussian_weight * spatial @ q
        if matrix is not None:
            combined = combined @ matrix
        q = softmax(logits + update_factor * combined)
    refined = crfrnn.refine(
        image,
        probs,
        **THETAS,
        bilateral_weight=update_factor * bilateral_weight,
        spatial_weight=update_factor * gaussian_weight,
        compatibility="potts" if matrix is None else -matrix.T,
        normalization="after",
        num_iterations=3,
        method="exact",
    )
    assert_close(refined.reshape(-1, 3), q, FLOAT32)


def test_features_in_the_order_of_the_axes():
    """MONAI's and pydensecrf.utils' lattice is that of the grid with its axes reversed."""
    image, probs = case((8, 11))
    y, x = np.mgrid[:8, :11].reshape(2, -1, 1)
    features = np.hstack([y / 4.0, x / 3.0, image.reshape(-1, 3) / THETAS["theta_beta"]])
    q = probs.reshape(-1, 3)
    filtered = crfrnn.gaussian_filter(q, features)
    refined = crfrnn.refine(
        image.transpose(1, 0, 2),
        probs.transpose(1, 0, 2),
        theta_alpha=(3.0, 4.0),
        theta_beta=THETAS["theta_beta"],
        theta_gamma=1.0,
        bilateral_weight=2.0,
        spatial_weight=0.0,
        normalization="after",
        num_iterations=1,
    ).transpose(1, 0, 2)
    assert_close(refined.reshape(-1, 3), softmax(np.log(q) + 2 * filtered), FLOAT32)


def test_simplecrf_2d():
    """-log of probabilities cut at 0.01 and 0.99, Potts, symmetric."""
    image, probs = case()
    probs[0, :3] = np.eye(3)
    w1, w2 = 10.0, 3.0
    clipped = np.clip(probs, 0.01, 0.99)
    x = iterate(
        np.log(clipped).reshape(-1, 3),
        exact_kernels(image, "symmetric"),
        [w2 * np.eye(3), w1 * np.eye(3)],
        -np.eye(3),
        3,
    )
    crf = crfrnn.DenseCRF(
        image, 3, **THETAS, bilateral_weight=w1, spatial_weight=w2, method="exact"
    )
    crf.set_unary(-np.log(clipped))
    crf.step(3)
    assert_close(crf.probs().reshape(-1, 3), softmax(x), FLOAT32)


def test_simplecrf_3d_mistakes_the_order_of_the_axes():
    """Its grid has the sizes (W, H, D) for an array (D, H, W): right if D = W, else a reshape."""
    depth, height, width = 3, 4, 5
    theirs = {}  # flat index of a voxel -> its place (z, y, x) in their grid
    for k in range(width):  # DenseCRF3D(W_=depth, H_=height, Z_=width)
        for j in range(height):
            for i in range(depth):
                theirs[k * height * depth + j * depth + i] = (k, j, i)
    places = np.array([theirs[n] for n in range(depth * height * width)])
    reshaped = np.indices((width, height, depth)).reshape(3, -1).T
    np.testing.assert_array_equal(places, reshaped)


def test_grey_as_rgb():
    image, probs = case(channels=1)
    crf = dict(theta_alpha=4, theta_gamma=2, bilateral_weight=5, spatial_weight=1, method="exact")
    assert_close(
        crfrnn.refine(image, probs, theta_beta=30 / np.sqrt(3), **crf),
        crfrnn.refine(np.repeat(image, 3, -1), probs, theta_beta=30, **crf),
        FLOAT32,
    )


def test_scale_of_the_intensities():
    image, probs = case()
    crf = dict(theta_alpha=4, theta_gamma=2, bilateral_weight=5, spatial_weight=1, method="exact")
    assert_close(
        crfrnn.refine(image / 255, probs, theta_beta=60 / 255, **crf),
        crfrnn.refine(image, probs, theta_beta=60, **crf),
        FLOAT32,
    )


def test_spacing():
    image, probs = case()
    crf = dict(theta_beta=60, bilateral_weight=5, spatial_weight=1)
    assert_close(
        crfrnn.refine(image, probs, theta_alpha=4, theta_gamma=2, spacing=(2.0, 0.5), **crf),
        crfrnn.refine(image, probs, theta_alpha=(2, 8), theta_gamma=(1, 4), **crf),
        FLOAT32,
    )


def test_the_documents_code_runs_as_printed():
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(compile(block, str(DOCUMENT), "exec"), names)
    assert_close(names["after"], names["before"], FLOAT32)
    assert names["refined"].shape == (40, 60, 3)
