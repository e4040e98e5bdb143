"""Every tolerance of the tests, in one table.

An error is the largest absolute difference, divided by the largest expected magnitude, so that one
number serves values of any size. The package computes in float32 (rounding 6e-8); sums of some
thousand terms lose two digits.
"""

import numpy as np

EXACT = 0.0  # the same bits
FLOAT32 = 1e-5  # float32 against the same formula in float64
FLOAT16 = 1e-3  # results rounded to float16 (10 bits of fraction)
GRADIENT = 1e-4  # float32 gradients against central differences in float64
PYDENSECRF = 1e-4  # probabilities against pydensecrf's; measured 2.4e-5, without normalisation
LOSS_LATTICE = 0.06  # relative L2 error of DenseCRFLoss's gradient, against exact; measured 0.052
AGREEMENT = 0.03  # crfrnn.parameters.agreement by the lattice, against all pairs; measured 0.026
BANDWIDTH_GRADIENT = 0.2  # bandwidths: the lattice's against the exact filter's, on photographs
POSITION_GRADIENT = 0.2  # the same for images, relative L2 error

# The normalised lattice filter against the exact one: relative L2 error of 21 smooth probabilities
# per point on a 64 x 64 crop of a photograph, by (theta_alpha, theta_beta); (theta_gamma, None) is
# the spatial kernel. The errors are the lattice's own: on this input those of pydensecrf are equal
# up to 1e-6. They vary with the picture (160/3: 1.7 % to 7 %), and with sharp probabilities they
# grow (20/10: 8 %).
LATTICE_L2 = {
    (20.0, 10.0): 0.035,  # measured 0.0340
    (80.0, 13.0): 0.031,  # measured 0.0306
    (160.0, 3.0): 0.067,  # measured 0.0664
    (3.0, None): 0.0099,  # measured 0.0098
}


def error(actual, expected):
    """Largest |actual - expected|, divided by the largest |expected|; inf where NaN differs."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape:
        raise AssertionError(f"Shapes differ: {actual.shape} and {expected.shape}.")
    largest = np.abs(expected).max(initial=0.0)
    difference = np.abs(actual - expected).max(initial=0.0)
    if np.isnan(difference):
        return np.inf
    return difference / largest if largest else difference


def assert_close(actual, expected, tolerance):
    """Fails, with the error, when it is larger than the tolerance."""
    found = error(actual, expected)
    assert found <= tolerance, f"error {found:.3g} is larger than the tolerance {tolerance:.3g}"
