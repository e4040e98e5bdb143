"""Student's distribution function, and the quantiles of many of them."""

import numpy as np
import pytest
from scipy import special, stats

from experiments.score.mixture import mixture_interval, student


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 11])
def test_the_distribution_is_students(degrees):
    t = np.array([-np.inf, -1e300, -7.5, -0.3, 0, 0.01, 2.1, 40, np.inf])
    # 3.8e-15 with one degree, below 5e-16 otherwise.
    np.testing.assert_allclose(student(t, degrees), special.stdtr(degrees, t), rtol=0, atol=1e-14)


def test_of_one_and_of_points_the_quantiles_are_known():
    low, high = mixture_interval(np.array([2.0]), np.array([0.5]), 3, 0.9)
    assert low == pytest.approx(2 + 0.5 * stats.t.ppf(0.05, 3), abs=2e-6)
    assert high == pytest.approx(2 + 0.5 * stats.t.ppf(0.95, 3), abs=2e-6)
    centres = np.repeat([1.0, 4.0, 9.0], [50, 900, 50])
    assert mixture_interval(centres, np.zeros(1000), 2, 0.85) == pytest.approx((4, 4), abs=2e-6)
    assert mixture_interval(centres, np.zeros(1000), 2, 0.95) == pytest.approx((1, 9), abs=2e-6)
