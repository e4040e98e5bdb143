"""The parameters of CRFs in training: read from layers, kept, and written for TensorBoard."""

import io

import keras
import numpy as np
import pytest

import crfrnn
from crfrnn import CRFRNN, CRFMonitor, crf_parameters
from tests.tolerances import EXACT, FLOAT32, assert_close

LABELS = 3
CRF = dict(theta_alpha=[4.0, 2.5], theta_beta=0.2, theta_gamma=1.5)
RNG = np.random.default_rng(2)
IMAGE = RNG.uniform(size=(4, 6, 5, 1)).astype("float32")
TRUTH = RNG.integers(0, LABELS, (4, 6, 5))


def model_of(*layers):
    """Image -> 1 x 1 convolution -> CRFs, one after the other, compiled."""
    image = keras.Input((None, None, 1))
    x = keras.layers.Dense(LABELS)(image)
    for layer in layers:
        x = layer([x, image])
    return compiled(keras.Model(image, x))


def compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss)
    return model


def fit(model, monitor, epochs=2, batch_size=2):
    model.fit(IMAGE, TRUTH, epochs=epochs, batch_size=batch_size, callbacks=[monitor], verbose=0)


def written(folder):
    """{tag: {step: number or (height, width) of a picture}} of TensorBoard's files in a folder.

    Read by TensorFlow; another library has written them.
    """
    tf = pytest.importorskip("tensorflow", reason="it reads event files")

    found = {}
    for path in sorted((folder / "crf").iterdir()):
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                number = value.simple_value
                if value.HasField("image"):
                    import matplotlib.image

                    picture = io.BytesIO(value.image.encoded_image_string)
                    number = matplotlib.image.imread(picture, format="png")
                found.setdefault(value.tag, {})[event.step] = number
    return found


# ---- crf_parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel_weights", "shape"),
    [("full", (LABELS, LABELS)), ("per_label", (LABELS,)), ("shared", ())],
)
def test_parameters_of_a_layer(kernel_weights, shape):
    layer = CRFRNN(**CRF, kernel_weights=kernel_weights, trainable_thetas=True)
    model_of(layer)
    spatial, bilateral = RNG.normal(size=(2, *shape))
    compatibility = RNG.normal(size=(LABELS, LABELS))
    logs = [np.log([4.0, 2.5]), np.array(-1.0), np.array(0.5)]
    layer.set_weights([np.array(spatial), np.array(bilateral), compatibility, *logs])
    parameters = crf_parameters(layer)
    expected = dict(
        spatial=spatial, bilateral=bilateral, compatibility=compatibility,
        theta_alpha=[4.0, 2.5], theta_beta=np.exp(-1.0), theta_gamma=np.exp(0.5),
    )  # fmt: skip
    assert list(parameters) == list(expected)
    for name, value in expected.items():
        assert_close(parameters[name], value, FLOAT32)


def test_fixed_bandwidths_are_no_parameters():
    layer = CRFRNN(**CRF)
    model_of(layer)
    assert list(crf_parameters(layer)) == ["spatial", "bilateral", "compatibility"]


def test_parameters_are_copies():
    layer = CRFRNN(**CRF)
    model_of(layer)
    crf_parameters(layer)["bilateral"][:] = 0
    assert_close(crf_parameters(layer)["bilateral"], [5.0] * LABELS, EXACT)


def test_a_layer_without_weights():
    with pytest.raises(ValueError, match=r"'lonely'.*never called"):
        crf_parameters(CRFRNN(name="lonely"))


# ---- History -------------------------------------------------------------------------------------


def test_history_of_epochs():
    layer = CRFRNN(1, **CRF, trainable_thetas=True, name="crf")
    monitor = CRFMonitor()
    fit(model_of(layer), monitor)
    assert [entry["step"] for entry in monitor.history] == [0, 1, 2]
    first, second, last = monitor.history
    assert_close(first["crf/theta_alpha"], [4.0, 2.5], FLOAT32)
    assert_close(first["crf/compatibility"], -np.eye(LABELS), EXACT)
    for name, value in crf_parameters(layer).items():
        assert_close(last[f"crf/{name}"], value, EXACT)
        assert (first[f"crf/{name}"] != second[f"crf/{name}"]).all(), name
        assert (second[f"crf/{name}"] != last[f"crf/{name}"]).all(), name


def test_history_of_batches_goes_on_over_epochs_and_calls_of_fit():
    """4 images in batches of 1: 4 batches an epoch, noted after every third."""
    layer = CRFRNN(1, **CRF, name="crf")
    model, monitor = model_of(layer), CRFMonitor(every=3)
    fit(model, monitor, epochs=2, batch_size=1)
    assert [entry["step"] for entry in monitor.history] == [0, 3, 6]
    fit(model, monitor, epochs=1, batch_size=1)
    assert [entry["step"] for entry in monitor.history] == [0, 3, 6, 9, 12]
    assert_close(monitor.history[-1]["crf/bilateral"], crf_parameters(layer)["bilateral"], EXACT)
    changes = np.diff([entry["crf/bilateral"] for entry in monitor.history], axis=0)
    assert (changes != 0).all()


