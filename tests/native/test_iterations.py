"""Mean-field iterations of the native library: those of `mean_field`, one by one or at once."""

import numpy as np
import pytest

from crfrnn import arrays, mean_field
from crfrnn.filtering import make_filter
from crfrnn.meanfield import in_place
from crfrnn.meanfield.in_place import MeanField, pairwise_kernel
from crfrnn.meanfield.mixing import mix, mixing
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions
from crfrnn.native import library
from tests.native.required import require
from tests.tolerances import FLOAT32, assert_close

require()


def random(*shape):
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("labels", [2, 3, 4, 7, 21, 32, 33, 40, 70])
@pytest.mark.parametrize("full", [False, True])
def test_step_is_the_mean_field_iteration(labels, full):
    rng = np.random.default_rng(labels)
    unaries = rng.normal(0, 2, (1, 9, 8, labels)).astype(np.float32)
    image = rng.uniform(0, 255, (1, 9, 8, 3)).astype(np.float32)
    spatial, bilateral = rng.uniform(0.5, 2, (2, *(labels,) * (1 + full)))
    compatibility = rng.normal(0, 1, (labels, labels)) if full else "potts"
    thetas = dict(theta_alpha=4.0, theta_beta=60.0, theta_gamma=2.0)
    expected = mean_field(
        unaries,
        image,
        spatial_weight=spatial,
        bilateral_weight=bilateral,
        compatibility=compatibility,
        num_iterations=3,
        normalization="none",
        native=False,
        **thetas,
    )

    lattices = (
        library.build(spatial_positions((9, 8), 2.0)),
        library.build(bilateral_positions(image, 4.0, 60.0)),
    )
    unary = unaries.reshape(-1, labels)
    kernels = [
        library.PairwiseTerm(
            lattice, None, None, library.contiguous(mixing(w, compatibility, labels))
        )
        for lattice, w in zip(lattices, (spatial, bilateral), strict=True)
    ]
    q = library.softmax(unary)
    for _ in range(3):
        library.mean_field(kernels, unary, q)
    assert_close(q, arrays.softmax(expected).reshape(-1, labels), FLOAT32)


# Cells of 4 points and more leave few vertices: then an iteration is one pass over the points, of
# which there are enough for two threads.
@pytest.mark.parametrize("cell", [0.5, 4.0])
@pytest.mark.parametrize("labels", [2, 4, 5, 21, 33, 70])
@pytest.mark.parametrize("full", [False, True])
def test_iterations_in_one_call_are_those_of_many(cell, labels, full):
    rng = np.random.default_rng(labels)
    points = 97 * 101
    unaries = rng.normal(0, 2, (points, labels)).astype(np.float32)
    terms = []
    for features in (2, 3):
        positions = np.stack(np.indices((97, 101)), -1).reshape(1, points, 2) / cell
        more = rng.uniform(0, 2, (1, points, features - 2))
        lattice = library.build(np.concatenate([positions, more], -1))
        mass = library.apply(lattice, np.ones((1, points, 1), np.float32)).ravel()
        scales = (rng.uniform(0.5, 1.5, (2, points)) / np.sqrt(mass)).astype(np.float32)
        mixed = rng.normal(0, 0.5, (labels, labels) if full else labels).astype(np.float32)
        terms.append(library.PairwiseTerm(lattice, *scales, mixed))
    vertices = sum(term.lattice.seen[-1] for term in terms)
    assert (vertices <= points) == (cell > 1), vertices

    expected = library.softmax(unaries)
    for _ in range(4):
        messages = [library.apply(t.lattice, expected[None], *t[1:3])[0] for t in terms]
        x = unaries - sum(mix(m, t.mixing) for m, t in zip(messages, terms, strict=True))
        expected = library.softmax(x)
    one_by_one = library.softmax(unaries)
    for _ in range(4):
        library.mean_field(terms, unaries, one_by_one)
    assert_close(one_by_one, expected, FLOAT32)
    for start in (None, library.softmax(unaries)):
        np.testing.assert_array_equal(library.mean_field(terms, unaries, start, 4), one_by_one)


def test_ctrl_c_is_heard_between_calls_that_change_nothing(monkeypatch):
    calls, positions = [], random(1, 500, 2)
    unary, kernel = random(500, 6), pairwise_kernel(make_filter(positions), 2.0, "potts", 6)
    at_once = MeanField([kernel], unary)
    at_once.step(5)
    native = library.mean_field
    monkeypatch.setattr(library, "mean_field", lambda *a: calls.append(a[-1]) or native(*a))
    monkeypatch.setattr(in_place, "_VALUES_AT_ONCE", 1)
    in_parts = MeanField([kernel], unary)
    in_parts.step(5)
    assert calls == [2, 2, 1]
    np.testing.assert_array_equal(in_parts.q, at_once.q)


def lattice_and_step():
    positions = random(1, 60, 3)
    lattice = library.build(positions)
    unaries, ones = random(60, 4), np.ones((1, 60, 1), np.float32)
    return lattice, unaries, library.softmax(unaries), ones, np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(lattice=library.build(random(1, 59, 3))), "of the 60 points"),
        (lambda s: s.update(mixing=np.ones(5, np.float32)), r"mixing .* received shape \(5,\)"),
        (lambda s: s.update(mixing=np.ones((4, 5), np.float32)), "mixing"),
        (lambda s: s.update(mixing=np.ones(4)), "mixing .* dtype float64"),
        (lambda s: s.update(scale_in=np.ones((1, 59, 1), np.float32)), "scale_in"),
        (lambda s: s.update(scale_out=np.ones((1, 60, 2), np.float32)[..., :1]), "scale_out"),
        (lambda s: s.update(unaries=random(60, 3)), "q to be"),
        (lambda s: s.update(unaries=random(60, 8)[:, ::2]), "unaries .* contiguous=False"),
        (lambda s: s.update(q=random(60, 4).astype(np.float64)), "q .* dtype float64"),
        (lambda s: s["q"].setflags(write=False), "q .* writeable=False"),
        (lambda s: s.update(q=[[0.0] * 4] * 60), "q .* received list"),
        (lambda s: s.update(none=True), "Expected one pairwise term or more"),
        (lambda s: s.update(num_iterations=0), "Expected one iteration or more. Received 0"),
    ],
)
def test_a_step_refuses_arrays_that_do_not_fit(change, message):
    lattice, unaries, q, ones, mixing = lattice_and_step()
    s = dict(lattice=lattice, unaries=unaries, q=q, scale_in=ones, scale_out=None, mixing=mixing)
    change(s)
    term = library.PairwiseTerm(s["lattice"], s["scale_in"], s["scale_out"], s["mixing"])
    with pytest.raises(ValueError, match=f"(?i){message}"):
        terms, iterations = [] if "none" in s else [term], s.get("num_iterations", 1)
        library.mean_field(terms, s["unaries"], s["q"], iterations)
