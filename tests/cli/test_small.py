"""Small files of probabilities: of fewer points, of some labels, of 8 bits."""

import json
import os

import numpy as np
import pytest

pytest.importorskip("click")

import crfrnn
from crfrnn import refine
from crfrnn.offline.upsampling import in_proportion, upsample
from tests.cli.scenes import CRF, OPTIONS, picture, read, run, scene
from tests.tolerances import EXACT, FLOAT16, FLOAT32, assert_close

SIZE = (40, 54)
STEP = np.exp(1 / 32) - 1  # half a step of a packed file


def interpolated(array, grid):
    """By np.interp, along one line after the other."""
    for axis, size in enumerate(grid):
        old = (np.arange(array.shape[axis]) + 0.5) / array.shape[axis]
        new = (np.arange(size) + 0.5) / size
        lines = [
            np.interp(new, old, line) for line in np.moveaxis(array, axis, -1).reshape(-1, len(old))
        ]
        rest = np.delete(array.shape, axis)
        array = np.moveaxis(np.reshape(lines, (*rest, size)), -1, axis)
    return array


@pytest.mark.parametrize("grid", [(13, 9), (5, 9), (40, 70), (7, 4, 6)])
def test_upsampling(grid):
    small = np.random.default_rng(0).uniform(size=(*(3, 4, 2)[: len(grid)], 5))
    assert_close(upsample(small, grid), interpolated(small, grid), FLOAT32)
    assert_close(upsample(small[:1], grid), interpolated(small[:1], grid), FLOAT32)


