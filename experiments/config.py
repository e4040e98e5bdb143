"""Every setting of a run, one comment per key, and how they are read from the command line."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one comparison; equal settings give equal results on one machine."""

    # --- data -----------------------------------------------------------------------------------
    dataset: str = "phantom"  # a name of data.names(), or a folder in the Decathlon's layout
    train_cases: int | None = None  # cases to train on, drawn anew by each seed; None = all
    validation_cases: int | None = None  # the first so many; None = all
    test_cases: int | None = None  # the first so many; None = all
    slice_axis: int = 0  # volumes are cut into slices across this axis (0 = sagittal in RAS)
    scale: float = 1.0  # images are resized by this factor first
    # What the training cases are labelled with: "full", or made from it by data.weak and the seed,
    # "scribbles", "points", "outlines". Validation and test cases keep their full labels.
    labels: str = "full"
    train_on: str = "train"  # "train", "val" or "train+val" cases

    # --- repetitions ----------------------------------------------------------------------------
    seeds: int = 4  # repetitions 0..seeds-1: initial weights, training cases, batch order
    threads: int = 1  # per process: small nets gain nothing from two, so seeds run side by side

    # --- networks -------------------------------------------------------------------------------
    network: str = "unet"  # a name of unet.names()
    # Rows of the table instead: NAME of unet.names(), or NAME+crfrnn; none = the main job's rows.
    models: tuple[str, ...] = ()
    # Networks take of the following what they have.
    # Channels of the first level where the paper has 64, which are for full-size images; those of
    # other networks in proportion (LiteSeg 96, the patch-wise CNN 48).
    width: int = 8
    depth: int = 3  # U-Net's poolings
    # Layers of the networks on a ResNet: 18 (not DeepLab v3), 34, 50, 101 or 152; None = as in the
    # paper, for which a processor without a GPU is too slow.
    resnet_depth: int | None = None
    # Between convolution and ReLU; None as in the paper. Not "group": on the hippocampus one of
    # four seeds then missed a label for 600 updates.
    normalization: str | None = "batch"
    dropout: float = 0.0  # in the two deepest levels

    # --- training -------------------------------------------------------------------------------
    batch_size: int = 8  # slices
    pretrain_steps: int = 300  # updates of the U-Net alone, which every row starts from
    further_steps: int = 150  # updates that every row gets after that
    checkpoint_steps: int = 50  # updates between two checkpoints (and points of the curves)
    learning_rate: float = 2e-3  # Adam's peak, after the warm-up, then cosine decay to 0
    further_learning_rate: float = 6e-4  # the same for the further updates
    warmup_steps: int = 50  # updates of linear warm-up
    clip_norm: float = 5.0  # the gradient of all weights together is scaled down to this norm
    flips: bool = False  # mirror each training slice along each axis at random
    jitter: float = 0.0  # training images times 1 + a, plus b, a and b up to this, per channel
    batch_order: int = 1  # 1..9; rows of one order see the same batches in their further updates
    pretrain_loss: str = "cross_entropy+dice"  # one of models.LOSSES, of the pre-training
    loss: str = "cross_entropy+dice"  # the same, of the unaries in the further updates
    # Weight of each point in the cross-entropy of the further updates: "none", "edges" of the
    # labels five times that of the rest, "classes" each label as much as any other.
    point_weights: str = "none"
    energy_weight: float = 0.0  # of crfrnn.DenseCRFLoss on the unaries; 0 = without

    # --- CRF ------------------------------------------------------------------------------------
    crf_learning_rate: float = 5e-3  # Adam's peak for the CRF's weights, which are of order 1..10
    crf_train_iterations: int = 5  # T while training: more makes gradients vanish
    crf_test_iterations: int = 10  # T for validation and test, offline and joint
    kernel_weights: str = "per_label"  # of CRFRNN: "full", "per_label" or "shared"
    # Of the compatibility matrix, from Potts on: "free", "symmetric", or "fixed", not trained.
    compatibility: str = "free"
    kernels: str = "both"  # or "bilateral", "spatial": the other has weight 0 and stays there
    trainable_thetas: bool = False  # learn the bandwidths, too
    crf_method: str = "lattice"  # of CRFRNN: "lattice", "exact" or "local"
    crf_window: int = 11  # points, of "local"
    refined_loss: str = "dice"  # one of models.LOSSES, of the CRF's output
    # theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight; empty = search them.
    crf: tuple[float, ...] = ()

    # --- search of the CRF's start values on the validation split --------------------------------
    search_trials: int = 40  # settings tried, "off" and the first guess included
    search_theta_alpha: tuple[float, float] = (1.0, 20.0)  # range in pixels
    search_theta_beta: tuple[float, float] = (0.02, 0.5)  # range in image intensity (0..1)
    search_theta_gamma: tuple[float, float] = (1.0, 4.0)  # range in pixels
    search_bilateral_weight: tuple[float, float] = (0.0, 10.0)  # range; 0 = off
    search_spatial_weight: tuple[float, float] = (0.0, 5.0)  # range; 0 = off

    # --- evaluation -----------------------------------------------------------------------------
    boundary_width_mm: float = 2.0  # the band of boundary Dice, to either side of the true boundary
    pictures: int = 5  # test cases shown, from the best change to the worst
    keep_models: bool = True  # save every trained model as .keras


