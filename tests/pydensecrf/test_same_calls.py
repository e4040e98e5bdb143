"""What the drop-in shares with pydensecrf: utilities, names, constants, exceptions."""

import numpy as np
import pytest

from tests.pydensecrf.calls import KERNELS, NORMALIZATIONS, ours, photograph, probabilities
from tests.tolerances import FLOAT32, assert_close


def test_utils(theirs):
    rng = np.random.default_rng(0)
    probs = probabilities(photograph())[:, :4, :5]
    labels = rng.integers(0, 4, (4, 5))
    image = rng.integers(0, 256, (4, 5, 2))
    for function, *arguments in [
        ("unary_from_softmax", probs),
        ("unary_from_softmax", probs.astype(np.float32), 0.7),
        ("unary_from_softmax", np.eye(3), None, 1e-3),
        ("unary_from_softmax", probs, 0.5, None),
        ("unary_from_labels", labels, 3, 0.6),
        ("unary_from_labels", labels, 4, 0.6, False),
        ("create_pairwise_gaussian", (3, 2), (4, 5)),
        ("create_pairwise_gaussian", (3, 2, 1.5), (4, 5, 6)),
        ("create_pairwise_bilateral", (3, 2), (7, 9), image, 2),
        ("create_pairwise_bilateral", (3, 2), 7, np.moveaxis(image, 2, 0), 0),
        ("create_pairwise_bilateral", (3, 2), (0.1,), image[..., 0] / 255),
        ("create_pairwise_bilateral", (3, 2, 1.5), (7,), image),
        ("create_pairwise_bilateral", (3, 2, 1.5), 7, image.astype(np.int16), -1),
    ]:
        actual = getattr(ours.utils, function)(*arguments)
        expected = getattr(theirs.utils, function)(*arguments)
        assert actual.dtype == expected.dtype == np.float32
        assert actual.flags.c_contiguous
        assert_close(actual, expected, FLOAT32)


def test_too_few_bandwidths_leave_the_others_undivided(theirs):
    image = np.arange(40.0).reshape(4, 5, 2)
    arguments = (3,), (0.1,), image, 2
    with pytest.warns(UserWarning, match="one bandwidth per"):
        actual = ours.utils.create_pairwise_bilateral(*arguments)
    assert_close(actual, theirs.utils.create_pairwise_bilateral(*arguments), FLOAT32)


def test_deprecated_names(theirs):
    probs = probabilities(photograph())
    labels = probs.argmax(0)
    for name, arguments in [
        ("compute_unary", (labels, 3)),
        ("compute_unary", (labels, 3, 0.8)),
        ("softmax_to_unary", (probs,)),
        ("softmax_to_unary", (probs, 0.6)),
    ]:
        with pytest.warns(DeprecationWarning, match=name):
            actual = getattr(ours.utils, name)(*arguments)
        assert_close(actual, getattr(theirs.utils, name)(*arguments), FLOAT32)


def test_utils_by_hand():
    labels = np.array([[0, 1, 2], [3, 2, 0]], np.uint8)
    sure, other, any_label = 0.8, 0.1, 1 / 3
    expected = [
        [any_label, sure, other, other, other, any_label],
        [any_label, other, sure, other, sure, any_label],
        [any_label, other, other, sure, other, any_label],
    ]
    assert_close(ours.utils.unary_from_labels(labels, 3, 0.8), -np.log(expected), FLOAT32)
    expected = [[0.9, 0.1], [0.1, 0.9]]
    actual = ours.utils.unary_from_labels([0, 1], 2, 0.9, zero_unsure=False)
    assert_close(actual, -np.log(expected), FLOAT32)
    # 0.6 of the given probability and 0.4 of the uniform 1 / 2.
    mixed = ours.utils.unary_from_softmax(np.array([[0.25, 1], [0.75, 0]]), scale=0.6)
    assert_close(mixed, -np.log([[0.35, 0.8], [0.65, 0.2]]), FLOAT32)
    volume = np.arange(24.0).reshape(2, 3, 4)
    features = ours.utils.create_pairwise_bilateral((2, 4, 8), 10, volume)
    assert_close(features[:, 23], [1 / 2, 2 / 4, 3 / 8, 2.3], FLOAT32)  # the last voxel
    assert_close(features[:, 5], [0, 1 / 4, 1 / 8, 0.5], FLOAT32)  # z = 0, y = 1, x = 1