def test_several_crfs_also_in_models_that_are_layers():
    inner = model_of(CRFRNN(1, **CRF, name="crf", bilateral_weight=2.0))
    image = keras.Input((None, None, 1))
    outer = CRFRNN(1, **CRF, name="crf", bilateral_weight=3.0)
    model = compiled(keras.Model(image, outer([inner(image), image])))
    monitor = CRFMonitor()
    fit(model, monitor, epochs=1)
    start = {k: v[0] for k, v in monitor.history[0].items() if k.endswith("bilateral")}
    assert sorted(start) == ["crf/bilateral", "crf_2/bilateral"]
    assert sorted(start.values()) == [2.0, 3.0]


def test_a_crf_that_was_attached():
    network = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Dense(LABELS)])
    model = compiled(crfrnn.attach(network, **CRF, num_iterations=1, name="behind"))
    monitor = CRFMonitor()
    fit(model, monitor, epochs=1)
    assert "behind/bilateral" in monitor.history[-1]


# ---- TensorBoard ---------------------------------------------------------------------------------


def test_what_tensorboard_reads(tmp_path):
    pytest.importorskip("tensorboardX")
    vectors = CRFRNN(1, **CRF, trainable_thetas=True, name="crf")
    matrices = CRFRNN(1, **CRF, kernel_weights="full", name="second")
    monitor = CRFMonitor(tmp_path)
    fit(model_of(vectors, matrices), monitor)
    found = written(tmp_path)
    curves = [f"crf/{kernel}/{label}" for kernel in ("spatial", "bilateral") for label in "012"]
    curves += ["crf/theta_alpha/0", "crf/theta_alpha/1", "crf/theta_beta", "crf/theta_gamma"]
    maps = ["crf/compatibility", "second/spatial", "second/bilateral", "second/compatibility"]
    assert sorted(found) == sorted(curves + maps)
    for step, entry in enumerate(monitor.history):
        for label in range(LABELS):
            tag = f"crf/bilateral/{label}"
            assert_close(found[tag][step], entry["crf/bilateral"][label], FLOAT32)
        assert_close(found["crf/theta_beta"][step], entry["crf/theta_beta"], FLOAT32)
        assert_close(found["crf/theta_alpha/1"][step], entry["crf/theta_alpha"][1], FLOAT32)
    for tag in maps:
        assert sorted(found[tag]) == [0, 1, 2]
        assert all(min(picture.shape[:2]) > 100 for picture in found[tag].values())


def test_heat_maps_are_red_above_and_blue_below_zero(tmp_path):
    pytest.importorskip("tensorboardX")
    layer = CRFRNN(1, **CRF, name="crf", trainable=False, kernel_weights="full")
    fit(model_of(layer), CRFMonitor(tmp_path), epochs=1)
    found = written(tmp_path)
    for tag, more, less in (("crf/bilateral", 0, 2), ("crf/compatibility", 2, 0)):
        picture = found[tag][0]  # the diagonal is coloured, the rest is zero, white
        tinted = picture[..., more] - picture[..., less] > 0.2
        other = picture[..., less] - picture[..., more] > 0.2
        bar = 3 * picture.shape[1] // 4  # the colour bar stands to the right
        assert tinted[:, :bar].mean() > 0.05
        assert not other[:, :bar].any()


def test_numbers_that_are_not_finite_are_written_too(tmp_path):
    pytest.importorskip("tensorboardX")
    layer = CRFRNN(1, **CRF, name="crf", trainable=False)
    model = model_of(layer)
    weights = layer.get_weights()
    weights[2][0, 1], weights[2][1, 1] = np.nan, np.inf
    layer.set_weights(weights)
    fit(model, CRFMonitor(tmp_path), epochs=1)
    assert sorted(written(tmp_path)["crf/compatibility"]) == [0, 1]


# ---- Errors --------------------------------------------------------------------------------------


def test_a_model_without_a_crf():
    with pytest.raises(ValueError, match=r"with a CRFRNN layer.*crfrnn\.attach"):
        fit(model_of(), CRFMonitor())


@pytest.mark.parametrize("every", [0, -1, 2.5])
def test_bad_every(every):
    with pytest.raises(ValueError, match="`every`"):
        CRFMonitor(every=every)


def test_a_missing_writer_is_named_before_the_training(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"tensorboardX: pip install 'crfrnn\[monitor\]'"):
        CRFMonitor(tmp_path)
    CRFMonitor()
