"""Files of some labels out of many, and what is packed."""

import json

import numpy as np
import pytest

pytest.importorskip("click")

import crfrnn
from crfrnn import refine
from tests.cli.scenes import CRF, OPTIONS, picture, read, run, scene
from tests.cli.small import SIZE, interpolated, small_scene
from tests.tolerances import FLOAT16, FLOAT32, assert_close


@pytest.mark.parametrize("size", [SIZE, (5, 7)])
@pytest.mark.parametrize("kind", ["packed", "float16", "uint8", "logits"])
def test_some_labels(tmp_path, kind, size):
    """As `pack` writes them, and as other programs do: keys and maps."""
    image, _ = small_scene()
    _, probs, _ = scene(size, 3)
    keys, p = np.array([0, 5, 17]), tmp_path / "p.npz"
    options, tolerance = [*OPTIONS, "--upsample"], FLOAT32
    maps = np.moveaxis(probs, -1, 0)
    if kind == "packed":
        everything = np.full((*size, 21), 0.0)
        everything[..., keys] = probs
        crfrnn.pack(p, everything)
        probs = crfrnn.unpack(p)[..., keys]
    elif kind == "float16":
        np.savez(p, keys=keys, high_res=maps.astype(np.float16))
        tolerance = 4 * FLOAT16
    elif kind == "uint8":
        maps = np.rint(255 * maps).astype(np.uint8)
        np.savez(p, keys=keys, cam=maps)
        probs = np.moveaxis(maps / maps.sum(0), 0, -1)
    else:
        np.savez(p, keys=keys, logits=np.log(maps))
        options.append("--logits")
        probs = np.exp(interpolated(np.log(probs), SIZE))
        probs /= probs.sum(-1, keepdims=True)
    expected = refine(image, interpolated(probs, SIZE), **CRF)
    i = picture(tmp_path / "i.png", image)
    run("refine", i, p, "-o", tmp_path / "o.png", *options)
    np.testing.assert_array_equal(read(tmp_path / "o.png"), keys[expected.argmax(-1)])
    run("refine", i, p, "-o", tmp_path / "o.npy", *options)  # all labels, first as in the file
    found = read(tmp_path / "o.npy")
    assert found.shape == (21 if kind == "packed" else 18, *SIZE)
    assert_close(found[keys], np.moveaxis(expected, -1, 0), tolerance)
    assert not np.delete(found, keys, 0).any()


def test_weights_per_label_are_those_of_the_labels_in_the_file(tmp_path):
    image, _, _ = scene(SIZE, channels=3)
    _, probs, _ = scene(SIZE, 3)
    weights = np.arange(1.0, 8)
    crf = {**CRF, "bilateral_weight": weights.tolist(), "spatial_weight": np.eye(7).tolist()}
    (tmp_path / "crf.json").write_text(json.dumps(crf))
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npz", tmp_path / "o.png"
    np.savez(p, keys=[1, 2, 6], probs=np.moveaxis(probs, -1, 0))
    run("refine", i, p, "-o", o, "--parameters", tmp_path / "crf.json")
    alone = {**CRF, "bilateral_weight": weights[[1, 2, 6]], "spatial_weight": np.eye(3)}
    expected = refine(image, probs, **alone).argmax(-1)
    np.testing.assert_array_equal(read(o), np.array([1, 2, 6])[expected])
    np.savez(p, keys=[1, 2, 7], probs=np.moveaxis(probs, -1, 0))
    text = run(
        "refine", i, p, "-o", o, "--parameters", tmp_path / "crf.json", "--overwrite", status=1
    )
    assert "up to 7. Received 7" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (dict(keys=[0, 1, 2], a=0, b=0), "one array of maps"),
        (dict(keys=[0, 1, 2]), "one array of maps"),
        (dict(keys=[2, 1, 0], a=0), "labels, ascending; received [2, 1, 0]"),
        (dict(keys=[0.0, 1.0, 2.0], a=0), "labels, ascending"),
        (dict(keys=[0, 1], a=0), "a map for each of 2 keys"),
        (dict(keys=[0, 1, 9], a=0, num_labels=9), "labels, ascending"),
        (dict(keys=[0, 1, 2], a=1), "sum to 1"),
    ],
)
def test_damaged_files_of_some_labels(tmp_path, content, message):
    image, _, _ = scene(SIZE)
    _, probs, _ = scene(SIZE, 3)
    maps = np.moveaxis(probs, -1, 0)
    arrays = {n: maps * (1 + v) if n in "ab" else np.asarray(v) for n, v in content.items()}
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npz"
    np.savez(p, **arrays)
    text = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, status=1)
    assert str(p) in text and message in text


