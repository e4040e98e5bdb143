"""A row of every kind, and settings with which they are quick."""

import functools

import keras

from experiments import config
from experiments.rows import Row

SETTINGS = config.make(
    {
        **{"width": 2, "depth": 1, "batch_size": 2, "pretrain_steps": 4, "further_steps": 4},
        **{"crf_train_iterations": 1, "crf_test_iterations": 2, "search_trials": 3},
        **{"train_cases": 2, "warmup_steps": 1, "keep_models": False, "flips": True},
    }
)


def without_xla(patch):
    """On TensorFlow, which takes 25 s to compile one network with it."""
    if keras.backend.backend() == "tensorflow":
        compiled = functools.partialmethod(keras.Model.compile, jit_compile=False)
        patch.setattr(keras.Model, "compile", compiled)


LEARN = {"learn_reference": True}

ALL_KINDS = {
    "plain": Row("plain", "", "network"),
    "weak": Row("weak", "", "network", settings={"labels": "scribbles", "loss": "cross_entropy"}),
    "pseudo": Row("pseudo", "", "pseudo", ("weak",), {"labels": "scribbles"}),
    "spread": Row("spread", "", "network", settings={"labels": "scribbles+walker"}),
    "both": Row("both", "", "network", settings={"train_on": "train+val"}),
    "edges": Row("edges", "", "network", settings={"point_weights": "edges"}),
    "balanced": Row("balanced", "", "network", settings={"point_weights": "classes"}),
    "bias": Row("bias", "", "bias", ("plain",)),
    "affine": Row("affine", "", "affine", ("plain",), {"train_on": "val"}),
    "flips": Row("flips", "", "flips", ("plain",)),
    "largest": Row("largest", "", "largest", ("plain",)),
    "offline": Row("offline", "", "offline", ("flips",)),
    "energy": Row("energy", "", "network", ("plain",), {"energy_weight": 2.0}),
    "joint": Row("joint", "", "joint", ("plain",), {"energy_weight": 1.0}),
    "one": Row("one", "", "offline", ("plain",), {"crf_test_iterations": 1}),
    "unaries": Row("unaries", "", "unaries", ("joint",)),
    "again": Row("again", "", "retest", ("joint",), {"crf_test_iterations": 0}),
    "crf": Row("crf", "", "crf", ("plain",), {"crf": (2.0, 0.2, 1.0, 3.0, 1.0)}),
    "symmetric": Row("symmetric", "", "joint", ("plain",), {"compatibility": "symmetric"}),
    "fixed": Row("fixed", "", "joint", ("plain",), {"compatibility": "fixed"}),
    "spatial": Row("spatial", "", "joint", ("plain",), {"kernels": "spatial"}),
    "thetas": Row("thetas", "", "joint", ("plain",), {"trainable_thetas": True}),
    "by_probs": Row("by_probs", "", "offline", ("bias",), {"reference": "image+probabilities"}),
    "by_features": Row("by_features", "", "offline", ("plain",), {"reference": "features"}),
    "joint_probs": Row(
        "joint_probs", "", "joint", ("plain",), {"reference": "image+probabilities"} | LEARN
    ),
    "followed": Row("followed", "", "joint", ("plain",), {"reference": "features"}),
    "embedding": Row("embedding", "", "joint", ("plain",), {"reference": "features"} | LEARN),
    "pulled": Row(
        *("pulled", "", "joint", ("plain",)),
        {"reference": "features", "crf": (2.0, 0.2, 1.0, 3.0, 1.0)} | LEARN,
    ),
    "best": Row("best", "", "best", ("plain", "bias", "joint")),
    "guided": Row("guided", "", "guided", ("plain",)),
    "walker": Row("walker", "", "walker", ("plain",)),
    "forest": Row("forest", "", "forest"),
    "forest_offline": Row("forest_offline", "", "offline", ("forest",)),
}
