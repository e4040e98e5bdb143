"""Masks of the layer."""

import keras
import numpy as np
import pytest
from keras import ops

from crfrnn.layers.crf_rnn import CRFRNN
from tests import backend
from tests.layers.random_case import CHANNELS, IMAGE, LABELS, RNG, THETAS, UNARIES, by_numpy
from tests.tolerances import FLOAT32, assert_close

# ---- Masks ---------------------------------------------------------------------------------------

AROUND = ((0, 0), (0, 2), (0, 1), (0, 0))
INSIDE = np.pad(np.ones(IMAGE.shape[:-1], bool), AROUND[:-1])


def padded(array, value):
    return np.pad(array, AROUND, constant_values=value)


@pytest.mark.parametrize("native", [None, False])
@pytest.mark.parametrize("normalization", ["after", "symmetric"])
def test_a_masked_border_changes_neither_results_nor_gradients(native, normalization):
    layer = CRFRNN(2, **THETAS, trainable_thetas=True, normalization=normalization, native=native)
    layer([UNARIES, IMAGE])  # builds
    upstream = RNG.normal(size=UNARIES.shape).astype("float32")

    def value(u, *weights, image, mask, upstream):
        refined = layer.stateless_call(weights, [], [u, image], training=True, mask=mask)[0]
        return ops.sum(refined * backend.tensor(upstream))

    weights = [backend.array(weight) for weight in layer.trainable_variables]
    alone = backend.gradients(
        lambda *given: value(*given, image=IMAGE, mask=None, upstream=upstream), UNARIES, *weights
    )
    found = backend.gradients(
        lambda *given: value(
            *given, image=padded(IMAGE, np.nan), mask=INSIDE, upstream=padded(upstream, 0)
        ),
        padded(UNARIES, np.nan),
        *weights,
    )
    assert_close(found[0][:, :6, :5], alone[0], 10 * FLOAT32)
    assert not found[0][:, 6:].any() and not found[0][:, :, 5:].any()
    for one, other in zip(found[1:], alone[1:], strict=True):
        assert_close(one, other, 100 * FLOAT32)  # sums over all points, in another order


def test_a_mask_may_be_an_input_of_a_saved_model(tmp_path):
    unaries, image = keras.Input((None, None, LABELS)), keras.Input((None, None, CHANNELS))
    mask = keras.Input((None, None), dtype="bool")
    refined = CRFRNN(2, 3, **THETAS)([unaries, image], mask=mask)
    model = keras.Model([unaries, image, mask], refined)
    expected = by_numpy(iterations=3)
    model.save(tmp_path / "masked.keras")
    again = keras.models.load_model(tmp_path / "masked.keras")
    given = [padded(UNARIES, 1), padded(IMAGE, 9), INSIDE]
    for one in (model, again):
        found = one.predict(given, verbose=0)
        assert_close(found[:, :6, :5], expected, FLOAT32)
        assert (found[:, 6:] == 1).all()


def test_masks_of_earlier_layers_are_heeded_and_handed_on():
    image = keras.Input((None, None, CHANNELS))
    unaries = keras.Input((None, None, LABELS))
    seen = keras.layers.Masking(-1.0)(image)
    refined = CRFRNN(2, 3, **THETAS)([unaries, seen])
    model = keras.Model([unaries, image], refined)
    found = backend.array(model([padded(UNARIES, 1), padded(IMAGE, -1)]))
    assert_close(found[:, :6, :5], by_numpy(iterations=3), FLOAT32)
    layer = CRFRNN(**THETAS)
    one = np.arange(30).reshape(1, 6, 5) % 2 == 0
    both = layer.compute_mask(None, [backend.tensor(one), backend.tensor(INSIDE[:1, :6, :5])])
    np.testing.assert_array_equal(backend.array(both), one)
    assert layer.compute_mask(None, [None, None]) is None
