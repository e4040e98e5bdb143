"""The study: U-Net, U-Net + offline CRF and U-Net + CRF-RNN, compared fairly.

The way of the main job: compare (options, folders; runs keeps these) > studies (what is asked) >
repetition (one seed, in a process of its own: workers) > rows (how each row is made) > train
(inputs, models, loop) > score (metrics, stats) > show (tables, curves, pictures, pages). config
has every setting; results/ what is committed of finished studies.

Commands, as python -m experiments.<name>: compare, the main job and the studies; evaluate, a
trained model on other data; report and publish, from results to pages; and, behind
crfrnn.first_guess, first_guess_formulas (its constants, on made_up maps), unaries (what small
networks say) and first_guess (its rule of trust, and its results).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PACKAGES = {"unet": "registry.py", "data": "weak.py"}  # and a file that they have


def _refuse_others() -> None:
    """ImportError where a file unet.py or data.py of the user hides ours, in words that help."""
    for name, file in _PACKAGES.items():
        found = importlib.util.find_spec(name)
        folders = (found and found.submodule_search_locations) or []
        if found is not None and not any(Path(folder, file).exists() for folder in folders):
            raise ImportError(
                f"Expected the package {name} of this repository. Received {found.origin}, which "
                "hides it: Python looks into the working folder, and that of the script, first. "
                "Give that file another name, or work in another folder."
            )


_refuse_others()
