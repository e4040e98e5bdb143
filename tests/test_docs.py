"""What README and docs/ promise: their code and commands run, their links lead somewhere."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import crfrnn

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT / "docs", ROOT / "docs" / "results")
DOCS = [p for folder in FOLDERS for p in sorted(folder.glob("*.md")) if ".template" not in p.name]
PAGES = [ROOT / "README.md", *DOCS]
RUN_ELSEWHERE = {  # by tests that look at what comes out as well
    "README.md": "tests/test_readme.py",
    "conversion.md": "tests/test_conversion.py",
}
FENCES = re.compile(r"^(```+)([\w{} -]*)\n(.*?)^\1$", re.M | re.S)


def python_blocks(page: Path) -> list[str]:
    """Each starts with as many empty lines as make its errors name the right line of the page."""
    text = page.read_text("utf-8")
    return [
        "\n" * (text.count("\n", 0, match.start()) + 1) + match[3]
        for match in FENCES.finditer(text)
        if match[2] == "python"
    ]


def loading_blocks(page: Path) -> list[str]:
    """Those that load a model, which people run in another process than what saved it."""
    blocks = FENCES.finditer(page.read_text("utf-8"))
    loads = re.compile(r"models\.load_model\(|saved_model\.load\(|torch\.load\(")
    backend = os.environ["KERAS_BACKEND"]
    return [b[3] for b in blocks if b[2] in ("python", f"python {backend}") and loads.search(b[3])]


def commands(page: Path) -> Iterator[list[str]]:
    """The commands in its indented blocks, split into words."""
    text = FENCES.sub("", page.read_text("utf-8")).replace("\\\n", " ")
    for line in re.findall(r"^    ((?:crfrnn|make|pip|python|\.venv/bin/python) .*)$", text, re.M):
        yield shlex.split(line, comments=True)


def of_program(*programs: str) -> list:
    found = [(page, words) for page in PAGES for words in commands(page)]
    return [
        pytest.param(words, id=f"{page.name}: {' '.join(words)}")
        for page, words in found
        if words[0] in programs
    ]


# ---- Files that the pages speak of --------------------------------------------------------------


def scene(seed: int, shape: tuple[int, ...] = (20, 28)):
    """An image (0..255), probabilities (*S, 2) and labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(s // 4, 3 * s // 4) for s in shape)] = 1
    image = (60 + 90 * labels + rng.normal(0, 10, shape)).clip(0, 255).astype(np.uint8)
    logits = 2.0 * labels - 1 + rng.normal(0, 1.5, shape)
    return image, crfrnn.probs_from_logits(logits[..., None]), labels


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with everything that the commands name."""
    nibabel, pillow = pytest.importorskip("nibabel"), pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("made")
    volumes = ("imagesTr", "imagesTs", "labelsTr", "predictions", "validation")
    for name in ("images", "probs", "labels", *volumes):
        (folder / name).mkdir()

    names = [f"{number:02}" for number in (0, 1, 2, 3, 4, 5, 12, 17)]
    for seed, name in enumerate(names):
        image, probs, labels = scene(seed)
        pillow.fromarray(image).save(folder / f"images/{name}.png")
        pillow.fromarray(labels).save(folder / f"labels/{name}.png")
        np.save(folder / f"probs/{name}.npy", probs)
    for name in ("photo.jpg", "photo.png"):
        pillow.fromarray(image).save(folder / name)
    np.save(folder / "probs.npy", probs)
    if importlib.util.find_spec("zarr"):
        import zarr

        for name, array in (("slide", np.stack([image] * 3, -1)), ("probs", probs)):
            zarr.save_array(folder / f"{name}.zarr", array)

    def nifti(path, array):
        nibabel.Nifti1Image(array, np.diag([2.0, 1.0, 1.5, 1.0])).to_filename(folder / path)

    for number in range(3):
        image, probs, labels = scene(number, (10, 12, 8))
        nnunet = np.transpose(probs, (3, 2, 1, 0))  # (L, z, y, x)
        for images, predicted in (("imagesTr", "validation"), ("imagesTs", "predictions")):
            nifti(f"{images}/case{number}_0000.nii.gz", image)
            nifti(f"{predicted}/case{number}.nii.gz", labels)
            np.savez(folder / predicted / f"case{number}.npz", probabilities=nnunet)
        nifti(f"labelsTr/case{number}.nii.gz", labels)
    nifti("scan.nii.gz", image)
    np.savez(folder / "scan.npz", probabilities=nnunet)
    np.savez(folder / "v1.npz", softmax=nnunet[:, 1:7, 2:12, :9].astype(np.float16))
    (folder / "v1.pkl").write_bytes(pickle.dumps({"crop_bbox": [[1, 7], [2, 12], [0, 9]]}))

    thetas = dict(theta_alpha=5.0, theta_beta=30.0, theta_gamma=1.0)
    parameters = dict(**thetas, bilateral_weight=3.0, spatial_weight=1.0, normalization="after")
    (folder / "best.json").write_text(json.dumps({"parameters": parameters}))
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch) -> Path:
    """A copy of it, as the working directory."""
    copy = shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(copy)
    return copy


# ---- Code and commands --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [p for p in PAGES if p.name not in RUN_ELSEWHERE and python_blocks(p)],
    ids=lambda page: page.name,
)
def test_the_python_blocks_run_as_printed(page, folder):
    if page.name in ("parameters.md", "joint-training.md", "when-not.md"):
        pytest.importorskip("optuna")
    if page.name == "pytorch.md":
        pytest.importorskip("torch")
    names: dict = {"__name__": "__main__"}
    for block in python_blocks(page):
        exec(compile(block, str(page), "exec"), names)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    for block in loading_blocks(page):  # in a fresh process as well
        environment = os.environ | {"PYTHONPATH": path}
        subprocess.run([sys.executable, "-c", block], check=True, env=environment)


@pytest.mark.once
@pytest.mark.parametrize("words", of_program("crfrnn"))
def test_the_command_runs_as_printed(words, folder, monkeypatch):
    testing = pytest.importorskip("click.testing")
    from crfrnn.cli.commands import crfrnn as command

    words = words[1:]
    if words[0] == "search":
        pytest.importorskip("optuna")
        words = [*words, "--trials", "3"]  # the last one holds
    if any(".zarr" in word for word in words):
        pytest.importorskip("zarr")
    if words[0] == "explore":  # serves until it is stopped
        serve = pytest.importorskip("crfrnn.explorer.serve")
        monkeypatch.setattr(serve, "serve", lambda session, *args, **kwargs: session.parameters)
    if "-o" in words and (folder / words[words.index("-o") + 1]).is_file():
        (folder / words[words.index("-o") + 1]).unlink()
    result = testing.CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output


@pytest.mark.once
@pytest.mark.parametrize("words", of_program("make"))
def test_make_has_the_target(words):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets, variables = [], []
    for word in words[1:]:
        (variables if "=" in word else targets).append(word.split("=")[0])
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)
    assert all(re.search(rf"^{name} *\?=", makefile, re.M) for name in variables)


@pytest.mark.once
@pytest.mark.parametrize("words", of_program("python", ".venv/bin/python"))
def test_python_has_the_module_and_its_options(words, capsys):
    assert words[1] == "-m"
    module = words[2]
    assert importlib.util.find_spec(module)
    options = {word for word in words[3:] if word.startswith("--")}
    if options:
        with pytest.raises(SystemExit):
            importlib.import_module(module).main(["--help"])
        assert options <= set(re.findall(r"--[\w-]+", capsys.readouterr().out))


@pytest.mark.once
@pytest.mark.parametrize("words", of_program("pip"))
def test_pip_installs_what_there_is(words):
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    section = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    _, extras = re.fullmatch(r"(\.|crfrnn)(?:\[([\w,]+)\])?", words[-1]).groups()
    assert set((extras or "").split(",")) <= {"", *re.findall(r"^(\w+) = ", section, re.M)}


# ---- Links and completeness ---------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """What GitHub (and MyST) call its headings."""
    text = FENCES.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s", "-", heading.strip()) for heading in plain}


@pytest.mark.once
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository(page):
    text = FENCES.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}: there is no such file"
        if anchor:
            assert anchor in anchors(file), f"{page.name} links to {target}: no such heading"


@pytest.mark.once
def test_every_promise_has_tests_that_exist():
    text = (ROOT / "docs" / "limits.md").read_text("utf-8")
    promises = [line for line in text.splitlines() if re.match(r"\| (?!Promise)[^-]", line)]
    assert len(promises) > 25
    for promise in promises:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`( \(nightly\))?", promise)
        assert tests, promise
        for file, name, nightly in tests:
            found = re.search(
                rf"((?:^@.*\n(?:^[ )].*\n)*)*)^def {name}\(", (ROOT / file).read_text("utf-8"), re.M
            )
            assert found, f"{file}::{name}"
            assert ("mark.nightly" in found[1]) == bool(nightly), f"{file}::{name}"


def test_every_public_name_is_in_the_reference():
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    missing = [name for name in crfrnn.__all__ if f" crfrnn.{name}\n" not in text]
    assert missing == ["__version__"]


@pytest.mark.once
def test_numbers_of_results_are_those_of_the_tables():
    """So that a table made anew does not leave old numbers behind.

    Most numbers are written by `make table`. The others are in the table that the text links to.
    """
    lines = (ROOT / "docs" / "parameters.md").read_text("utf-8").splitlines()
    decimal = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.])")
    tables = {number for line in lines if line.startswith("|") for number in decimal.findall(line)}
    text = (ROOT / "docs" / "when-not.md").read_text("utf-8")
    section = text.split("## Numbers of this repository")[1].split("\n## ")[0]
    by_hand = re.sub(r"<!-- table: .*?<!-- /table -->|\(http.*?\)", "", section, flags=re.S)
    numbers = decimal.findall(by_hand)
    assert len(numbers) >= 8
    assert [number for number in numbers if number not in tables] == []


@pytest.mark.once
def test_the_site_builds_without_warnings(tmp_path):
    for module in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(module, reason="the extra `docs` has it")
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d"]
    done = subprocess.run(
        [*build, str(tmp_path / "cache"), str(ROOT / "docs"), str(tmp_path / "site")],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    api = (tmp_path / "site" / "api.html").read_text("utf-8")
    assert all(f'id="crfrnn.{name}"' in api for name in crfrnn.__all__ if name != "__version__")
