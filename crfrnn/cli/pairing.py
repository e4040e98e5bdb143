"""Which files of several folders belong together: those with one name before the extension."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from crfrnn import files
from crfrnn.cli.cases import Paths

# nnU-Net numbers the channels of an image: case_0000.nii.gz, case_0001.nii.gz.
_CHANNEL = re.compile(r"(.+)_(\d{4})")
# Which of two files of one name holds the probabilities: nnU-Net saves case.nii.gz, its label map,
# next to case.npz.
_PREFERENCE = (".npz", ".npy", ".nii.gz", ".nii")
_SHOWN = 3

NO_IMAGE, NO_PROBS, NO_LABELS, NO_MASK = (
    f"there {what}"
    for what in ("is no image", "are no probabilities", "are no labels", "is no mask")
)


class Names(NamedTuple):
    """What files are called: which of a folder count, and how the case is found in their names.

    images_glob, probs_glob: "**/*.png" looks into folders below.
    image, probs, labels: such as "{case}_gt", without extension; in probs "{label}" may stand for
        the number of a label that has a file of its own.
    """

    images_glob: str = "*"
    probs_glob: str = "*"
    image: str = "{case}"
    probs: str = "{case}"
    labels: str = "{case}"


class Found(NamedTuple):
    """cases: in the order of their names. problems: why a pair cannot be done, by name.
    unpaired: the names of files without partner, by the reason."""

    cases: list[Paths]
    problems: dict[str, str]
    unpaired: dict[str, list[str]]

    def left_out(self) -> Iterator[str]:
        """One line for each reason."""
        for reason, names in self.unpaired.items():
            others = len(names) - _SHOWN
            text = ", ".join(names[:_SHOWN])
            yield f"{text}{f' and {others:,} others' if others > 0 else ''}: {reason}"


def find(
    images: Path,
    probs: Path,
    labels: Path | None = None,
    masks: Path | None = None,
    *,
    names: Names | None = None,
    results: Path | None = None,
) -> Found:
    """Which files of the folders belong together.

    An image may be called as nnU-Net has it, with the number of its channel: case_0000.nii.gz and
    case_0001.nii.gz belong to case.npz, and their channels are stacked.

    Args:
        images, probs, labels, masks: folders.
        names: which files count, and how they are called.
        results: a folder whose files do not count, where it lies below one of the others.

    Raises:
        ValueError: no image and no probabilities of one name.
    """
    names = names or Names()
    for name in (names.image, names.labels):
        if "{label}" in name:
            raise ValueError(f"Expected {{label}} in --probs-name only. Received {name!r}.")
    below = "**/*" if "**" in names.images_glob else "*"
    pictured = _by_name(images, names.images_glob, names.image, results)
    likely = _by_name(probs, names.probs_glob, names.probs, results)
    labelled = None if labels is None else _by_name(labels, below, names.labels)
    masked = None if masks is None else _by_name(masks, below, "{case}")

    channels: dict[str, dict[int, list[Path]]] = {}
    for name, numbered in pictured.items():
        number = _CHANNEL.fullmatch(name)
        if name not in likely and number:
            channels.setdefault(number[1], {})[int(number[2])] = numbered[0]
        else:
            channels.setdefault(name, {})[0] = numbered[0]

    found = Found([], {}, {})
    for name in sorted({*channels, *likely}):
        missing = _missing(name, channels, likely, labelled, masked)
        if missing:
            found.unpaired.setdefault(missing, []).append(name)
            continue
        if problem := _problem(channels[name], likely[name]):
            found.problems[name] = problem
            continue
        image = tuple(channels[name][number][0] for number in sorted(channels[name]))
        first, *others = (min(paths, key=preference) for _, paths in sorted(likely[name].items()))
        truth, mask = (part[name][0][0] if part else None for part in (labelled, masked))
        found.cases.append(Paths(name, image, first, truth, mask, tuple(others)))
    if not found.cases:
        example = "".join(f" {name}: {text}." for name, text in list(found.problems.items())[:1])
        example = example or "".join(f" {line}." for line in list(found.left_out())[:1])
        raise ValueError(
            f"Expected files of one name in {images} ({names.images_glob}) and {probs} "
            f"({names.probs_glob}), such as a.png and a.npy. Received {len(pictured)} images and "
            f"{len(likely)} probabilities, none of which belong together.{example}"
        )
    return found


def numbered(path: Path) -> tuple[Path, ...]:
    """The files of each label, of a path such as scan_{label}.nii.gz; else the path alone.

    Raises:
        ValueError: no such files, or numbers with gaps.
    """
    if "{label}" not in path.name:
        return (path,)
    pattern = _pattern(path.name, ())
    matches = ((pattern.fullmatch(other.name), other) for other in path.parent.glob("*"))
    found = {int(match["label"]): other for match, other in matches if match}
    if sorted(found) != list(range(len(found))) or not found:
        raise ValueError(f"{path}: {_gaps(found)}")
    return tuple(found[number] for number in sorted(found))


def _missing(name: str, *parts: Mapping[str, object] | None) -> str:
    """What there is none of: parts are images, probabilities, labels, masks."""
    what = ("is no image", "are no probabilities", "are no labels", "is no mask")
    for part, text in zip(parts, what, strict=True):
        if part is not None and name not in part:
            return f"there {text}"
    return ""


def _problem(channels: Mapping[int, list[Path]], likely: Mapping[int, list[Path]]) -> str:
    several = next((paths for paths in channels.values() if len(paths) > 1), None)
    if several:
        return f"several images have this name: {', '.join(map(str, several))}; choose by --glob"
    if sorted(channels) != list(range(len(channels))):
        found = ", ".join(f"_{number:04d}" for number in sorted(channels))
        return f"expected the channels _0000, _0001, ... without gaps; received {found}"
    return _gaps(likely) if sorted(likely) != list(range(len(likely))) else ""


def _gaps(found: Mapping[int, object]) -> str:
    numbers = ", ".join(map(str, sorted(found))) or "none"
    return f"expected a file for each label 0, 1, ... without gaps; received {numbers}"


def _by_name(
    folder: Path, glob: str, name: str, without: Path | None = None
) -> dict[str, dict[int, list[Path]]]:
    """The readable files of a folder by the case in their path below it, and by the label.

    name: see `Names`. without: a folder below it that does not count.
    """
    pattern = _pattern(name, ("case",))
    found: dict[str, dict[int, list[Path]]] = {}
    hidden = None if without is None else without.resolve()
    if hidden is not None and not hidden.is_relative_to(folder.resolve()):
        hidden = None
    for path in sorted(_matching(folder, glob)):
        below = path.relative_to(folder)
        # Names that begin with a dot are unfinished files, or macOS's.
        if not path.is_file() or any(part.startswith(".") for part in below.parts):
            continue
        if hidden is not None and path.parent.resolve().is_relative_to(hidden):
            continue
        try:
            match = pattern.fullmatch(files.stem(path))
        except ValueError:  # .json, .pkl, .txt
            continue
        if match is None:
            continue
        case = below.with_name(match["case"]).as_posix()
        label = int(match.groupdict().get("label", 0))
        found.setdefault(case, {}).setdefault(label, []).append(path)
    return found


def _pattern(name: str, needed: tuple[str, ...]) -> re.Pattern:
    """A regular expression for "{case}_prob_{label}"."""
    known = {"{case}": "(?P<case>.+)", "{label}": r"(?P<label>\d+)"}
    if any(name.count(f"{{{part}}}") != 1 for part in needed) or name.count("{label}") > 1:
        raise ValueError(
            f"Expected a name with {{case}} once, as in '{{case}}_prob'. Received {name!r}."
        )
    parts = re.split(r"(\{case\}|\{label\})", name)
    expression = "".join(known.get(part, re.escape(part)) for part in parts)
    return re.compile(expression, re.DOTALL)  # names may have lines


def _matching(folder: Path, glob: str) -> Iterator[Path]:
    below = Path(glob)
    if below.is_absolute() and below.is_relative_to(folder.absolute()):
        glob = below.relative_to(folder.absolute()).as_posix()
    elif not below.parts or below.is_absolute() or ".." in below.parts:
        raise ValueError(
            f"Expected a pattern of names in {folder}, such as '*.png' or '**/*.png'. "
            f"Received {glob!r}."
        )
    return folder.glob(glob)


def preference(path: Path) -> int:
    """The smaller, the likelier a file holds the probabilities among those of its name."""
    ending = files.suffix(path)
    return _PREFERENCE.index(ending) if ending in _PREFERENCE else len(_PREFERENCE)
