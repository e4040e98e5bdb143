"""Points that do not count: those outside --mask, NaN, and what a GeoTIFF says to be no data."""

import json

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from crfrnn import diagnose, first_guess, refine, search
from crfrnn.offline.intensities import normalise
from tests.cli.scenes import (
    CRF,
    OPTIONS,
    SHAPE,
    SPACING,
    VOLUME,
    folder,
    nifti,
    picture,
    read,
    run,
    scene,
)
from tests.tolerances import FLOAT32, assert_close


def inside(shape):
    """An uneven part of the image."""
    mask = np.zeros(shape, bool)
    mask[tuple(slice(s // 5, s - s // 4) for s in shape)] = True
    return mask


@pytest.mark.parametrize("ending", [".png", ".npy"])
def test_points_outside_a_mask_take_no_part(tmp_path, ending):
    image, probs, _ = scene()
    mask = inside(SHAPE)
    i, p, m = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / f"m{ending}"
    np.save(p, probs)
    picture(m, mask.astype(np.uint8)) if ending == ".png" else np.save(m, 7 * mask)
    run("refine", i, p, "-o", tmp_path / "o.npy", "--mask", m, *OPTIONS)
    found = np.load(tmp_path / "o.npy")
    assert_close(found, refine(image, probs, mask=mask, **CRF), FLOAT32)
    assert_close(found[~mask], probs[~mask], FLOAT32)
    assert np.abs(found - refine(image, probs, **CRF))[mask].max() > 1e-3
    np.save(m.with_suffix(".npy"), mask[:4])
    wrong = ["-o", tmp_path / "x.npy", "--mask", m.with_suffix(".npy")]
    assert "a mask of the image's size (18, 24)" in run("refine", i, p, *wrong, status=1)
    np.save(m.with_suffix(".npy"), np.zeros(SHAPE))
    assert "some point that counts" in run("refine", i, p, *wrong, *OPTIONS, status=1)
    assert "two files, or two folders" in run("refine", i, p, *wrong[:3], tmp_path, status=2)


def test_masks_of_volumes_slice_by_slice(tmp_path):
    image, probs, _ = scene(VOLUME)
    mask = inside(VOLUME)
    i, p = nifti(tmp_path / "i.nii.gz", image), tmp_path / "p.npy"
    m = nifti(tmp_path / "m.nii.gz", mask.astype(np.uint8))
    np.save(p, probs)
    run("refine", i, p, "-o", tmp_path / "o.npy", "--mask", m, "--slice-axis=1", *OPTIONS)
    expected = probs.copy()
    for k in range(VOLUME[1]):
        if mask[:, k].any():
            part, likely, spacing = image[:, k], probs[:, k], (SPACING[0], SPACING[2])
            expected[:, k] = refine(part, likely, mask=mask[:, k], spacing=spacing, **CRF)
    assert_close(np.load(tmp_path / "o.npy"), expected, FLOAT32)


def test_masks_of_folders(tmp_path):
    arguments, _ = folder(tmp_path, 3)
    for number in range(2):
        picture(tmp_path / f"masks/case{number}.png", inside(SHAPE).astype(np.uint8))
    text = run(*arguments, "--mask", tmp_path / "masks", "--jobs=1", *OPTIONS)
    assert "Left out: case2: there is no mask" in text and "2 refined" in text
    image, probs, _ = scene(seed=1)
    expected = refine(image, probs, mask=inside(SHAPE), **CRF).argmax(-1)
    np.testing.assert_array_equal(read(tmp_path / "out/case1.png"), expected)
    picture(tmp_path / "masks/case1.png", np.ones(SHAPE, np.uint8))  # which counts as an input
    again = [*arguments, "--mask", tmp_path / "masks", *OPTIONS]
    assert "holds 1 results (case1.png)" in run(*again, status=1)


@pytest.mark.parametrize("kind", ["NaN", "GeoTIFF", "NaN and mask"])
@pytest.mark.parametrize("rescale", [False, True])
def test_points_without_data_take_no_part(tmp_path, kind, rescale):
    image, probs, _ = scene()
    there = inside(SHAPE)
    p, m = tmp_path / "p.npy", picture(tmp_path / "m.png", 1 + 0 * image)
    np.save(p, probs)
    if kind == "GeoTIFF":
        i = tmp_path / "i.tif"
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[42113] = "-9999"  # GDAL's
        Image.fromarray(np.where(there, image, np.int32(-9999))).save(i, tiffinfo=tags)
    else:
        i = tmp_path / "i.npy"
        np.save(i, np.where(there, image, np.float32(np.nan)))
    if kind == "NaN and mask":
        mask = there.copy()
        mask[:, : SHAPE[1] // 2] = False
        picture(m, mask.astype(np.uint8))
    else:
        mask = there
    given = ["--mask", m, *OPTIONS, *(["--rescale", "--theta-beta=0.2"] if rescale else [])]
    run("refine", i, p, "-o", tmp_path / "o.npy", *given)
    values, crf = image.astype(np.float32), CRF
    if rescale:
        values, crf = np.zeros_like(values), {**CRF, "theta_beta": 0.2}
        values[mask] = normalise(image[mask][:, None])[:, 0]
    expected = refine(values, probs, mask=mask, **crf)
    assert_close(np.load(tmp_path / "o.npy"), expected, FLOAT32)
    # The guess is not spoilt either.
    text = run("refine", i, p, "-o", tmp_path / "guessed.png", "--mask", m)
    guess = first_guess(np.where(mask, image, 0), probs, mask=mask)
    assert f"theta_beta         {guess['theta_beta']:.4g}  (guessed)" in text
    text = run("diagnose", i, p, "--mask", m, *OPTIONS)
    before, after = (q.argmax(-1)[mask] for q in (probs, refine(image, probs, mask=mask, **CRF)))
    last = text.split("changed\n")[1].split("\n\n")[0].split()[-1]
    assert last == f"{np.mean(before != after):.2%}"


def test_search_and_diagnose_leave_out_points_outside_masks_and_those_without_label(tmp_path):
    mask, truths, images, maps = inside(SHAPE), [], [], []
    arguments, _ = folder(tmp_path, 3, labels=2)
    for number in range(3):
        image, probs, truth = scene(labels=2, seed=number)
        truth[mask & (np.indices(SHAPE).sum(0) % 5 == 0)] = 255
        picture(tmp_path / f"labels/case{number}.png", np.where(mask, truth, 1 - truth // 255))
        picture(tmp_path / f"masks/case{number}.png", mask.astype(np.uint8))
        truths.append(truth), images.append(image), maps.append(probs)
    folders = [tmp_path / name for name in ("images", "probs", "labels")]
    best = tmp_path / "best.json"
    given = ["--trials=3", "-o", best, "--mask", tmp_path / "masks"]
    text = run("search", *folders, *given)
    expected = search(images, maps, truths, masks=[mask] * 3, unknown=255, trials=3, progress=False)
    assert str(expected) in text
    written = json.loads(best.read_text())
    assert written["parameters"] == expected.best
    assert written["search"]["score_before"] == expected.baseline
    assert written["search"]["metric"] == "dice"

    # What the search says of its gain is said again by whoever uses its parameters.
    one, several = ["refine", *(f / "case0.png" for f in folders[:1])], arguments[:3]
    one += [tmp_path / "probs/case0.npy", "-o", tmp_path / "o.png"]
    for command in (one, [*several, "-o", tmp_path / "out"]):
        text = run(*command, "--parameters", best)
        assert text.count(f"{expected.gain.mean:+.2f} dice on cases that had no part") == 1
        assert text.count(expected.verdict) == 1
    text = run("search", *folders[:2], folders[2] / "case0.png", "-o", best, status=2)
    assert "three files, or three folders" in text

    files = folders[0] / "case0.png", folders[1] / "case0.npy"
    labels = ["--labels", folders[2] / "case0.png", "--mask", tmp_path / "masks/case0.png"]
    text = run("diagnose", *files, *labels, *OPTIONS)
    found = diagnose(images[0], maps[0], truths[0], mask=mask, unknown=255, **CRF)
    assert str(found) in text and found.metrics["correct"][0] < 100


def test_search_and_diagnose_leave_out_nan_when_the_user_says_so(tmp_path):
    _, there = folder(tmp_path, 2, labels=2), inside(SHAPE)
    cases = [scene(labels=2, seed=number) for number in range(2)]
    for number, (_, probs, _) in enumerate(cases):
        nan = np.where(there[..., None], probs, np.float32(np.nan))
        np.save(tmp_path / f"probs/case{number}.npy", nan)
    images, maps, truths = zip(*cases, strict=True)
    folders = [tmp_path / name for name in ("images", "probs", "labels")]
    given = [*folders, "--trials=2", "-o", tmp_path / "best.json"]
    assert "add --nan-outside" in run("search", *given, status=1)
    how = dict(masks=[there] * 2, trials=2, progress=False)
    expected = search(list(images), list(maps), list(truths), unknown=255, **how)
    assert str(expected) in run("search", *given, "--nan-outside")

    one = [tmp_path / "images/case0.png", tmp_path / "probs/case0.npy"]
    one += ["--labels", tmp_path / "labels/case0.png"]
    assert "add --nan-outside" in run("diagnose", *one, status=1)
    crf = first_guess(images[0], maps[0], mask=there)
    for options in ([], OPTIONS):
        found = diagnose(
            images[0], maps[0], truths[0], mask=there, unknown=255, **(CRF if options else crf)
        )
        figure = ["-o", tmp_path / "why.png", "--overwrite"]
        assert str(found) in run("diagnose", *one, *options, *figure, "--nan-outside")


def test_an_image_of_nothing_but_nan(tmp_path):
    i, p = tmp_path / "i.npy", tmp_path / "p.npy"
    np.save(i, np.full(SHAPE, np.nan))
    np.save(p, scene()[1])
    assert "none but NaN" in run("refine", i, p, "-o", tmp_path / "o.png", status=1)


def test_infinite_intensities_may_be_saved_as_nan(tmp_path):
    i, p, m = (tmp_path / name for name in ("i.npy", "p.npy", "m.npy"))
    image, probs, _ = scene()
    image = image.astype(np.float32)
    image[1, 2] = np.inf
    np.save(i, image)
    np.save(p, probs)
    out = ["-o", tmp_path / "o.npy", *OPTIONS]
    text = run("refine", i, p, *out, status=1)
    assert f"infinite values at 1 of {image.size} points" in text and "as NaN" in text
    np.save(m, np.isfinite(image))
    run("refine", i, p, *out, "--mask", m)
    masked = np.load(tmp_path / "o.npy")
    np.save(i, np.where(np.isinf(image), np.nan, image))
    run("refine", i, p, *out, "--overwrite")
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), masked)


@pytest.mark.parametrize("layout", ["last", "first", "foreground"])
def test_probabilities_that_are_nan_are_left_out_when_the_user_says_so(tmp_path, layout):
    image, probs, _ = scene()
    if layout == "foreground":
        probs = np.stack([1 - probs[..., 1], probs[..., 1]], -1)
    there = inside(SHAPE)
    nan = np.where(there[..., None], probs, np.float32(np.nan))
    saved = {"last": nan, "first": np.moveaxis(nan, -1, 0), "foreground": nan[..., 1]}[layout]
    i, p = picture(tmp_path / "i.png", image), tmp_path / "p.npy"
    np.save(p, saved)
    m = picture(tmp_path / "m.png", there.astype(np.uint8))
    out = ["-o", tmp_path / "o.npy"]
    text = run("refine", i, p, *out, *OPTIONS, status=1)
    assert f"NaN at {(~there).sum()} of {there.size} points" in text and "--nan-outside" in text
    expected = refine(image, probs, mask=there, **CRF)
    expected[~there] = np.nan
    expected = {"last": expected, "first": np.moveaxis(expected, -1, 0)}.get(
        layout, expected[..., 1]
    )
    for given in (["--nan-outside"], ["--mask", m]):
        run("refine", i, p, *out, *given, *OPTIONS, "--overwrite")
        np.testing.assert_allclose(np.load(tmp_path / "o.npy"), expected, atol=FLOAT32)
    run("refine", i, p, "-o", tmp_path / "o.png", "--nan-outside")  # a guess is made of the rest
    assert not read(tmp_path / "o.png")[~there].any()
    # One that the mask does not leave out is unexpected again.
    nan[tuple(np.argwhere(there)[0])] = np.nan
    np.save(p, nan)
    text = run("refine", i, p, *out, "--mask", m, *OPTIONS, "--overwrite", status=1)
    assert "NaN at 1 of" in text
    np.save(p, 0 * probs + np.nan)
    text = run("refine", i, p, *out, "--nan-outside", *OPTIONS, "--overwrite", status=1)
    assert "none but NaN" in text


@pytest.mark.parametrize("odd", [np.nan, np.inf, 0.25])
def test_masks_of_anything_but_whole_numbers_are_refused(tmp_path, odd):
    image, probs, _ = scene()
    mask = inside(SHAPE).astype(np.float32)
    mask[0, 0], mask[3, 3] = 1e-6, 1 - 1e-6  # as resampling leaves them
    i, p, m = picture(tmp_path / "i.png", image), tmp_path / "p.npy", tmp_path / "m.npy"
    np.save(p, probs)
    np.save(m, mask)
    run("refine", i, p, "-o", tmp_path / "o.npy", "--mask", m, *OPTIONS)
    assert_close(read(tmp_path / "o.npy")[0, 0], probs[0, 0], FLOAT32)
    mask[1, 1] = odd
    np.save(m, mask)
    said = run("refine", i, p, "-o", tmp_path / "o2.npy", "--mask", m, *OPTIONS, status=1)
    assert "m.npy: expected a mask, whole numbers" in said and str(odd) in said
