"""Points outside the mask take no part."""

import numpy as np
import pytest

from crfrnn.meanfield.mean_field import mean_field
from tests import backend
from tests.meanfield.random_case import (
    BILATERAL,
    COMPATIBILITY,
    CRF,
    IMAGE,
    LABELS,
    MASK,
    METHODS,
    SPACING,
    SPATIAL,
    THETAS,
    UNARIES,
)
from tests.offline import dense_crf_reference as reference
from tests.tolerances import FLOAT32, assert_close


def masked(array, value):
    """The array with a value where the mask leaves a point out."""
    return np.where(MASK[..., None], array, value).astype("float32")


def loops_among(normalization):
    """By the reference, with the rows and columns of what is left out taken out of the kernels."""
    refined = masked(UNARIES, np.nan).reshape(2, -1, LABELS)
    for i, here in enumerate(MASK.reshape(2, -1)):
        places = np.flatnonzero(here)
        kernels = reference.kernel_matrices(IMAGE[i], **THETAS, spacing=SPACING)
        kernels = [kernel[np.ix_(places, places)] for kernel in kernels]
        refined[i, places] = reference.iterate(
            UNARIES[i].reshape(-1, LABELS)[places],
            [reference.normalized(kernel, normalization) for kernel in kernels],
            [SPATIAL, BILATERAL],
            COMPATIBILITY,
            CRF["num_iterations"],
        )
    return refined.reshape(UNARIES.shape)


@pytest.mark.parametrize("normalization", ["after", "symmetric", "before", "none"])
@pytest.mark.parametrize("space", ["numpy", "tensors"])
def test_points_outside_the_mask_take_no_part(normalization, space):
    make = backend.tensor if space == "tensors" else np.asarray
    crf = {**CRF, "normalization": normalization}
    unaries, image = masked(UNARIES, np.nan), masked(IMAGE, np.nan)
    for mask in (MASK, MASK.astype("uint8")[..., None]):
        refined = mean_field(make(unaries), make(image), mask=make(mask), **crf)
        np.testing.assert_allclose(
            backend.array(refined), loops_among(normalization), rtol=1e-4, atol=10 * FLOAT32
        )


@pytest.mark.parametrize("method", [*METHODS, {}])
def test_a_masked_border_changes_nothing(method):
    around = ((0, 0), (0, 2), (0, 1), (0, 0))
    image = np.pad(IMAGE, around, constant_values=np.nan)
    unaries = np.pad(UNARIES, around, constant_values=7)
    mask = np.pad(np.ones((2, 3, 4), bool), around[:-1])
    mask[1] = False  # an image without any point is returned as it is
    crf = {**CRF, **method}
    refined = mean_field(unaries, image, mask=mask, **crf)
    alone = mean_field(UNARIES[:1], IMAGE[:1], **crf)
    assert_close(refined[:1, :3, :4], alone, FLOAT32)
    np.testing.assert_array_equal(refined[1], unaries[1])
    np.testing.assert_array_equal(refined[0][~mask[0]], 7)


def test_a_mask_of_another_shape():
    with pytest.raises(ValueError, match=r"`mask` of shape \(2, 3, 4\).*\(2, 4, 3\)"):
        mean_field(UNARIES, IMAGE, mask=np.ones((2, 4, 3)), **CRF)
