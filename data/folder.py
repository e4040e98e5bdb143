"""Labelled images in a folder with a dataset.json, the Medical Segmentation Decathlon's layout.

    folder/dataset.json    {"labels": {"0": "background", "1": ...}, "training": [item, ...],
                            "ignore": 255, "background": null}                 the last two optional
    item                   {"image": "./images/a.png", "label": "./labels/a.png",
                            "group": "person 1", "spacing": [0.5, 0.5]}     the last two optional

data/files.py says which files can be read and how they are prepared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from crfrnn.files import read_json, stem

from .case import Case, LazyCase
from .files import read_case


def load_folder(folder: str | Path, group_of: Callable[[str], str] | None = None) -> list[Case]:
    """The labelled cases that folder/dataset.json lists under "training".

    Existence of the files is checked at once, their content when a case is first used.
    Left out, with one warning that counts them: items without "label" and items of whose two files
    one is missing (published copies of the Decathlon have both). Items whose file name starts with
    "." (leftovers of macOS archives) are skipped silently.

    Args:
        folder: where dataset.json is.
        group_of: group of a case from its id, used for items without "group"; None = the id, so
            that each case is its own group.

    Returns:
        Cases in the order of dataset.json; id = file name of the image without extension.
        Images are prepared by `read_case`.

    Raises:
        FileNotFoundError: no dataset.json, or both files of an item missing.
        ValueError: dataset.json malformed, no usable case, or two cases with one id.

    Example:
        >>> load_folder("/path/to/folder")  # doctest: +SKIP
        [LazyCase(id='a', group='a'), ...]
    """
    folder = Path(folder)
    description = read_description(folder)
    count, ignore = len(description["labels"]), description["ignore"]
    cases: dict[str, Case] = {}
    incomplete = []
    for item in description["training"]:
        image, label = (item.get(key) and folder / item[key] for key in ("image", "label"))
        if image and image.name.startswith("."):
            continue
        present = [path for path in (image, label) if path and path.is_file()]
        if not present:
            raise FileNotFoundError(
                f"{folder / 'dataset.json'} lists {item}, but neither file is there; the copy is "
                f"incomplete: fetch or unpack it again."
            )
        if len(present) == 1:
            incomplete.append(present[0].name)
            continue
        name = stem(image)
        if name in cases:
            raise ValueError(
                f"{folder / 'dataset.json'}: expected distinct image names; received {name} twice; "
                f"rename one of the files."
            )
        group = item.get("group", group_of(name) if group_of else name)
        read = partial(read_case, image, label, count, item.get("spacing"), ignore)
        cases[name] = LazyCase(read, name, str(group), ignore, description["background"])
    if incomplete:
        warnings.warn(
            f"{folder}: left out {len(incomplete)} items without image or label: "
            f"{', '.join(incomplete[:5])}{', ...' if len(incomplete) > 5 else ''}",
            stacklevel=2,
        )
    if not cases:
        raise ValueError(
            f"{folder / 'dataset.json'}: expected at least one item with image and label under "
            f'"training"; received {len(description["training"])} items, none complete.'
        )
    return list(cases.values())


def read_description(folder: Path) -> dict:
    """The content of folder/dataset.json, checked; "labels" as a tuple of names, class by class.

    Args:
        folder: where dataset.json is.

    Returns:
        The dictionary, with at least "labels" (tuple of str), "training" (list of dict), "ignore"
        (int or None) and "background" (0 or None).

    Raises:
        FileNotFoundError: no such file.
        ValueError: not JSON, or "labels" or "training" missing or malformed.

    Example:
        >>> read_description(Path("/path/to/folder"))["labels"]  # doctest: +SKIP
        ('background', 'nucleus')
    """
    path = folder / "dataset.json"
    try:
        description = read_json(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"expected {path}, which lists the images and labels; there is none; data/README.md "
            f"describes the layout."
        ) from None
    labels = description.get("labels")
    if not isinstance(labels, dict) or set(labels) != {str(i) for i in range(len(labels))}:
        raise ValueError(
            f'{path}: expected "labels" to name the classes "0", "1", ... without gaps, as in '
            f'{{"0": "background", "1": "organ"}}; received {labels!r}.'
        )
    training = description.get("training")
    if not isinstance(training, list) or not all(map(_is_item, training)):
        raise ValueError(
            f'{path}: expected "training" to be a list of {{"image": path, "label": path}}, where '
            f'"spacing": [numbers] may be added; '
            f"received {str(training)[:200]}."
        )
    names = tuple(str(labels[str(i)]) for i in range(len(labels)))
    return {**description, "labels": names, **_conventions(path, description, len(names))}


def _conventions(path: Path, description: dict, count: int) -> dict:
    """What counts: "ignore", the value of points without label, and "background"."""
    ignore, background = description.get("ignore"), description.get("background", 0)
    whole = isinstance(ignore, int) and not isinstance(ignore, bool)
    if ignore is not None and not (whole and count <= ignore <= 255):
        raise ValueError(
            f'{path}: expected "ignore" to be a number from {count} to 255, which is no class, or '
            f"null; received {ignore!r}."
        )
    if background is not None and (background != 0 or isinstance(background, bool)):
        raise ValueError(
            f'{path}: expected "background" to be 0, or null where class 0 is one like the others; '
            f"received {background!r}."
        )
    return {"ignore": ignore, "background": background}


def _is_item(item) -> bool:
    if not isinstance(item, dict):
        return False
    numbers = item.get("spacing") or []
    return all(isinstance(item.get(key, ""), str) for key in ("image", "label")) and (
        isinstance(numbers, list) and all(isinstance(n, (int, float)) for n in numbers)
    )