@pytest.mark.parametrize("labels", [{"keys": [0, 2**33]}, {"keys": [0, 1], "num_labels": 2**33}])
def test_more_labels_than_fit_into_the_memory(tmp_path, labels):
    image, _, _ = scene(SIZE)
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npz"
    np.savez(p, **labels, energies=np.zeros((2, *SIZE), np.uint8))
    text = run("refine", i, p, "-o", tmp_path / "o.npy", *OPTIONS, status=1)
    assert "GiB of memory, and 16 are allowed" in text
    text = run("diagnose", i, p, *OPTIONS, status=1)
    assert str(p) in text and "GiB of memory, and 16 are allowed" in text
    with pytest.raises(ValueError, match="GiB of memory, and 16 are allowed"):
        crfrnn.unpack(p)
    if "num_labels" not in labels:  # more than 16 bits hold
        for o in ("o.png", "o.npz"):
            options = ["--packed"] if o == "o.npz" else []
            text = run("refine", i, p, "-o", tmp_path / o, *OPTIONS, *options, status=1)
            assert f"{o}: expected labels up to 65535" in text and "unfinished" not in text


def test_labels_that_two_bytes_cannot_hold(tmp_path):
    probs = np.zeros((1, 2, 70001), np.float32)
    probs[0, :, [1, 70000]] = 0.5
    with pytest.raises(ValueError, match=r"p\.npz: expected labels up to 65535\. Received 70000"):
        crfrnn.pack(tmp_path / "p.npz", probs)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["packed", "ones", "uint8", "logits"])
@pytest.mark.parametrize("guessed", [False, True])
def test_one_label_is_everywhere(tmp_path, kind, guessed):
    image, probs = small_scene()
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npz"
    options = ["--upsample", *([] if guessed else OPTIONS)]
    if kind == "packed":
        background = np.zeros((*SIZE, 4), np.float32)
        background[..., 0], background[..., 1] = 1 - 1e-6, 1e-6
        np.save(tmp_path / "p.npy", background)
        run("refine", i, tmp_path / "p.npy", "-o", p, *OPTIONS, "--packed", "--ignore-below=1e-3")
        assert crfrnn.unpack(p)[..., 0].all()
    elif kind == "ones":
        np.savez(p, keys=[2], maps=np.ones((1, 5, 7)))
    elif kind == "uint8":
        np.savez(p, keys=[2], maps=np.full((1, 5, 7), 255, np.uint8), num_labels=4)
    else:
        np.savez(p, keys=[2], maps=np.moveaxis(np.log(probs[..., :1]), -1, 0))
        options.append("--logits")
    (label,), count = np.load(p)["keys"], 4 if kind in ("packed", "uint8") else 3
    run("refine", i, p, "-o", tmp_path / "o.png", *options)
    assert np.all(read(tmp_path / "o.png") == label)
    run("refine", i, p, "-o", tmp_path / "o.npy", *options)
    np.testing.assert_array_equal(read(tmp_path / "o.npy").argmax(0), np.full(SIZE, label))
    assert read(tmp_path / "o.npy").shape == (count, *SIZE)


def test_one_map_that_is_not_everywhere(tmp_path):
    image, probs = small_scene()
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npz"
    np.savez(p, keys=[1], maps=np.moveaxis(probs[..., :1], -1, 0))
    text = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, "--upsample", status=1)
    assert "one label alone to be 1 everywhere" in text and "other labels" in text


def test_what_a_packed_file_says_itself(tmp_path):
    image, _, _ = scene(SIZE)
    _, probs, _ = scene(SIZE, 3)
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npz"
    crfrnn.pack(p, probs)
    for option in ("--logits", "--labels-as-probs=0.9", "--layout=last"):
        text = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, option, status=1)
        assert str(p) in text and f"leave out {option.partition('=')[0]}." in text


def test_no_pickle(tmp_path):
    image, _, _ = scene(SIZE)
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npz"
    np.savez(p, keys=np.array([0, 1]), cam=np.array([{}, {}], object))
    text = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, status=1)
    assert str(p) in text and "Python objects" in text
