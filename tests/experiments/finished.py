"""A finished study, made up, with numbers that are known."""

from __future__ import annotations

import numpy as np

CASES = 12
ENVIRONMENT = {
    **{"backend": "jax", "python": "3.12.1", "packages": {"keras": "3.15"}},
    **{"commit": "abc", "machine": "a machine", "cores": 2, "seconds": 1800},
}
ROWS = {
    name: {"title": title, "meaning": "what it is", "kind": kind, "of": of, "settings": {}}
    for name, title, kind, of in (
        ("plain", "U-Net", "network", []),
        ("again", "U-Net again", "network", []),
        ("offline", "offline CRF", "offline", ["plain"]),
        ("joint", "CRF-RNN", "joint", ["plain"]),
    )
}


def result(dice, **details):
    """A row of one seed as a run leaves it: every other metric follows from Dice."""
    return {
        "cases": [
            {
                **{"id": f"case{index}", "group": f"patient{index}", "dice": float(value)},
                **{"boundary_accuracy": value - 10, "hd95": 5.0, "dice_1": value, "changed": 0.0},
                **{"published_iu": 50.0, "published_dsc": 60.0, "published_pa": 70.0},
            }
            for index, value in enumerate(dice)
        ],
        **details,
    }


def finished(train_cases=(5, 20), seeds=3):
    """A study as a run leaves it. The offline CRF gains 1.5 to 2.5 in every case, the repeat and
    the joint training change next to nothing."""
    cases, settings = np.arange(CASES), {}
    for number in train_cases:
        of_seeds = []
        for seed in range(seeds):
            plain = 80.0 + cases + seed
            plain[0] = np.nan  # no foreground there
            wave = np.cos(cases + seed).round(2)  # between -1 and 1
            crf = {
                "spatial": [1, 1],
                "bilateral": [5 + seed, 5],
                "compatibility": [[-1, 0], [0, -1]],
            }
            thetas = {"theta_alpha": 8.0, "theta_beta": [0.1, 0.2], "theta_gamma": 2.0}
            history = [
                {"step": s, "loss": 1.0, "crf": {**crf, **thetas, "theta_alpha": 7.0}}
                for s in (100, 200)
            ]
            best = {**thetas, "bilateral_weight": 4.0, "spatial_weight": 2.0}
            search = {"best": best, "off": 80.0, "best_dice": 82.0, "use": True}
            offline = result(plain + 2 + wave / 2, search=search, unaries_dice=list(plain))
            for case in offline["cases"]:
                case["changed"] = 0.25
            of_seeds.append(
                {
                    "plain": result(plain, history=[{"step": 100, "loss": 1.0}]),
                    "again": result(plain + wave / 10),
                    "offline": offline,
                    "joint": result(plain - wave / 10, history=history, search=search),
                }
            )
        settings[f"made-up-{number}"] = {
            "config": {"dataset": "made-up", "train_cases": number, "models": []},
            **ENVIRONMENT,
            "rows": [*ROWS],
            "seeds": of_seeds,
        }
    differences = [["again", "plain"], ["offline", "plain"], ["joint", "offline"]]
    about = {"name": "tiny", "title": "Tiny", "text": "What for?", "reference": "plain"}
    return {"study": {**about, "rows": ROWS, "differences": differences}, "settings": settings}
