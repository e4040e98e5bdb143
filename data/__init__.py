"""Data for training and evaluation: loaders, preparation and a synthetic phantom.

    import data
    cases = data.load("phantom")                       # or "hippocampus", "/path/to/folder", ...
    parts = data.split(cases, train=10)
    images, labels, mask = data.batch(parts["train"], multiple=16)

Images are (*S, K) float32 in [0, 1], labels (*S) uint8; see `Case`. data/README.md lists the sets.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

from . import splits
from .case import Case, require_plain
from .fetch import install
from .folder import load_folder, read_description
from .prepare import batch, crop, normalise, resize, shrink, slices
from .sources import SOURCES
from .splits import split
from .synthetic import LABELS, Difficulty, phantom
from .weak import weaken

__all__ = [
    "Case",
    "Difficulty",
    "batch",
    "crop",
    "download",
    "labels",
    "load",
    "names",
    "normalise",
    "phantom",
    "require_plain",
    "resize",
    "root_folder",
    "shrink",
    "slices",
    "split",
    "weaken",
]


def names() -> tuple[str, ...]:
    """The data sets `load` knows by name.

    Returns:
        Names; "phantom" is generated, the others are folders below the root.

    Example:
        >>> names()[0]
        'phantom'
    """
    return ("phantom", *SOURCES)


def load(
    name: str = "phantom", root: str | Path | None = None, split: str | None = None
) -> list[Case]:
    """The cases of a data set.

    Args:
        name: one of `names()`, or the path of a folder in the Decathlon's layout (see
            data/README.md). A path wins if it contains a separator: "./wbc1".
        root: folder that holds the data sets; None = $CRFRNN_DATA, else the user's cache folder.
        split: "train", "val" or "test" of `data.split` with its defaults; None = all cases.

    Returns:
        list of `Case`; files are read when a case is first used and then kept in memory.

    Raises:
        ValueError: unknown name or split, malformed dataset.json.
        FileNotFoundError: the data is not there; the message says how to get it.

    Example:
        >>> cases = load("phantom", split="train")
        >>> cases[0].image.shape
        (96, 96, 1)
    """
    if split not in (None, "train", "val", "test"):
        raise ValueError(f'split must be "train", "val", "test" or None; received {split!r}.')
    if name == "phantom":
        cases = phantom()
    else:
        group_of = SOURCES[name].group_of if name in SOURCES else None
        cases = load_folder(_find(name, root), group_of)
    return cases if split is None else splits.split(cases)[split]


def labels(name: str = "phantom", root: str | Path | None = None) -> tuple[str, ...]:
    """Names of the classes of a data set; class i is the i-th, so their number is the length.

    Args:
        name, root: as in `load`.

    Returns:
        Names, "background" or the like first.

    Raises:
        As `load`.

    Example:
        >>> labels("phantom")
        ('background', 'rim', 'core', 'cavity')
    """
    return LABELS if name == "phantom" else read_description(_find(name, root))["labels"]


def download(name: str, root: str | Path | None = None) -> Path:
    """Bring a data set from its official place to its folder below the root, checked and unpacked.

    Args:
        name: a data set whose download is automated: "hippocampus".
        root: as in `load`.

    Returns:
        Its folder. If that exists already, nothing is done.

    Raises:
        ValueError: unknown name, no automated download, or a damaged archive.
        ConnectionError: the transfer failed; calling again resumes it.

    Example:
        >>> download("hippocampus")  # doctest: +SKIP
    """
    source = SOURCES.get(name)
    if source is None or source.url is None or source.md5 is None:
        automated = ", ".join(n for n, s in SOURCES.items() if s.url)
        where = f"; get {name} from {source.page}, see data/README.md" if source else ""
        raise ValueError(
            f"expected a data set whose download is automated ({automated}); received {name!r}"
            f"{where}."
        )
    return install(source.url, source.md5, root_folder(root) / name, source.inside)


def root_folder(root: str | Path | None = None) -> Path:
    """The folder that holds the data sets: the argument, else $CRFRNN_DATA, else the user's cache.

    Args:
        root: a folder, or None.

    Returns:
        The path; it need not exist.

    Example:
        >>> root_folder("somewhere").name
        'somewhere'
    """
    default = platformdirs.user_cache_path("crfrnn", appauthor=False) / "data"
    return Path(root or os.environ.get("CRFRNN_DATA") or default).expanduser()


def _find(name: str, root: str | Path | None) -> Path:
    if name not in SOURCES:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise ValueError(
                f"expected one of {', '.join(names())} or an existing folder; received {name!r}."
            )
        return folder
    folder, source = root_folder(root) / name, SOURCES[name]
    if not folder.is_dir():
        how = (
            f"download it with: {sys.executable} -m data {name}"
            + (f" --root {root}" if root else "")
            if source.url
            else f"its download is not automated: get it from {source.page} and bring it into the "
            f"layout of data/README.md"
        )
        raise FileNotFoundError(
            f"expected the data set {name} in {folder}; there is no such folder; {how}. Or point "
            f"root or CRFRNN_DATA at the folder that holds {name}/."
        )
    return folder
