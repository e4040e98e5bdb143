"""Small files of probabilities: of fewer points, of 8 bits."""

import os

import numpy as np
import pytest

pytest.importorskip("click")

import crfrnn
from crfrnn import refine
from crfrnn.offline.upsampling import in_proportion, upsample
from tests.cli.scenes import CRF, OPTIONS, picture, read, run, scene
from tests.cli.small import SIZE, interpolated, small_scene
from tests.tolerances import EXACT, FLOAT16, FLOAT32, assert_close

STEP = np.exp(1 / 32) - 1  # half a step of a packed file


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
