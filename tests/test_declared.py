"""Bad values of every declared argument, made from the declarations, are refused by name."""

import inspect

import numpy as np
import pytest

import crfrnn
from crfrnn.checks import Whole
from crfrnn.large import plan

RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(0, 1, (5, 7, 2))
PROBS = RNG.dirichlet(np.ones(3), (5, 7))
TRUTH = PROBS.argmax(-1)
CRF = dict(
    theta_alpha=5.0, theta_beta=0.3, theta_gamma=1.5, bilateral_weight=4.0, spatial_weight=2.0
)
POSITIONS = RNG.normal(size=(1, 6, 3))

# A good call of each public function that declares its arguments.
CALLS = {
    "refine": (crfrnn.refine, dict(image=IMAGE, probs=PROBS, **CRF)),
    "DenseCRF": (crfrnn.DenseCRF, dict(image=IMAGE, num_labels=3, **CRF)),
    "mean_field": (
        crfrnn.mean_field,
        dict(unaries=np.log(PROBS)[None], image=IMAGE[None], num_iterations=1, **CRF),
    ),
    "gaussian_filter": (
        crfrnn.gaussian_filter,
        dict(values=RNG.normal(size=(1, 6, 2)), positions=POSITIONS, grid=(2, 3)),
    ),
    "probs_from_labels": (crfrnn.probs_from_labels, dict(labels=TRUTH, num_labels=3)),
    "search": (
        crfrnn.search,
        dict(images=[IMAGE], probs=[PROBS], labels=[TRUTH], trials=2, progress=False),
    ),
    "diagnose": (crfrnn.diagnose, dict(image=IMAGE, unaries=PROBS, **CRF)),
    "refine_many": (crfrnn.refine_many, dict(cases=[], output="none")),
    "CRFRNN": (crfrnn.CRFRNN, {}),
    "DenseCRFLoss": (
        crfrnn.DenseCRFLoss,
        dict(theta_alpha=5.0, theta_beta=0.3, theta_gamma=1.0),
    ),
}


def declared(function):
    """The declarations of a function, or of what makes a class."""
    wrapped = function.__init__ if inspect.isclass(function) else function
    if function is crfrnn.gaussian_filter:  # its options are checked where the filter is made
        from crfrnn.filtering import make_filter as wrapped
    while not hasattr(wrapped, "declared"):
        wrapped = wrapped.__wrapped__
    return wrapped.declared


CASES = [
    pytest.param(function, good, name, value, id=f"{title}: {name}={value!r:.20}")
    for title, (function, good) in CALLS.items()
    for name, constraint in declared(function).items()
    for value in constraint.bad()
]


@pytest.mark.parametrize(("function", "good", "name", "value"), CASES)
def test_bad_values_are_refused_by_name(function, good, name, value):
    if function is crfrnn.search:
        pytest.importorskip("optuna")
    with pytest.raises(ValueError, match=rf"(?s)Expected .*`{name}`.*Received"):
        function(**{**good, name: value})


@pytest.mark.parametrize("title", CALLS)
def test_the_good_call_is_good(title):
    function, good = CALLS[title]
    if function is crfrnn.search:
        pytest.importorskip("optuna")
    function(**good)


def test_every_function_that_takes_thetas_declares_them():
    for name in crfrnn.__all__:
        function = getattr(crfrnn, name)
        if not callable(function) or name in ("Parameters", "attach"):  # which hands them on
            continue
        if "theta_alpha" in inspect.signature(function).parameters:
            assert {"theta_alpha", "theta_beta", "theta_gamma"} <= set(declared(function)), name


def test_a_missing_argument_is_named_with_what_to_do():
    with pytest.raises(TypeError, match=r"refine: .*'theta_alpha'.*crfrnn\.first_guess"):
        crfrnn.refine(IMAGE, PROBS)


def test_a_declaration_refuses_what_it_calls_bad_and_takes_the_rest():
    for value in Whole(2).bad():
        with pytest.raises(ValueError, match="`n` to be a whole number, 2 or more"):
            Whole(2).check("n", value, {})
    Whole(2).check("n", np.int64(2), {})


@pytest.mark.parametrize("many", [10_001, 10**30])
def test_more_iterations_than_anybody_waits_for_are_refused(many):
    crf = crfrnn.DenseCRF(IMAGE, 3, **CRF)
    crf.set_unary(probs=PROBS)
    for start in (crf.step, lambda n: crfrnn.CRFRNN(3, n), lambda n: crfrnn.CRFRNN(n, 3)):
        with pytest.raises(ValueError, match=rf"_iterations` .* 0\.\.10000\. Received {many}\."):
            start(many)
    with pytest.raises(ValueError, match=rf"`num_iterations` .* 0\.\.10000\. Received {many}\."):
        plan((9, 8), thetas=[3], num_iterations=many)