def test_same_names_and_constants(theirs):
    for part in ("dcrf", "utils", "eigen"):
        for name in vars(getattr(theirs, part)):
            if not name.startswith("_") and name not in ("Number", "np", "warning", "eigen"):
                assert hasattr(getattr(ours, part), name), name
    for name in [*NORMALIZATIONS, *KERNELS]:
        assert getattr(ours.dcrf, name) == getattr(theirs.dcrf, name)
    for cls in ("DenseCRF", "DenseCRF2D"):
        for name in dir(getattr(theirs.dcrf, cls)):
            if not name.startswith("_"):
                assert hasattr(getattr(ours.dcrf, cls), name), name


def test_same_exceptions(theirs):
    def message_kind(m, wrong):
        with pytest.raises((TypeError, ValueError)) as caught:
            wrong(m)
        return caught.type

    def crf(m):
        return m.dcrf.DenseCRF2D(3, 2, 2)

    flat, image = np.zeros((2, 6), np.float32), np.zeros((2, 3, 3), np.uint8)
    for wrong in [
        lambda m: m.dcrf.DenseCRF(4),
        lambda m: crf(m).setUnaryEnergy(flat.astype(float)),
        lambda m: crf(m).setUnaryEnergy(flat[:, :5]),
        lambda m: crf(m).setUnaryEnergy(np.zeros((6, 2), np.float32)),
        lambda m: crf(m).setUnaryEnergy(np.zeros((6, 2), np.float32).T),
        lambda m: crf(m).setUnaryEnergy(flat.reshape(2, 2, 3)),
        lambda m: crf(m).setUnaryEnergy(flat.tolist()),
        lambda m: crf(m).setUnaryEnergy(None),
        lambda m: crf(m).setUnary(flat),
        lambda m: m.dcrf.ConstUnary(flat.astype(int)),
        lambda m: crf(m).addPairwiseEnergy(flat),
        lambda m: crf(m).addPairwiseEnergy(flat.astype(float), 3),
        lambda m: crf(m).addPairwiseEnergy(flat[:, :5].copy(), 3),
        lambda m: crf(m).addPairwiseEnergy(flat, None),
        lambda m: crf(m).addPairwiseEnergy(flat, "3"),
        lambda m: crf(m).addPairwiseEnergy(flat, [1, 2]),
        lambda m: crf(m).addPairwiseEnergy(flat, np.ones(2)),
        lambda m: crf(m).addPairwiseEnergy(flat, np.ones((2, 2, 2), np.float32)),
        lambda m: crf(m).addPairwiseEnergy(flat, np.array(3, np.float32)),
        lambda m: crf(m).addPairwiseBilateral(3, 3, image.astype(float), 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, image[..., 0], 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, image[..., :2].copy(), 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, image[:, ::-1], 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, np.zeros((3, 2, 3), np.uint8), 3),
        lambda m: crf(m).addPairwiseBilateral(3, 3, None, 3),
        lambda m: crf(m).inference("5"),
        lambda m: crf(m).stepInference(None, None),
        lambda m: m.eigen.matrixXf(None),
        lambda m: m.eigen.matrixXf(np.zeros((2, 2))),
        lambda m: m.eigen.matrixXf(np.zeros((2, 2, 2), np.float32)),
        lambda m: m.eigen.vectorXf(np.zeros(2)),
    ]:
        assert message_kind(ours, wrong) == message_kind(theirs, wrong)