def test_proportions():
    for stride in (2, 4, 8, 16):
        for grid in ((375, 500), (480, 640), (333, 500)):
            assert in_proportion(tuple(-(-n // stride) for n in grid), grid)  # padded
            assert in_proportion(tuple(n // stride for n in grid), grid)
            assert in_proportion(tuple((n - 1) // stride + 1 for n in grid), grid)
            assert not in_proportion(tuple(-(-n // stride) for n in grid[::-1]), grid)
    assert not in_proportion((41, 41), (321, 500))  # squeezed to a square
    assert not in_proportion((960, 1280), (480, 640))


def small_scene(labels=4):
    image, _, _ = scene(SIZE, labels, channels=3)
    _, probs, _ = scene((5, 7), labels)
    return image, probs


@pytest.mark.parametrize("kind", ["float32", "float16", "uint8", "first", "logits"])
def test_probabilities_of_fewer_points(tmp_path, kind):
    image, probs = small_scene()
    array, options, tolerance = probs, ["--upsample"], FLOAT32
    expected = interpolated(probs, SIZE)
    if kind == "float16":
        array, tolerance = probs.astype(np.float16), 4 * FLOAT16
    elif kind == "uint8":
        array = np.rint(255 * probs).astype(np.uint8)
        expected = interpolated(array / array.sum(-1, keepdims=True), SIZE)
    elif kind == "first":
        array = np.moveaxis(probs, -1, 0)
    elif kind == "logits":  # upsampled before the softmax
        array, options = 3 * np.log(probs), [*options, "--logits"]
        expected = np.exp(interpolated(array, SIZE))
        expected /= expected.sum(-1, keepdims=True)
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "o.npy"
    np.save(p, array)
    expected = refine(image, expected, **CRF)
    run("refine", i, p, "-o", o, *OPTIONS, *options)
    found = np.moveaxis(read(o), 0, -1) if kind == "first" else read(o)
    assert_close(found, expected, tolerance)
    run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, *options)
    np.testing.assert_array_equal(read(tmp_path / "o.png"), found.argmax(-1))


def test_fewer_points_are_not_upsampled_unasked(tmp_path):
    image, probs = small_scene()
    i, p, o = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "o.png"
    np.save(p, probs)
    assert "add --upsample" in run("refine", i, p, "-o", o, *OPTIONS, status=1)
    np.save(p, probs.swapaxes(0, 1))
    assert "does not fit" in run("refine", i, p, "-o", o, *OPTIONS, "--upsample", status=1)
    # Of the size of the image they are what they were.
    _, probs, _ = scene(SIZE)
    np.save(p, probs)
    run("refine", i, p, "-o", o, *OPTIONS, "--upsample")
    np.testing.assert_array_equal(read(o), refine(image, probs, **CRF).argmax(-1))


def test_absent_labels_cost_nothing_in_the_command_either(tmp_path):
    image, few = small_scene(3)
    probs = np.full((5, 7, 30), 1e-5)
    probs[..., [0, 4, 22]] = few * (1 - 27e-5)
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npy"
    np.save(p, probs)
    whole = refine(image, interpolated(probs, SIZE), **CRF, ignore_below=1e-3)
    options = [*OPTIONS, "--upsample", "--ignore-below=1e-3"]
    run("refine", i, p, "-o", tmp_path / "o.npy", *options)
    assert_close(read(tmp_path / "o.npy"), whole, FLOAT32)
    run("refine", i, p, "-o", tmp_path / "o.png", *options)
    np.testing.assert_array_equal(read(tmp_path / "o.png"), whole.argmax(-1))
    run("refine", i, p, "-o", tmp_path / "o.npz", *options, "--packed")
    with np.load(tmp_path / "o.npz") as file:
        assert file["keys"].tolist() == [0, 4, 22] and file["num_labels"] == 30
        assert file["energies"].dtype == np.uint8 and file["energies"].shape == (3, *SIZE)
        codes = np.exp(file["energies"] / -16.0)
    np.testing.assert_allclose(
        codes / codes.sum(0), np.moveaxis(whole, -1, 0)[[0, 4, 22]], 0.07, 1e-3
    )


def test_pack_and_unpack(tmp_path):
    _, few = small_scene(3)
    probs = np.full((5, 7, 81), 1e-6)
    probs[..., [0, 4, 62]] = few * (1 - 78e-6)
    path = tmp_path / "p.npz"
    crfrnn.pack(path, probs)
    found = crfrnn.unpack(path)
    assert found.shape == (5, 7, 81) and found.dtype == np.float32
    assert not found[..., [1, 3, 80]].any()
    assert_close(found.sum(-1), np.ones((5, 7)), FLOAT32)
    np.testing.assert_allclose(found[..., [0, 4, 62]], probs[..., [0, 4, 62]], 2 * STEP)
    assert_close(crfrnn.unpack(path, SIZE), interpolated(found, SIZE), FLOAT32)
    with pytest.raises(ValueError, match=r"exists\. Add overwrite=True"):
        crfrnn.pack(path, probs)
    crfrnn.pack(path, probs, ignore_below=0, overwrite=True)
    assert (crfrnn.unpack(path) > 0).all()
    certain = np.zeros((5, 7, 3))
    certain[..., 1] = 1
    crfrnn.pack(path, certain, overwrite=True)  # a CRF has two labels
    with np.load(path) as file:
        assert len(file["keys"]) == 2
    assert (crfrnn.unpack(path).argmax(-1) == 1).all()
    with pytest.raises(ValueError, match=r"p\.npy: expected one of \.npz"):
        crfrnn.pack(tmp_path / "p.npy", probs)


def test_grids_and_probabilities_of_no_points(tmp_path):
    with pytest.raises(ValueError, match=r"of some point. Received shape \(0, 4, 2\)"):
        crfrnn.pack(tmp_path / "a.npz", np.zeros((0, 4, 2)))
    crfrnn.pack(tmp_path / "a.npz", np.full((3, 4, 2), 0.5))
    for grid in ((0, 4), (3, -4), (3, 4.5), (3, 4, 5)):
        with pytest.raises(ValueError, match=r"`grid` of 2 sizes, 1 or more\. Received"):
            crfrnn.unpack(tmp_path / "a.npz", grid)
    with pytest.raises(ValueError, match=r"GiB of memory, and 16 are allowed"):
        crfrnn.unpack(tmp_path / "a.npz", (10**6, 10**6))


def test_an_image_of_coco_s_size_takes_less_than_a_megabyte(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (60, 80, 4))
    some = np.exp(upsample(logits, (480, 640)) + rng.normal(0, 0.3, (480, 640, 4)))
    probs = np.full((480, 640, 81), 1e-5, np.float32)
    probs[..., [0, 3, 40, 62]] = (1 - 77e-5) * some / some.sum(-1, keepdims=True)
    crfrnn.pack(tmp_path / "p.npz", probs)
    assert os.path.getsize(tmp_path / "p.npz") < 1e6  # measured 0.85e6
    everything = rng.dirichlet(np.ones(81), (60, 80))  # as the network has it, all labels present
    crfrnn.pack(tmp_path / "q.npz", everything)
    assert os.path.getsize(tmp_path / "q.npz") < 0.4e6  # measured 0.28e6


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


def test_the_command_pack(tmp_path):
    (tmp_path / "probs").mkdir()
    expected = {}
    for number in range(3):
        _, probs, _ = scene((6, 9), 4, seed=number)
        expected[f"c{number}"] = probs
        np.save(tmp_path / f"probs/c{number}.npy", np.moveaxis(probs, -1, 0) if number else probs)
    (tmp_path / "probs/bad.npy").write_bytes(b"no array")
    out = tmp_path / "packed"
    text = run("pack", tmp_path / "probs", "-o", out, status=1)
    assert "3 packed" in text and "1 failed" in text and "Failed: bad.npy" in text
    for name, probs in expected.items():
        np.testing.assert_allclose(crfrnn.unpack(out / f"{name}.npz"), probs, 2 * STEP)
    (out / "c1.npz").unlink()
    (tmp_path / "probs/bad.npy").unlink()
    assert "1 packed" in (text := run("pack", tmp_path / "probs", "-o", out))
    assert "2 there already" in text and "0 failed" in text
    # Logits and a single file.
    p, o = tmp_path / "logits.npy", tmp_path / "one.npz"
    np.save(p, np.log(expected["c0"]))
    assert "Say which" in run("pack", p, "-o", o, "--logits", status=1)
    run("pack", p, "-o", o, "--logits", "--layout=last")
    assert_close(crfrnn.unpack(o), crfrnn.unpack(out / "c0.npz"), EXACT)
    assert "Add --overwrite" in run("pack", p, "-o", o, "--logits", "--layout=last", status=1)


def test_upsample_is_said_where_it_helps(tmp_path):
    image, probs = small_scene()
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npy"
    np.save(p, probs.swapaxes(0, 1))  # in no proportion
    for options in ([], ["--upsample"]):
        text = run("refine", i, p, "-o", tmp_path / "o.png", *OPTIONS, *options, status=1)
        assert "resize its probabilities" in text and "add --upsample" not in text
    volume, _, _ = scene((8, 10, 12))
    np.save(tmp_path / "v.npy", volume)
    np.save(p, scene((4, 5, 6))[1])
    text = run("refine", tmp_path / "v.npy", p, "-o", tmp_path / "o.tif", *OPTIONS, status=1)
    assert "does not fit" in text and "add --upsample" not in text


def test_searches_count_the_labels_of_all_files(tmp_path):
    from crfrnn.cli import command_search
    from crfrnn.cli.cases import Paths
    from crfrnn.cli.refining import Settings

    def count(*cases):
        paths = []
        for n, (keys, highest) in enumerate(cases):
            image, probs, truth = scene(labels=2, seed=n)
            p = tmp_path / f"p{n}.npz"
            np.savez(p, keys=keys, maps=np.moveaxis(probs, -1, 0))
            i = picture(tmp_path / f"i{n}.png", image)
            paths.append(Paths(f"{n}", (i,), p, picture(tmp_path / f"t{n}.png", truth * highest)))
        return [case.probs.shape[-1] for case in command_search._read(paths, Settings({}))]

    assert count(([0, 1], 1), ([0, 3], 3)) == [4, 4]
    assert count(([0, 1], 4), ([0, 3], 3)) == [5, 5]
    assert count(([0, 1], 255)) == [2]


def test_searches_read_packed_files(tmp_path):
    from crfrnn.cli import cases

    image, probs, truth = scene(SIZE, 3)
    everything = np.zeros((*SIZE, 5))
    everything[..., [0, 1, 3]] = probs
    crfrnn.pack(tmp_path / "p.npz", everything)
    i, t = picture(tmp_path / "i.png", image), picture(tmp_path / "t.png", truth)
    case = cases.read(cases.Paths("i", (i,), tmp_path / "p.npz", t))
    assert_close(case.probs, crfrnn.unpack(tmp_path / "p.npz"), EXACT)
