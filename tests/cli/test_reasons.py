"""What the command says about its guesses, and what it records."""

import json
import pickle

import numpy as np
import pytest

from crfrnn import first_guess, refine
from tests.cli.scenes import run
from tests.tolerances import FLOAT32, assert_close


def case(seen, seed=0):
    """A picture that shows the labels, or other things, and probabilities."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((40, 52), int)
    truth[8:30, 10:40] = 1
    shown = truth if seen else np.arange(52) % 4 // 2 * np.ones((40, 1), int)
    image = (60 + 100 * shown + rng.normal(0, 6, truth.shape)).clip(0, 255).astype("uint8")
    p = 0.2 + 0.6 * truth if seen else 0.2 + 0.6 * ((np.indices(truth.shape).sum(0) // 2) % 2)
    p = p + rng.normal(0, 0.02, truth.shape)
    return image, np.stack([1 - p, p], -1).astype("float32")


def write(folder, name, image, probs):
    for part, array in (("images", image), ("probs", probs)):
        (folder / part).mkdir(exist_ok=True)
        np.save(folder / part / f"{name}.npy", array)


@pytest.mark.parametrize("seen", [True, False])
def test_one_line_says_why_and_search_is_named_where_it_is_unsure(tmp_path, seen):
    image, probs = case(seen)
    write(tmp_path, "a", image, probs)
    guess = first_guess([image[..., None]], [probs])
    files = (tmp_path / "images/a.npy", tmp_path / "probs/a.npy")
    lines = run("refine", *files, "-o", tmp_path / "o.npy").splitlines()
    (line,) = [line for line in lines if guess.reasons in line]
    assert ("crfrnn search" in line) == (not seen) == (not guess.sure)
    refined = np.load(tmp_path / "o.npy")
    assert_close(refined, refine(image, probs, **guess), FLOAT32)
    if not seen:  # left as it was
        assert_close(refined, probs / probs.sum(-1, keepdims=True), FLOAT32)
    given = [f"--{name.replace('_', '-')}={v}" for name, v in list(guess.items())[:5]]
    assert guess.reasons not in run("refine", *files, "-o", tmp_path / "p.npy", *given)


def test_a_folder_ends_with_a_summary_and_records_what_was_used(tmp_path):
    for name, seen in (("a", True), ("b", False), ("c", False)):
        write(tmp_path, name, *case(seen, seed=ord(name)))
    command = ["refine", tmp_path / "images", tmp_path / "probs", "-o", tmp_path / "out"]
    text = run(*command, "--suffix=.npy", "--jobs=1")
    changed = {}
    for name in "abc":
        before, after = (np.load(tmp_path / part / f"{name}.npy") for part in ("probs", "out"))
        changed[name] = 100 * np.mean(before.argmax(-1) != after.argmax(-1))
    kept = list(changed.values()).count(0)
    median = np.median(list(changed.values()))
    assert kept >= 2  # those of which the image shows nothing
    assert f"median {median:.2f} %, from 0.00 to {max(changed.values()):.2f} %" in text
    assert f"Left as they were: {kept} of 3" in text
    assert (
        "not sure for 2 of 3 cases" in text
        and "leaves the CRF out for 2" in text
        and text.count("crfrnn search") == 1
    )

    record = {}
    for line in (tmp_path / "out/crfrnn-refine.jsonl").read_text().splitlines():
        entry = json.loads(line)
        record[entry["output"]] = entry["result"]
    for name in "abc":
        image, probs = (np.load(tmp_path / part / f"{name}.npy") for part in ("images", "probs"))
        used = record[f"{name}.npy"]["parameters"]
        assert used == first_guess([image], [probs])
        refined = refine(image, probs, **used)
        assert_close(np.load(tmp_path / "out" / f"{name}.npy"), refined, FLOAT32)
        assert record[f"{name}.npy"]["changed"] == pytest.approx(changed[name] / 100)
    assert "Complete already" in run(*command, "--suffix=.npy")  # what is recorded changes no plan


def test_a_guess_goes_to_other_processes_and_files_with_its_reasons():
    image, probs = case(True)
    guess = first_guess(image, probs)
    other = pickle.loads(pickle.dumps(guess))
    assert other == guess and (other.reasons, other.sure) == (guess.reasons, guess.sure)
    assert json.loads(json.dumps(guess)) == guess
    assert str(guess) == str(dict(guess))
