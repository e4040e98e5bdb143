"""Numbers of a diagnosis, computed in loops."""

import math

import numpy as np
import pytest

from crfrnn import refine
from crfrnn.diagnosis import edges
from crfrnn.diagnosis.diagnose import diagnose
from tests.diagnosis.scene import GOOD, case
from tests.tolerances import FLOAT32, assert_close


def test_numbers_are_those_of_refine():
    image, probs, truth = case(shape=(26, 40))
    crf = {**GOOD, "normalization": "after"}
    found = diagnose(image, probs, truth, num_iterations=3, **crf)
    history = [refine(image, probs, num_iterations=t, **crf) for t in range(4)]
    assert_close(found.before, history[0], FLOAT32)
    assert_close(found.after, history[3], FLOAT32)
    maps = [q.argmax(-1) for q in history]
    for t in range(3):
        change = np.abs(history[t + 1] - history[t])
        assert found.max_change[t] == pytest.approx(change.max(), abs=1e-5)
        assert found.mean_change[t] == pytest.approx(change.mean(), abs=1e-6)
        assert found.flips[t] == np.mean(maps[t + 1] != maps[t])
        assert found.changed[t] == np.mean(maps[t + 1] != maps[0])
    assert found.metrics["correct"][1] == pytest.approx(100 * np.mean(maps[3] == truth))
    intersection = np.sum((maps[3] == 1) & (truth == 1))
    dice = 200 * intersection / (np.sum(maps[3] == 1) + np.sum(truth == 1))
    assert found.metrics["dice"][1] == pytest.approx(dice)
    assert len(found.kl) == 4 and (np.diff(found.kl) < 0).all()


def test_messages_in_loops():
    """All pairs of a tiny image, from the equation; the exact method avoids the lattice's error."""
    rng = np.random.default_rng(1)
    image, probs = rng.uniform(0, 50, (3, 4, 2)), rng.dirichlet(np.ones(3), (3, 4))
    crf = {**GOOD, "bilateral_weight": np.array([1.0, 2.0, 4.0]), "normalization": "after"}
    messages = diagnose(image, probs, method="exact", **crf).messages
    points = list(np.ndindex(3, 4))
    for n, i in enumerate(points):
        total = np.zeros(3)
        for weight, kernel in (
            (
                crf["bilateral_weight"],
                lambda a, b: math.exp(
                    -(math.dist(a, b) ** 2) / (2 * 8.0**2)
                    - math.dist(image[a], image[b]) ** 2 / (2 * 25.0**2)
                ),
            ),
            (1.0, lambda a, b: math.exp(-(math.dist(a, b) ** 2) / 2)),
        ):
            row = np.array([kernel(i, j) for j in points])
            total += weight * sum(
                k * probs[j] for k, j in zip(row / row.sum(), points, strict=True)
            )
        first, second = np.argsort(-probs[i])[:2]
        margin = math.log(probs[i][first]) - math.log(probs[i][second])
        assert messages.margin[n] == pytest.approx(margin, abs=1e-4)
        assert messages.reach[n] == pytest.approx(max(total) - min(total), abs=1e-4)
        assert messages.agreement[n] == pytest.approx(total[first] - total[second], abs=1e-4)


@pytest.mark.parametrize("shape", [(6, 9), (4, 5, 6)])
def test_kernels_in_loops(shape):
    rng = np.random.default_rng(0)
    scaled, theta = rng.normal(0, 1, (*shape, 2)), np.array([0.7, 1.3, 0.5])[: len(shape)]
    point = tuple(size // 2 for size in shape)
    kernel, near, window = edges.kernel_around(scaled, theta, point)
    for place in np.ndindex(kernel.shape):
        there = tuple(p + w.start for p, w in zip(place, window, strict=True))
        distance = sum(((a - b) / t) ** 2 for a, b, t in zip(there, point, theta, strict=True))
        alike = math.exp(-0.5 * sum((scaled[there] - scaled[point]) ** 2))
        assert near[place] == pytest.approx(math.exp(-0.5 * distance))
        assert kernel[place] == pytest.approx(math.exp(-0.5 * distance) * alike)
    sums = edges.kernel_sums(scaled, theta, point)
    assert sums == pytest.approx((kernel.sum() - 1, near.sum() - 1))
    distances = [
        math.dist(scaled[a], scaled[b])
        for a in np.ndindex(shape)
        for axis in range(len(shape))
        for b in [tuple(x + (k == axis) for k, x in enumerate(a))]
        if b[axis] < shape[axis]
    ]
    probs = rng.dirichlet(np.ones(2), shape)
    found = edges.measure(scaled, probs, theta_alpha=theta, theta_beta=1.0)
    assert np.sort(found.contrast) == pytest.approx(np.sort(distances))
    np.testing.assert_allclose(found.factor, [math.exp(-0.5 * c**2) for c in found.contrast])
