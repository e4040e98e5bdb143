"""Settings: unknown keys refused, command line and JSON round trips."""

import argparse
import dataclasses
import json

import pytest

from experiments import config
from experiments.options import add_options, given_options
from experiments.studies import main_job


def parse(*arguments, preset=None):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return config.make({**(preset or {}), **given_options(parser.parse_args(arguments))})


def test_unknown_key_is_refused_and_the_likely_one_named():
    with pytest.raises(ValueError, match=r"'widht'.*'width'"):
        config.make({"widht": 3})


def test_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse("--widht", "3")
    assert "--widht" in capsys.readouterr().err


def test_options_override_the_preset_and_the_preset_the_defaults():
    read = parse("--width", "5", preset={"width": 7, "depth": 2})
    assert (read.width, read.depth, read.batch_size) == (5, 2, config.Config().batch_size)


def test_options_have_the_type_of_their_key():
    read = parse("--train-cases", "4", "--search-theta-beta", "0.1", "0.2", "--clip-norm", "1")
    assert read.train_cases == 4
    assert read.search_theta_beta == (0.1, 0.2)
    assert read.clip_norm == 1.0
    assert parse("--scale", ".4").scale == 0.4 and parse("--clip-norm", "2.").clip_norm == 2.0
    assert parse("--train-cases", "none", preset={"train_cases": 3}).train_cases is None
    assert parse("--models", "fcn8s", "unet+crfrnn").models == ("fcn8s", "unet+crfrnn")


def test_impossible_values_are_refused():
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        config.make({"seeds": 0})
    with pytest.raises(ValueError, match=r"batch_order must be from 1 to 9. Received: 10"):
        config.make({"batch_order": 10})
    with pytest.raises(ValueError, match=r"loss must be one of .*'dice'"):
        config.make({"loss": "focal"})
    with pytest.raises(ValueError, match="models must differ"):
        config.make({"models": ("unet", "unet")})


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number. Received: nan"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0. Received: 0.0"),
        ({"jitter": -0.1}, "jitter must be at least 0. Received: -0.1"),
        ({"train_cases": "10"}, "train_cases must be a whole number or none. Received: '10'"),
        ({"crf": [-1, 1, 1, 1, 1]}, "`theta_alpha` to be positive numbers. Received -1"),
        ({"crf_window": 10}, "`window` to be a positive odd number"),
        ({"search_theta_alpha": [5, 1]}, "search_theta_alpha must be a range, low < high"),
        ({"crf_test_iterations": 10**30}, "crf_test_iterations must be from 0 to 10000. Received"),
        ({"pretrain_steps": 10**30}, "pretrain_steps must be from 1 to 1000000000. Received"),
        ({"seeds": True}, "seeds must be a whole number. Received: True"),
        ({"flips": 1}, "flips must be true or false. Received: 1"),
        ({"dataset": 3}, "dataset must be a text. Received: 3"),
        ({"search_theta_beta": [0.1]}, "search_theta_beta must be 2 values"),
        ({"search_theta_beta": [0.1, float("inf")]}, "each a finite number"),
        ({"models": "unet"}, "models must be several values. Received: 'unet'"),
        ({"crf": [1, 2, 3, 4, "5"]}, "crf must be values, each a finite number"),
        ({"tile": 1}, "tile must be 0, or at least 8 points, which are one in the network's"),
        (
            {"output_stride": 16},
            "output_stride must be 1, or of a U-Net at most 2**depth. Received",
        ),
        ({"output_stride": 2, "network": "fcn8s"}, "Received: 2, network='fcn8s', depth=3"),
        ({"output_stride": 3}, "output_stride must be one of (1, 2, 4, 8, 16, 32). Received: 3"),
        ({"crop": 15, "depth": 4}, "crop must be 0, or at least 16 points"),
        ({"tile": 16, "models": ["unet", "fcn8s+crfrnn"]}, "tile must be 0, or at least 32"),
    ],
)
def test_values_of_another_type_are_refused(settings, message):
    with pytest.raises(ValueError) as caught:
        config.make(settings)
    assert message in str(caught.value)


def test_every_option_says_what_it_means():
    parser = argparse.ArgumentParser()
    add_options(parser)
    told = {action.dest: action.help for action in parser._actions}
    assert all(told[field.name] for field in dataclasses.fields(config.Config))
    assert told["seeds"].startswith("repetitions 0..seeds-1")
    assert told["normalization"].endswith("missed a label for 600 updates.")


def test_json_round_trip():
    made = config.make({"search_theta_beta": (0.1, 0.2), "normalization": None})
    assert config.make(json.loads(json.dumps(dataclasses.asdict(made)))) == made


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("dataset", ["phantom", "hippocampus", "/some/folder"])
def test_every_preset_is_a_configuration(dataset, quick):
    preset = main_job.task(dataset, quick, {"width": 9}).config
    assert (preset.dataset, preset.width) == (dataset, 9)
    assert (preset.seeds < main_job.task(dataset, False, {}).config.seeds) == quick
