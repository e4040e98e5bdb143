"""`experiments.evaluate` on models that are damaged, or none of a run's: one line, no numbers."""

import dataclasses
import io
import zipfile

import keras
import numpy as np
import pytest

from experiments import evaluate, runs
from experiments.config import Config
from tests.experiments.report.made_up import make_data


def network(channels=3, labels=3):
    image = keras.Input((None, None, channels))
    return keras.Model(image, keras.layers.Conv2D(labels, 3, padding="same")(image))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Of a run on twelve RGB images of three labels."""
    folder = tmp_path_factory.mktemp("run")
    make_data(folder / "images")
    config = Config(dataset=str(folder / "images"), train_cases=3, width=2, depth=1)
    content = {"config": dataclasses.asdict(config), "backend": keras.backend.backend()}
    runs.write_json(folder / "run" / "run.json", content)
    path = folder / "run" / "seed-0" / "plain.keras"
    path.parent.mkdir()
    network().save(path)
    return path


@pytest.fixture
def copy(model, tmp_path):
    """The same, to damage."""
    runs.write_json(tmp_path / "run.json", runs.read_json(model.parents[1] / "run.json"))
    path = tmp_path / "seed-0" / "plain.keras"
    path.parent.mkdir()
    path.write_bytes(model.read_bytes())
    return path


def refusal(path, capsys, *more):
    with pytest.raises(SystemExit) as end:
        evaluate.main([str(path), *more])
    written = capsys.readouterr()
    assert end.value.code == 2 and not written.out and str(path) in written.err
    return written.err


def test_a_whole_model_is_evaluated(model, capsys):
    assert evaluate.main([str(model)]) == 0
    assert "| unaries | " in capsys.readouterr().out


def members(content):
    """What a model is made of; {} of what is no archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return {name: file.read(name) for name in file.namelist()}
    except Exception:
        return {}


def damages(content):
    """Cut off, a bit changed, a part overwritten or left out, and wholly something else."""
    rng = np.random.default_rng(5)
    at = rng.integers(1, len(content), 36).tolist()
    yield from (content[:end] for end in at[:10])
    for place in at[10:26]:
        bit = bytes([content[place] ^ 1 << place % 8])
        damaged = content[:place] + bit + content[place + 1 :]
        if members(damaged) != members(content):  # not all bits of an archive mean something
            yield damaged
    yield from (content[:place] + b"?" * 99 + content[place + 99 :] for place in at[26:31])
    yield from (content[:place] + content[place + 5 :] for place in at[31:])
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("letter.txt", "To whom it may concern")
    yield from (b"", bytes(1000), b"\x89PNG\r\n\x1a\n" + bytes(99), archive.getvalue())


def test_a_damaged_model_is_named_and_gives_no_numbers(copy, capsys):
    found = [*damages(copy.read_bytes())]
    assert len(found) > 30
    for content in found:
        copy.write_bytes(content)
        text = refusal(copy, capsys)
        assert "is damaged" in text and "--repair" in text and "experiments.compare" in text


def test_keras_itself_gives_no_numbers_of_a_damaged_model(copy):
    """So that what the documentation shows, `keras.models.load_model`, is safe."""
    for content in damages(copy.read_bytes()):
        copy.write_bytes(content)
        with pytest.raises(Exception):  # noqa: B017  Keras has none of its own for it
            keras.models.load_model(copy)


@pytest.mark.parametrize(
    "other, said",
    [
        (lambda: network(channels=1), r"(B, H, W, 3) to logits (B, H, W, 3)"),
        (lambda: network(labels=2), r"to (None, None, None, 2)"),
        (
            lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)]),
            "from others to others",
        ),
        (lambda: keras.Model((one := network()).input, {"mask": one.output}), "to others"),
    ],
)
def test_models_that_are_none_of_a_run(copy, capsys, other, said):
    other().save(copy)
    text = refusal(copy, capsys)
    assert "do not fit together" in text and said in " ".join(text.split())


def test_a_model_that_keras_cannot_load(copy, capsys):
    parts = members(copy.read_bytes())
    parts["config.json"] = parts["config.json"].replace(b"Conv2D", b"Convoy")
    with zipfile.ZipFile(copy, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    assert "Keras said: " in refusal(copy, capsys)


def test_other_mistakes(copy, capsys, tmp_path):
    assert "is no model of a run" in refusal(copy.parent, capsys)
    with pytest.raises(SystemExit):
        evaluate.main([str(copy), "--dataset", str(tmp_path / "nowhere")])
    assert "nowhere" in capsys.readouterr().err
    runs.write_json(tmp_path / "run.json", {"config": {"dataset": "phantom"}})
    assert "is no model of a run" in refusal(copy, capsys)
    runs.write_json(tmp_path / "run.json", {"config": {"width": "wide"}, "backend": "jax"})
    with pytest.raises(SystemExit):
        evaluate.main([str(copy)])
    assert "width" in capsys.readouterr().err