CHOICES = {
    **dict.fromkeys(
        ("pretrain_loss", "loss", "refined_loss"),
        ("cross_entropy", "cross_entropy+dice", "cross_entropy+2dice", "dice"),
    ),
    "kernel_weights": ("full", "per_label", "shared"),
    "crf_method": ("lattice", "exact", "local"),
    "labels": ("full", "scribbles", "points", "outlines"),
    "train_on": ("train", "val", "train+val"),
    "point_weights": ("none", "edges", "classes"),
    "compatibility": ("free", "symmetric", "fixed"),
    "kernels": ("both", "bilateral", "spatial"),
}

RANGES = {
    **dict.fromkeys(("seeds", "threads", "batch_size", "checkpoint_steps"), (1, math.inf)),
    **dict.fromkeys(("pretrain_steps", "further_steps"), (1, math.inf)),
    "search_trials": (2, math.inf),  # "off" and the first guess
    "batch_order": (1, 9),
}

# What all rows of a run share.
OF_THE_RUN = (
    *("dataset", "train_cases", "validation_cases", "test_cases", "slice_axis", "scale"),
    *("seeds", "threads", "models", "batch_size", "pretrain_steps", "learning_rate"),
    *("boundary_width_mm", "pictures", "keep_models"),
)

OF_NETWORK = ("network", "width", "depth", "resnet_depth", "normalization", "dropout")
# What a pre-training depends on and a row may change: rows of equal ones share it.
OF_PRETRAINING = (*OF_NETWORK, "labels", "train_on", "pretrain_loss")


def make(preset: Mapping[str, Any]) -> Config:
    """A Config from the keys that differ from the defaults.

    Raises:
        ValueError: for an unknown key, naming the one probably meant.

    Example:
        >>> make({"dataset": "hippocampus"}).dataset
        'hippocampus'
    """
    known = [field.name for field in dataclasses.fields(Config)]
    for key in preset:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" Known keys: {', '.join(known)}."
            raise ValueError(f"Unknown configuration key {key!r}.{hint}")
    config = Config(**preset)
    for key, (low, high) in RANGES.items():
        if not low <= getattr(config, key) <= high:
            expected = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            raise ValueError(f"{key} must be {expected}. Received: {getattr(config, key)}")
    for key, choices in CHOICES.items():
        if getattr(config, key) not in choices:
            raise ValueError(f"{key} must be one of {choices}. Received: {getattr(config, key)!r}")
    if len(config.crf) not in (0, 5):
        raise ValueError(f"crf must be five numbers, or none. Received: {config.crf}")
    if len(set(config.models)) < len(config.models):
        raise ValueError(f"models must differ. Received: {', '.join(config.models)}")
    return config


def from_json(saved: Mapping[str, Any]) -> Config:
    """A Config from its JSON form, where tuples have become lists."""
    return make(as_settings(saved))


def as_settings(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from JSON or TOML, whose lists are tuples here."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in saved.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one option per key, e.g. ``--further-steps 400``; left out, the preset's value holds."""
    group = parser.add_argument_group("settings (defaults come from the preset)")
    for name, hint in typing.get_type_hints(Config).items():
        # "int | None" and "tuple[float, float]" both name the type of what the user types.
        kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType] or [hint]
        several = {"nargs": None, "metavar": kinds[0].__name__.upper()}
        if typing.get_origin(hint) is tuple and Ellipsis in kinds:
            several = {"nargs": "+", "metavar": kinds[0].__name__.upper()}
        elif typing.get_origin(hint) is tuple:
            several = {"nargs": 2, "metavar": ("LOW", "HIGH")}
        kind = _boolean if kinds[0] is bool else kinds[0]
        group.add_argument(
            "--" + name.replace("_", "-"),
            type=_or_none(kind) if types.NoneType in typing.get_args(hint) else kind,
            **several,
            default=argparse.SUPPRESS,
            dest=name,
        )


def from_arguments(preset: Mapping[str, Any], arguments: argparse.Namespace) -> Config:
    """The preset, changed by the options the user gave."""
    return make({**preset, **given(arguments)})


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings among the options the user gave."""
    keys = {field.name for field in dataclasses.fields(Config)}
    return as_settings({key: value for key, value in vars(arguments).items() if key in keys})


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"expected true or false, received {text!r}")
    return text.lower() == "true"


def _or_none(kind: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        return None if text.lower() == "none" else kind(text)

    parse.__name__ = kind.__name__  # argparse names it in its error messages
    return parse
