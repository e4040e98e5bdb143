"""The modules for PyTorch: the numbers of the Keras classes, and what people do with modules."""

import copy
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import crfrnn
from tests import backend
from tests.tolerances import EXACT, FLOAT32, GRADIENT, assert_close

torch = pytest.importorskip("torch")
import crfrnn.torch  # noqa: E402

RNG = np.random.default_rng(12)
LABELS, CHANNELS = 3, 2
UNARIES = RNG.normal(0, 2, (2, 6, 5, LABELS)).astype("float32")
IMAGE = RNG.uniform(0, 255, (2, 6, 5, CHANNELS)).astype("float32")
THETAS = dict(theta_alpha=[4.0, 3.0], theta_beta=[60.0, 40.0], theta_gamma=[1.5, 2.5])
COMPATIBILITY = [[-1.0, 0.2, 0.3], [0.1, -0.9, 0.4], [0.0, 0.5, -1.1]]
VARIANTS = {
    "default": {},
    "portable": dict(native=False),
    "exact": dict(method="exact", kernel_weights="full", compatibility=COMPATIBILITY),
    "local": dict(method="local", window=5, kernel_weights="shared", normalization="symmetric"),
    "learned": dict(trainable_thetas=True, spacing=[1.0, 0.5], bilateral_weight=1.5),
    "image": dict(image_gradient=True, normalization="before", damping=0.25),
}


