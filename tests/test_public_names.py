"""Public names are what they say, whatever was imported before."""

import importlib.util
import inspect
import pkgutil

import crfrnn


def test_no_module_hides_a_public_name():
    for module in pkgutil.walk_packages(crfrnn.__path__, "crfrnn."):
        if not importlib.util.find_spec(module.name).origin.endswith(".py"):
            continue  # the native library
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:  # of frameworks one is enough
            assert error.name in ("jax", "keras", "monai", "tensorflow", "torch"), module.name
    for name in crfrnn.__all__:
        assert not inspect.ismodule(getattr(crfrnn, name)), name


def test_signatures_are_the_contract():
    def names(function):
        return list(inspect.signature(function).parameters)

    assert names(crfrnn.gaussian_filter)[:5] == (
        ["values", "positions", "method", "normalization", "native"]
    )
    assert names(crfrnn.refine) == [
        *("image", "probs", "theta_alpha", "theta_beta", "theta_gamma"),
        *("bilateral_weight", "spatial_weight", "num_iterations", "compatibility"),
        *("normalization", "spacing", "coordinates", "method", "window", "mask", "ignore_below"),
    ]
    assert names(crfrnn.DenseCRF)[:2] == ["image", "num_labels"]
    assert names(crfrnn.search)[:6] == ["images", "probs", "labels", "metric", "trials", "seed"]
    assert names(crfrnn.diagnose)[:3] == ["image", "unaries", "labels"]
    assert names(crfrnn.first_guess) == ["images", "probs", "spacing", "mask"]
    assert names(crfrnn.CRFRNN)[:16] == [
        *("num_iterations", "num_test_iterations", "theta_alpha", "theta_beta", "theta_gamma"),
        *("bilateral_weight", "spatial_weight", "kernel_weights", "compatibility"),
        *("trainable_thetas", "normalization", "method", "native", "window", "from_logits"),
        "spacing",
    ]
    assert names(crfrnn.attach)[0] == "model"
    assert names(crfrnn.mean_field)[:2] == ["unaries", "image"]
