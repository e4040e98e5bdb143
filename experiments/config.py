"""Every setting of a run: its type, its range, its default, and what it means."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from crfrnn import checks
from crfrnn.meanfield.parameters import MOST_ITERATIONS, NAMES, WEIGHTS, declared
from crfrnn.parameters.trials import MOST_TRIALS

# Numbers with the smallest and the largest that they may be.
ABOVE_0 = math.ulp(0.0)
LARGEST = 10**9  # more than any memory holds, or anybody waits for
Count = Annotated[int, 1, LARGEST]
Whole = Annotated[int, 0, LARGEST]
Iterations = Annotated[int, 0, MOST_ITERATIONS]
Positive = Annotated[float, ABOVE_0, math.inf]
AtLeast0 = Annotated[float, 0, math.inf]
Loss = Literal["cross_entropy", "cross_entropy+dice", "cross_entropy+2dice", "dice"]


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one comparison; equal settings give equal results on one machine."""

    # --- data -----------------------------------------------------------------------------------
    dataset: str = "phantom"  # a name of data.names(), or a folder in the Decathlon's layout
    train_cases: Count | None = None  # cases to train on, drawn anew by each seed; None = all
    validation_cases: Count | None = None  # the first so many; None = all
    test_cases: Count | None = None  # the first so many; None = all
    # Take so many cases in turn from all groups of a split (frames of all drives, where neighbours
    # look alike), and not group after group.
    spread_cases: bool = False
    # Cross-validation: the groups are dealt into so many parts; seed s is tested on part s, from
    # the first again after the last, and trained and validated on the others. None = all seeds are
    # tested on the same cases.
    folds: Annotated[int, 2, LARGEST] | None = None
    # volumes are cut into slices across this axis (0 = sagittal in RAS)
    slice_axis: Annotated[int, 0, 2] = 0
    # Networks and CRFs see volumes whole, in 3-D; what is drawn is still a slice.
    volumes: bool = False
    scale: Positive = 1.0  # images are resized by this factor first
    # What the training cases are labelled with: "full", or made from it by data.weak and the seed,
    # "scribbles", "points", "outlines"; "scribbles+walker" and "points+walker" spread by a random
    # walker to every point. Validation and test cases keep their full labels.
    labels: Literal[
        "full", "scribbles", "points", "outlines", "scribbles+walker", "points+walker"
    ] = "full"
    # How strongly edges hold up that walker; 0 = as serves such labels of validation cases best.
    walker_beta: AtLeast0 = 130.0
    train_on: Literal["train", "val", "train+val"] = "train"  # "train", "val" or "train+val" cases

    # --- repetitions ----------------------------------------------------------------------------
    seeds: Count = 4  # repetitions 0..seeds-1: initial weights, training cases, batch order
    threads: Count = 1  # per process: small nets gain nothing from two, so seeds run side by side

    # --- networks -------------------------------------------------------------------------------
    network: str = "unet"  # a name of unet.names()
    # Rows of the table instead: NAME of unet.names(), or NAME+crfrnn; none = the main job's rows.
    models: tuple[str, ...] = ()
    # Networks take of the following what they have.
    # Channels of the first level where the paper has 64, which are for full-size images; those of
    # other networks in proportion (LiteSeg 96, the patch-wise CNN 48).
    width: Count = 8
    depth: Count = 3  # U-Net's poolings
    # Points between two of the U-Net's logits, which are enlarged; 1 = a logit for every point
    output_stride: Literal[1, 2, 4, 8, 16, 32] = 1
    # Layers of the networks on a ResNet: 18 (not DeepLab v3), 34, 50, 101 or 152; None = as in the
    # paper, for which a processor without a GPU is too slow.
    resnet_depth: Literal[18, 34, 50, 101, 152] | None = None
    # Between convolution and ReLU; None as in the paper. Not "group": on the hippocampus one of
    # four seeds then missed a label for 600 updates.
    normalization: str | None = "batch"
    dropout: Annotated[float, 0, 1] = 0.0  # in the two deepest levels

    # --- training -------------------------------------------------------------------------------
    batch_size: Count = 8  # slices
    pretrain_steps: Count = 300  # updates of the U-Net alone, which every row starts from
    further_steps: Count = 150  # updates that every row gets after that
    checkpoint_steps: Count = 50  # updates between two checkpoints (and points of the curves)
    learning_rate: Positive = 2e-3  # Adam's peak, after the warm-up, then cosine decay to 0
    further_learning_rate: Positive = 6e-4  # the same for the further updates
    warmup_steps: Whole = 50  # updates of linear warm-up
    clip_norm: Positive = 5.0  # the gradient of all weights together is scaled down to this norm
    # side in points of the square or cube, at a random place, that a training slice gives to a
    # batch; 0 = whole slices, the smaller ones padded to the largest. Validation and test see whole
    # slices.
    crop: Whole = 0
    # side in points of the overlapping tiles, blended, in which networks see larger slices of
    # validation and test; a CRF behind them sees the whole. 0 = whole slices
    tile: Whole = 0
    flips: bool = False  # mirror each training slice along each axis at random
    # Turn each by up to so many degrees, a volume about any axis. Distances count in points: not
    # for unequal spacings.
    rotate: Annotated[float, 0, 180] = 0.0
    zoom: AtLeast0 = 0.0  # make each larger or smaller by up to this share of its size
    jitter: AtLeast0 = 0.0  # training images times 1 + a, plus b, a and b up to this, per channel
    # 1..9; rows of one order see the same batches in their further updates
    batch_order: Annotated[int, 1, 9] = 1
    pretrain_loss: Loss = "cross_entropy+dice"  # one of models.LOSSES, of the pre-training
    loss: Loss = "cross_entropy+dice"  # the same, of the unaries in the further updates
    # Weight of each point in the cross-entropy of the further updates: "none", "edges" of the
    # labels five times that of the rest, "classes" each label as much as any other.
    point_weights: Literal["none", "edges", "classes"] = "none"
    energy_weight: AtLeast0 = 0.0  # of crfrnn.DenseCRFLoss on the unaries; 0 = without

    # --- CRF ------------------------------------------------------------------------------------
    # Adam's peak for the CRF's weights, which are of order 1..10
    crf_learning_rate: Positive = 5e-3
    # T while training: more makes gradients vanish
    crf_train_iterations: Iterations = 5
    # T for validation and test, offline and joint
    crf_test_iterations: Iterations = 10
    # of CRFRNN: "full", "per_label" or "shared"
    kernel_weights: Literal["full", "per_label", "shared"] = "per_label"
    # Of the compatibility matrix, from Potts on: "free", "symmetric", or "fixed", not trained.
    compatibility: Literal["free", "symmetric", "fixed"] = "free"
    # or "bilateral", "spatial": the other has weight 0 and stays there
    kernels: Literal["both", "bilateral", "spatial"] = "both"
    trainable_thetas: bool = False  # learn the bandwidths, too
    # of CRFRNN and of the energy: "lattice", "exact" or "local"
    crf_method: Literal["lattice", "exact", "local"] = "lattice"
    crf_window: Count = 11  # points, of "local"
    # What the bilateral kernel compares pixels by: "image"; "image+probabilities", those of the
    # network, too; "features", the principal components of what its last convolution sees.
    reference: Literal["image", "image+probabilities", "features"] = "image"
    # Whether a CRF that trains with its network passes a gradient to what the network says or sees.
    learn_reference: bool = False
    refined_loss: Loss = "dice"  # one of models.LOSSES, of the CRF's output
    # theta_alpha, theta_beta, theta_gamma, bilateral_weight, spatial_weight; empty = search them.
    crf: tuple[float, ...] = ()

    # --- search of the CRF's start values on the validation split --------------------------------
    # settings tried, "off" and the first guess included
    search_trials: Annotated[int, 2, MOST_TRIALS] = 40
    search_theta_alpha: tuple[Positive, Positive] = (1.0, 20.0)  # range in pixels
    search_theta_beta: tuple[Positive, Positive] = (0.02, 0.5)  # range in image intensity (0..1)
    search_theta_gamma: tuple[Positive, Positive] = (1.0, 4.0)  # range in pixels
    search_bilateral_weight: tuple[AtLeast0, AtLeast0] = (0.0, 10.0)  # range; 0 = off
    search_spatial_weight: tuple[AtLeast0, AtLeast0] = (0.0, 5.0)  # range; 0 = off

    # --- evaluation -----------------------------------------------------------------------------
    # the band of boundary Dice, to either side of the true boundary
    boundary_width_mm: Positive = 2.0
    pictures: Whole = 5  # test cases shown, from the best change to the worst
    keep_models: bool = True  # save every trained model as .keras