def first(array):
    """Channels first, as a tensor."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1)))


def last(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_numbers_of_the_keras_layer(variant, training):
    arguments = dict(num_iterations=2, num_test_iterations=4, **THETAS) | VARIANTS[variant]
    module = crfrnn.torch.CRFRNN(**arguments).train(training)
    layer = crfrnn.CRFRNN(**arguments)
    expected = backend.array(layer([UNARIES, IMAGE], training=training))
    assert_close(last(module(first(UNARIES), first(IMAGE))), expected, FLOAT32)
    for parameter, weight in zip(module.parameters(), layer.weights, strict=True):
        assert_close(parameter.detach().numpy(), backend.array(weight), EXACT)


@pytest.mark.parametrize("shape", [(2, 6, 5), (2, 1, 6, 5)])
def test_a_mask_as_in_the_keras_layer(shape):
    mask = np.arange(60).reshape(2, 6, 5) % 7 > 1
    expected = backend.array(crfrnn.CRFRNN(2, 3, **THETAS)([UNARIES, IMAGE], mask=mask))
    module = crfrnn.torch.CRFRNN(2, 3, **THETAS).eval()
    image = np.where(mask[..., None], IMAGE, np.float32(np.nan))
    found = module(first(UNARIES), first(image), torch.from_numpy(mask.reshape(shape)))
    assert_close(last(found), expected, FLOAT32)
    np.testing.assert_array_equal(last(found)[~mask], UNARIES[~mask])


def test_volumes_and_one_sigmoid_channel():
    logit = RNG.normal(size=(1, 3, 4, 5, 1)).astype("float32")
    image = RNG.uniform(0, 9, (1, 3, 4, 5, 2)).astype("uint8")
    crf = dict(theta_alpha=3.0, theta_beta=4.0, theta_gamma=1.0)
    expected = backend.array(crfrnn.CRFRNN(**crf, from_logits=False)([0.5 + logit / 20, image]))
    module = crfrnn.torch.CRFRNN(**crf, from_logits=False).eval()
    assert_close(last(module(first(0.5 + logit / 20), first(image))), expected, FLOAT32)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_gradients_of_the_keras_backend(variant):
    options = dict(THETAS) | VARIANTS[variant] | dict(trainable_thetas=True)
    module = crfrnn.torch.CRFRNN(2, **options, num_labels=LABELS)
    upstream = RNG.normal(size=UNARIES.shape).astype("float32")
    unaries, image = first(UNARIES).requires_grad_(), first(IMAGE).requires_grad_()
    loss = (module(unaries, image) * first(upstream)).sum()
    inputs = [unaries, image, *module.parameters()]
    found = torch.autograd.grad(loss, inputs, materialize_grads=True)

    def by_backend(x, image, spatial, bilateral, compatibility, *logs):
        thetas = {name: keras.ops.exp(log) for name, log in zip(THETAS, logs, strict=True)}
        refined = crfrnn.mean_field(
            x, image, **thetas, bilateral_weight=bilateral, spatial_weight=spatial,
            compatibility=compatibility, num_iterations=2, **module.options,
        )  # fmt: skip
        return keras.ops.sum(keras.ops.multiply(refined, upstream))

    start = [parameter.detach().numpy() for parameter in module.parameters()]
    expected = backend.gradients(by_backend, UNARIES, IMAGE, *start)
    assert_close(last(found[0]), expected[0], GRADIENT)
    assert_close(last(found[1]), expected[1], GRADIENT)
    assert np.any(expected[1]) == (variant in ("exact", "local", "image"))
    for gradient, slopes in zip(found[2:], expected[2:], strict=True):
        assert_close(gradient.numpy(), slopes, GRADIENT)


# ---- What PyTorch people do ----------------------------------------------------------------------


def convolution(labels=LABELS):
    return torch.nn.Conv2d(CHANNELS, labels, 3, padding=1)


class Segmenter(torch.nn.Module):
    """A network with its CRF; the CRF does not know the number of labels yet."""

    def __init__(self, **crf):
        super().__init__()
        self.network = torch.nn.Sequential(
            convolution(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 1)
        )
        self.crf = crfrnn.torch.CRFRNN(2, 3, **THETAS, **crf)

    def forward(self, image):
        return self.crf(self.network(image / 255), image)


def train(model, optimizer, steps=8):
    labels = torch.from_numpy((IMAGE[..., 0] > 128).astype("int64"))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(first(IMAGE)), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_an_optimizer_made_before_the_first_call_trains_the_crf():
    torch.manual_seed(0)
    model = Segmenter()
    losses = train(model, torch.optim.Adam(model.parameters(), 0.02))
    assert losses[-1] < losses[0]
    assert model.crf.bilateral_weights.shape == (LABELS,)
    assert (model.crf.bilateral_weights != 5).all()


def test_state_dicts_and_whole_modules_are_saved_and_loaded(tmp_path):
    model = Segmenter(trainable_thetas=True)
    train(model, torch.optim.Adam(model.parameters(), 0.02), steps=2)
    expected = model.eval()(first(IMAGE))
    torch.save(model.state_dict(), tmp_path / "state.pt")
    again = Segmenter(trainable_thetas=True).eval()  # never called
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_close(again(first(IMAGE)).detach(), expected.detach(), EXACT)
    torch.save(model, tmp_path / "model.pt")
    whole = torch.load(tmp_path / "model.pt", weights_only=False)
    assert_close(whole(first(IMAGE)).detach(), expected.detach(), EXACT)
    assert_close(copy.deepcopy(model)(first(IMAGE)).detach(), expected.detach(), EXACT)


def test_a_module_without_shapes_is_saved_too(tmp_path):
    torch.save(Segmenter(), tmp_path / "model.pt")
    model = torch.load(tmp_path / "model.pt", weights_only=False)
    assert model(first(IMAGE)).shape == (2, LABELS, 6, 5)


def test_unaries_alone_are_not_taken_apart():
    module = crfrnn.torch.CRFRNN(theta_alpha=3.0, theta_beta=0.2)
    with pytest.raises(ValueError, match="Expected unaries and an image"):
        module(torch.zeros(2, 3, 4, 5))


def test_in_a_sequential_that_hands_pairs_on():
    class Both(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, image):
            return self.network(image), image

    network, crf = convolution(), crfrnn.torch.CRFRNN(**THETAS)
    model = torch.nn.Sequential(Both(network), crf).eval()
    expected = crf(network(first(IMAGE)), first(IMAGE))
    assert_close(model(first(IMAGE)).detach(), expected.detach(), EXACT)


@pytest.mark.parametrize("method", ["lattice", "exact"])
def test_autocast_and_lower_precision_do_not_reach_the_crf(method):
    crf = crfrnn.torch.CRFRNN(**THETAS, method=method, kernel_weights="full").eval()
    expected = crf(first(UNARIES), first(IMAGE))
    with torch.autocast("cpu", torch.bfloat16):
        found = crf(first(UNARIES), first(IMAGE))
    assert_close(found.detach(), expected.detach(), EXACT)
    half = crf(first(UNARIES).half(), first(IMAGE))
    assert half.dtype == torch.float16
    double = copy.deepcopy(crf).double()(first(UNARIES).double(), first(IMAGE).double())
    assert double.dtype == torch.float64
    assert_close(double.detach(), expected.detach(), FLOAT32)


def test_replicas_of_data_parallel():
    """A replica has no parameters, but tensors of that name; it runs in a thread of its own."""
    model = crfrnn.torch.CRFRNN(**THETAS, trainable_thetas=True, num_labels=LABELS).eval()
    replica = model._replicate_for_data_parallel()
    replica._parameters = {}
    for name, parameter in model.named_parameters():
        setattr(replica, name, parameter * 1)
    inputs = (first(UNARIES), first(IMAGE))
    with ThreadPoolExecutor() as pool:
        outputs = list(pool.map(lambda module: module(*inputs).detach(), [model, replica]))
    assert_close(outputs[1], outputs[0], EXACT)


def test_it_moves_to_a_device():
    for labels in (None, LABELS):  # with and without shapes
        crf = crfrnn.torch.CRFRNN(trainable_thetas=True, num_labels=labels).to("meta")
        assert {parameter.device.type for parameter in crf.parameters()} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_computes_the_same():
    crf = crfrnn.torch.CRFRNN(**THETAS, trainable_thetas=True, num_labels=LABELS).eval()
    expected = crf(first(UNARIES), first(IMAGE)).detach()
    found = crf.to("cuda")(first(UNARIES).cuda(), first(IMAGE).cuda())
    assert_close(found.detach().cpu(), expected, FLOAT32)


WITHOUT_KERAS = """
import sys
sys.modules["keras"] = None  # importing it fails
import torch
import crfrnn.torch
crf = crfrnn.torch.CRFRNN(2, theta_alpha=3.0, theta_beta=0.2, trainable_thetas=True)
energy = crfrnn.torch.DenseCRFLoss(theta_alpha=3.0, theta_beta=0.2, method="exact")
image, logits = torch.rand(1, 1, 6, 5), torch.randn(1, 2, 6, 5, requires_grad=True)
loss = crf(logits, image).square().mean() + energy(logits, image)
loss.backward()
assert logits.grad.abs().sum() > 0 and crf.log_theta_beta.grad.abs() > 0
assert "tensorflow" not in sys.modules
"""


@pytest.mark.parametrize("name", ["tensorflow", "jax", "torch", "nonsense"])
def test_keras_is_not_needed_and_its_backend_does_not_matter(name):
    environment = os.environ | {"KERAS_BACKEND": name}
    subprocess.run([sys.executable, "-c", WITHOUT_KERAS], check=True, env=environment)


# ---- The loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["lattice", "exact"])
def test_the_loss_is_that_of_keras(method, weighted):
    arguments = dict(THETAS, spatial_weight=0.4, method=method)
    weights = RNG.integers(0, 3, IMAGE.shape[:-1]).astype("float32") if weighted else None
    given = None if weights is None else torch.from_numpy(weights)
    keras_loss = crfrnn.DenseCRFLoss(**arguments)
    module = crfrnn.torch.DenseCRFLoss(**arguments)
    logits = first(UNARIES).requires_grad_()
    value = module(logits, first(IMAGE), given)
    assert_close(value.item(), backend.array(keras_loss(IMAGE, UNARIES, weights)), FLOAT32)
    (expected,) = backend.gradients(lambda x: keras_loss(IMAGE, x, weights), UNARIES)
    assert_close(last(torch.autograd.grad(value, logits)[0]), expected, GRADIENT)
    if weighted:
        assert_close(module(logits, first(IMAGE), given[:, None]).item(), value.item(), EXACT)


# ---- Errors --------------------------------------------------------------------------------------


def test_wrong_arguments_and_shapes():
    with pytest.raises(ValueError, match="`theta_beta` to be positive"):
        crfrnn.torch.CRFRNN(theta_beta=-1.0)
    with pytest.raises(ValueError, match="one number per channel"):
        crfrnn.torch.CRFRNN(theta_beta=[1.0, 2.0, 3.0])(first(UNARIES), first(IMAGE))
    with pytest.raises(ValueError, match="one spatial size"):
        crfrnn.torch.CRFRNN()(first(UNARIES), first(IMAGE)[..., :3])
    with pytest.raises(ValueError, match="Look for NaN in the image"):
        crfrnn.torch.CRFRNN(**THETAS)(first(UNARIES), first(IMAGE * np.float32("nan")))


@pytest.mark.parametrize("shape", [(2, 5, 6), (60,), (2, 3, 6, 5), (2, 6, 5, 1), (1, 6, 5)])
def test_masks_and_weights_of_other_shapes_are_refused(shape):
    """As many numbers in another order of axes are other points."""
    given, pair = torch.ones(shape), (first(UNARIES), first(IMAGE))
    expected = r"of shape \(2, 6, 5\) or \(2, 1, 6, 5\).*Received shape"
    with pytest.raises(ValueError, match=f"`mask` {expected}"):
        crfrnn.torch.CRFRNN(**THETAS)(*pair, given)
    with pytest.raises(ValueError, match=f"`weights` {expected}"):
        crfrnn.torch.DenseCRFLoss(**THETAS)(*pair, given)
