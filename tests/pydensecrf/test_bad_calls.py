"""Bad input of the drop-in is named."""

import numpy as np
import pytest

from crfrnn.pydensecrf import densecrf, eigen, utils
from tests.bad_input import IMAGE, NAN, PROBS

FLAT = np.zeros((2, 6), np.float32)
FIRST = np.moveaxis(PROBS, -1, 0)
RGB = np.zeros((2, 3, 3), np.uint8)


def crf2d():
    return densecrf.DenseCRF2D(3, 2, 2)


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda: densecrf.DenseCRF(0, 2), ValueError, "`nvar` to be 1 or more"),
        (lambda: densecrf.DenseCRF("6", 2), TypeError, "integer is required: `nvar`"),
        (lambda: densecrf.DenseCRF2D(3, -2, 2), ValueError, "`h` to be 1 or more"),
        (lambda: crf2d().setUnaryEnergy(FLAT.astype(float)), ValueError, "astype.np.float32"),
        (lambda: crf2d().setUnaryEnergy(FLAT.reshape(2, 2, 3)), ValueError, "reshape"),
        (lambda: crf2d().setUnaryEnergy(FLAT[:, :5].copy()), ValueError, r"Need \(2, 6\)"),
        (lambda: crf2d().setUnaryEnergy(FLAT.T.copy()), ValueError, "labels come first"),
        (lambda: crf2d().setUnaryEnergy(FLAT.T.copy().T), ValueError, "ascontiguousarray"),
        (lambda: crf2d().setUnaryEnergy(FLAT * NAN), ValueError, "without NaN"),
        (lambda: crf2d().setUnaryEnergy([[0] * 6] * 2), TypeError, "Received list"),
        (lambda: crf2d().setUnaryEnergy(None), TypeError, "Received NoneType"),
        (lambda: crf2d().setUnaryEnergy(FLAT, FLAT), ValueError, r"f of shape \(F, nvar\)"),
        (lambda: crf2d().setUnary(FLAT), TypeError, "Use setUnaryEnergy"),
        (lambda: crf2d().addPairwiseEnergy(FLAT.astype(float), 3), ValueError, "np.float32"),
        (lambda: crf2d().addPairwiseEnergy(FLAT[:, :5].copy(), 3), ValueError, r"Need \(F, 6\)"),
        (lambda: crf2d().addPairwiseEnergy(FLAT[:0], 3), ValueError, r"F >= 1"),
        (lambda: crf2d().addPairwiseEnergy(FLAT + np.inf, 3), ValueError, "finite positions"),
        (lambda: crf2d().addPairwiseEnergy(FLAT, "3"), TypeError, "`compat`"),
        (lambda: crf2d().addPairwiseEnergy(FLAT, np.ones(3, np.float32)), ValueError, "for 2 lab"),
        (lambda: crf2d().addPairwiseEnergy(FLAT, np.ones(2)), ValueError, "`compat` to be float32"),
        (
            lambda: crf2d().addPairwiseEnergy(FLAT, np.float32(3)[None, None, None]),
            ValueError,
            ">2",
        ),
        (lambda: crf2d().addPairwiseEnergy(FLAT, 3, kernel=7), ValueError, "7 is not a valid Kern"),
        (lambda: crf2d().addPairwiseEnergy(FLAT, 3, normalization=9), ValueError, "9 is not a val"),
        (lambda: crf2d().addPairwiseGaussian(0, 3), ValueError, "to be positive"),
        (lambda: crf2d().addPairwiseGaussian((3,), 3), ValueError, "one number or 2 of them"),
        (lambda: crf2d().addPairwiseGaussian("3", 3), ValueError, "one number or 2 of them"),
        (lambda: crf2d().addPairwiseBilateral(3, (1, 2), RGB, 3), ValueError, "`srgb` to be one"),
        (lambda: crf2d().addPairwiseBilateral(3, 3, RGB / 255, 3), ValueError, "np.uint8"),
        (lambda: crf2d().addPairwiseBilateral(3, 3, RGB[..., 0], 3), ValueError, "wrong number of"),
        (
            lambda: crf2d().addPairwiseBilateral(3, 3, RGB.transpose(1, 0, 2).copy(), 3),
            ValueError,
            "width first",
        ),
        (
            lambda: crf2d().addPairwiseBilateral(3, 3, np.zeros((2, 3, 4), np.uint8), 3),
            ValueError,
            "utils.create_pairwise_bilateral",
        ),
        (lambda: crf2d().addPairwiseGaussian(3, float("nan")), ValueError, "`compat` to be finite"),
        (
            lambda: crf2d().addPairwiseGaussian(3, np.array([1, np.inf], np.float32)),
            ValueError,
            "`compat` to be finite",
        ),
        (lambda: crf2d().inference("5"), TypeError, "integer is required: `niter`"),
        (lambda: crf2d().stepInference(None, None, None), TypeError, "startInference"),
        (lambda: crf2d().klDivergence(FLAT.T), TypeError, r"shape \(2, 6\). Received shape \(6"),
        (lambda: utils.unary_from_labels(np.array([0, 4]), 3, 0.5), ValueError, "1..3 and 0 for"),
        (lambda: utils.unary_from_labels(np.array([3]), 3, 0.5, False), ValueError, "0..2, for"),
        (lambda: utils.unary_from_labels(np.array([0.5]), 3, 0.5), ValueError, "integer labels"),
        (lambda: utils.unary_from_labels(np.array([0]), 3, 1.0), ValueError, "`gt_prob` between"),
        (lambda: utils.unary_from_softmax(PROBS, scale=2), ValueError, r"`scale` in \(0, 1\]"),
        (lambda: utils.create_pairwise_gaussian((1, 2, 3), (4, 5)), ValueError, "per axis"),
        (lambda: utils.create_pairwise_gaussian((1, 0), (4, 5)), ValueError, "to be positive"),
        (lambda: utils.create_pairwise_bilateral((1, 2), (3, 4), IMAGE[..., 0]), ValueError, "per"),
        (lambda: eigen.matrixXf(FLAT.astype(float)), ValueError, "mismatch"),
        (lambda: eigen.vectorXf(FLAT), ValueError, "wrong number of dimensions"),
    ],
)
def test_pydensecrf(use, error, message):
    with pytest.raises(error, match=message):
        use()


@pytest.mark.parametrize("wrong", [np.log(FIRST), 255 * FIRST, PROBS])
def test_what_are_no_probabilities_labels_first_is_warned_of(wrong):
    utils.unary_from_softmax(FIRST)
    with pytest.warns(UserWarning, match=r"labels first, that sum to 1 .* sums such as"):
        utils.unary_from_softmax(wrong)