# What all rows of a run share.
OF_THE_RUN = (
    *("dataset", "train_cases", "validation_cases", "test_cases", "spread_cases"),
    *("slice_axis", "volumes", "folds", "scale"),
    *("seeds", "threads", "models", "batch_size", "pretrain_steps", "learning_rate"),
    *("boundary_width_mm", "pictures", "keep_models", "tile"),
)

OF_NETWORK = (
    *("network", "width", "depth", "output_stride", "resnet_depth", "normalization", "dropout"),
)
# What a pre-training depends on and a row may change: rows of equal ones share it.
OF_PRETRAINING = (*OF_NETWORK, "labels", "walker_beta", "train_on", "pretrain_loss")

# Of each key, with its range.
HINTS = typing.get_type_hints(Config, include_extras=True)


def make(settings: Mapping[str, Any]) -> Config:
    """A Config from the keys that differ from the defaults.

    Raises ValueError for an unknown key, naming the one probably meant, and for a value of another
    type or out of range. Lists, of JSON and TOML, are tuples here.

    Example:
        >>> make({"dataset": "hippocampus"}).dataset
        'hippocampus'
    """
    for key in settings:
        if key not in HINTS:
            close = difflib.get_close_matches(key, HINTS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known keys: {', '.join(HINTS)}."
            raise ValueError(f"Unknown configuration key {key!r}. {hint}")
    config = Config(**as_settings(settings))
    for key, hint in HINTS.items():
        value = getattr(config, key)
        if expected := _unfit(value, hint):
            raise ValueError(f"{key} must be {expected}. Received: {value!r}")
    if len(config.crf) not in (0, 5):
        raise ValueError(f"crf must be five numbers, or none. Received: {config.crf}")
    try:
        window = {"window": config.crf_window}
        checks.fit(declared("window"), dict(zip(NAMES, config.crf, strict=False)) | window, {})
    except ValueError as error:
        raise ValueError(f"crf and crf_window: {error}") from None
    for name in NAMES:
        low, high = getattr(config, f"search_{name}")
        if not low < high and not (name in WEIGHTS and low == high == 0):
            raise ValueError(f"search_{name} must be a range, low < high. Received: {low}, {high}")
    if config.folds and config.test_cases is not None:
        raise ValueError(
            f"folds={config.folds} test on all cases in turn: leave test_cases out. "
            f"Received: {config.test_cases}"
        )
    if config.volumes and (unfit := _flat(config)):
        raise ValueError(f"volumes: {unfit}")
    if config.reference != "image" and config.tile:
        raise ValueError(
            f"reference={config.reference!r} needs whole slices, tile=0. Received: {config.tile}"
        )
    if config.output_stride > (2**config.depth if config.network == "unet" else 1):
        raise ValueError(
            "output_stride must be 1, or of a U-Net at most 2**depth. "
            f"Received: {config.output_stride}, network={config.network!r}, depth={config.depth}"
        )
    least = _coarsest(config)
    for key in ("crop", "tile"):
        if 0 < getattr(config, key) < least:
            raise ValueError(
                f"{key} must be 0, or at least {least} points, which are one in the network's "
                f"coarsest features. Received: {getattr(config, key)}"
            )
    if len(set(config.models)) < len(config.models):
        raise ValueError(f"models must differ. Received: {', '.join(config.models)}")
    return config


def _flat(config: Config) -> str | None:
    """What of a configuration is for images (H, W) only, and what to do."""
    networks = {model.partition("+")[0] for model in config.models} or {config.network}
    if networks != {"unet"}:
        return f"expected network='unet', the others are 2-D. Received: {', '.join(networks)}"
    if config.output_stride > 1:
        return f"expected output_stride=1 in 3-D. Received: {config.output_stride}"
    if config.point_weights == "edges":
        return "point_weights='edges' are of images (H, W). Use 'classes' or 'none'."
    return None


def _coarsest(config: Config) -> int:
    """Points of the image, along an axis, to one of the coarsest features of the networks."""
    names = [model.partition("+")[0] for model in config.models] or [config.network]
    return 2**config.depth if {*names} == {"unet"} else 32  # of VGG and ResNet


def as_settings(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from JSON or TOML, whose lists are tuples here."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in saved.items()}


def _unfit(value: Any, hint: Any) -> str | None:
    """What a type hint expects where the value is something else; None where it fits."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        kind, low, high = parts
        if (unfit := _unfit(value, kind)) or low <= value <= high:
            return unfit
        least = "above 0" if low == ABOVE_0 else f"at least {low}"
        return least if value < low and high >= MOST_ITERATIONS else f"from {low} to {high}"
    if origin is Literal:
        return None if value in parts else f"one of {parts}"
    if origin in (typing.Union, types.UnionType):
        found = [_unfit(value, part) for part in parts]
        return None if None in found else " or ".join(map(str, found))
    if origin is tuple:
        kinds = [parts[0]] * len(value) if isinstance(value, tuple) and Ellipsis in parts else parts
        if not isinstance(value, tuple) or len(value) != len(kinds):
            return "several values" if Ellipsis in parts else f"{len(parts)} values"
        found = [_unfit(one, kind) for one, kind in zip(value, kinds, strict=True)]
        return next((f"values, each {text}" for text in found if text), None)
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if number and math.isfinite(value) else "a finite number"
    names = {int: "a whole number", bool: "true or false", str: "a text", types.NoneType: "none"}
    return None if type(value) is hint else names[hint]
