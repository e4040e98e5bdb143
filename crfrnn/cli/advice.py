"""What to do about probabilities whose axes fit an image in no way, or in several."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from crfrnn.cli.fitting import CHANNELS, Layout, candidates, small_grids, sums_to_one

_MEANS = {
    "last": "{0} labels last",
    "first": "{0} labels first",
    "reversed": "{0} labels first and the axes reversed, as nnU-Net has it",
    "foreground": "one foreground",
}


def ambiguous(shape: tuple[int, ...], layouts: Sequence[Layout]) -> str:
    """Which layouts there are to choose from."""
    options = [
        f"{_MEANS[layout.name].format(layout.num_labels)} "
        f"(--layout {'nnunet' if layout.name == 'reversed' else layout.name})"
        for layout in layouts
    ]
    return f"An array of shape {shape} may be {', or '.join(options)}. Say which."


def explain(
    shape: tuple[int, ...],
    grids: Sequence[tuple[int, ...]],
    name: str,
    is_nnunet: bool,
    is_nifti: bool,
    values: np.ndarray | None,
) -> str:
    """What was expected, what was received, and what mends it. Arguments as for `layouts.find`."""
    grid = min(grids, key=len)
    expected = {
        "last": (*grid, "L"),
        "first": ("L", *grid),
        "reversed": ("L", *grid[::-1]),
        "foreground": grid,
    }
    nnunet = "reversed" if is_nifti else "first"
    order = {"auto": ["last", "first", "foreground"], "nnunet": [nnunet]}.get(name, [name])
    if name == "auto" and is_nifti:
        order = ["reversed", *order] if is_nnunet else [*order, "reversed"]
    shapes = " or ".join(str(expected[layout]).replace("'", "") for layout in order)
    message = f"Expected probabilities of shape {shapes}, L labels. Received shape {shape}."

    def fits(new: tuple[int, ...], to: Sequence[tuple[int, ...]]) -> list[Layout]:
        return candidates(new, to, is_nnunet=is_nnunet, is_nifti=is_nifti)

    if shape[:1] == (1,) and fits(shape[1:], grids):
        return f"{message} The first axis seems to be one of a batch: save probs[0]."
    if name != "auto" and (others := fits(shape, grids)):
        return f"{message} {ambiguous(shape, others)}"
    if len(grids) > 1 and grids[0][0] <= CHANNELS and fits(shape, [grids[0][1:]]):
        return (
            f"{message} The channels of the image seem to come first: save "
            "np.moveaxis(image, 0, -1) as the image."
        )
    for grid, axes in itertools.product(grids, itertools.permutations(range(len(shape)))):
        new = tuple(shape[axis] for axis in axes)
        if len(new) == len(grid) + 1 and new[:-1] == grid and _sums(values, axes[-1]):
            return (
                f"{message} The axes seem to be in another order: save "
                f"np.transpose(probs, {axes}), or see --layout."
            )
    # None where --upsample was given: then the grids are those of the probabilities.
    smaller = "add --upsample (of `crfrnn refine`), or " if small_grids(shape, grids) else ""
    return (
        f"{message} If the network worked at another size, {smaller}resize its probabilities to "
        "the image; if the files belong to different images, pair the right ones."
    )


def _sums(values: np.ndarray | None, axis: int) -> bool:
    return values is None or sums_to_one(np.moveaxis(values, axis, -1))
