"""`crfrnn.refine_many`: the command's folder, from Python."""

from __future__ import annotations

import inspect
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from crfrnn import checks, files
from crfrnn.checks import Choice, Flag, Named, Reals, Whole
from crfrnn.cli import layouts, outputs
from crfrnn.cli.cases import Paths
from crfrnn.cli.refining import Outcome, Settings
from crfrnn.cores import num_cores
from crfrnn.offline.refine import refine
from crfrnn.optional import needed

_OF_A_CASE = ("image", "probs", "mask", "coordinates", "spacing")
_PARAMETERS = tuple(n for n in inspect.signature(refine).parameters if n not in _OF_A_CASE)
_OPTION = re.compile(r"(?<![^\s(])--([a-z]+(?:-[a-z]+)*)")

PathLike = str | os.PathLike


class CaseResult(NamedTuple):
    """What became of one case of `refine_many`.

    Attributes:
        name: of the case.
        output: its file, whether or not it is there.
        error: why it was not done, in words; None: it was.
        outcome: `parameters`, the share of points that `changed` their label, `seconds` and
            `warnings`; None of a case that failed or was complete already.
    """

    name: str
    output: Path
    error: str | None
    outcome: Outcome | None


@checks.door(
    jobs=Whole(1, optional=True),
    overwrite=Flag(),
    progress=Flag(optional=True),
    layout=Choice(layouts.NAMES),
    logits=Flag(),
    labels_as_probs=Reals(above=0, most=1, optional=True),
    nan_outside=Flag(),
    upsample=Flag(),
    rescale=Flag(),
    spacing=Reals(above=0, per="axis of the grid", optional=True),
    slice_axis=Whole(0, most=2, optional=True),
    palette=Flag(),
    confidence=Reals(least=0, most=1, optional=True),
    packed=Flag(),
    agree_with=Named("arguments of refine", optional=True),
)
def refine_many(
    cases: Iterable[tuple[PathLike, PathLike]] | Mapping[str, tuple[PathLike, PathLike]],
    output: PathLike,
    *,
    suffix: str | None = None,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    layout: str = "auto",
    logits: bool = False,
    labels_as_probs: float | None = None,
    nan_outside: bool = False,
    upsample: bool = False,
    rescale: bool = False,
    spacing: float | tuple[float, ...] | None = None,
    slice_axis: int | None = None,
    palette: bool = False,
    confidence: float | None = None,
    agree_with: Mapping[str, Any] | None = None,
    packed: bool = False,
    **crf: Any,
) -> list[CaseResult]:
    """Refines many segmentations, from files to files, one process per core: `refine` of each.

    It is what `crfrnn refine` does with folders. Workers read, upsample, refine and write by
    themselves. An output is complete or not there; the same call does only what is missing. It may
    stand in a script or notebook as it is, without `if __name__ == "__main__"`.

    Args:
        cases: pairs of paths, of an image and of its probabilities, in the formats of the command
            (docs/command-line.md); cases are called as their images without extension. Or a
            dictionary of such pairs by the name of the case, which may have folders in it, "a/b".
        output: folder for the results, made if need be; it keeps a record of them.
        suffix: of the results: ".png" and ".tif" for label maps, ".npy" and ".npz" for
            probabilities. None: label maps in the format of the images, of pictures ".png" with
            `palette`; ".npz" with `packed`.
        jobs: processes; None: one per core, and fewer where starting them takes longer than the
            work. Of volumes one: it has all cores.
        overwrite: whether results of other parameters or inputs are replaced.
        progress: whether to show a bar with the rate and the time that is left; None: on terminals,
            and a line at every tenth of the cases elsewhere.
        layout, logits, labels_as_probs, nan_outside, rescale, spacing, slice_axis: of the
            probabilities and images, as the options of the command.
        upsample: the probabilities may be smaller than their picture, as networks give them.
        palette: .png have the colours of Pascal VOC.
        confidence: label maps are 255 where the most likely label has a lower probability.
        agree_with: arguments of `refine` for a second CRF; those that are missing are those of the
            first. Label maps are 255 where the two find different labels.
        packed: .npz of 8 bits, see `pack`.
        crf: arguments of `refine`. theta_alpha, theta_beta, theta_gamma, bilateral_weight and
            spatial_weight are guessed for each case where they are missing.

    Returns:
        A `CaseResult` of each case, in the order of `cases`. What fails does not end the rest; a
        warning counts it.

    Raises:
        ValueError: bad arguments, cases of one name, a result that would replace an input, results
            that were made otherwise in `output`, or another process at work there.
        ImportError: Pillow, filelock or tqdm is missing (the extra `cli`).
        KeyboardInterrupt: after Ctrl-C, once the cases in work are complete.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> image = np.repeat([0, 255], 3).astype(np.uint8)[None]
    >>> foreground = np.array([[0.1, 0.6, 0.1, 0.9, 0.9, 0.4]])
    >>> np.save(folder / "image.npy", image)
    >>> np.save(folder / "probs.npy", np.stack([1 - foreground, foreground], -1))
    >>> crf = dict(theta_alpha=10, theta_beta=25, theta_gamma=1, bilateral_weight=5,
    ...            spatial_weight=0)
    >>> found = refine_many([(folder / "image.npy", folder / "probs.npy")], folder / "refined",
    ...                     suffix=".npy", **crf)
    >>> np.load(found[0].output).argmax(-1)
    array([[0, 0, 0, 1, 1, 1]])
    """
    if logits and labels_as_probs is not None:
        raise ValueError("Expected either `logits` or `labels_as_probs`. Received both.")
    given = Settings(
        _plain(crf),
        spacing=spacing,
        slice_axis=slice_axis,
        rescale=rescale,
        layout=layout,
        logits=logits,
        labels_as_probs=labels_as_probs,
        nan_outside=nan_outside,
        upsample=upsample,
        palette=palette,
        confidence=confidence,
        packed=packed,
        agree_with=None if agree_with is None else _plain(agree_with),
    )
    settings = Settings(*map(_recordable, given))
    folder, paths = Path(output), _paths(cases)
    if not paths:
        return []
    needed("filelock", "Many cases", "cli")
    try:
        return _run(paths, folder, settings, suffix, jobs, overwrite, progress)
    except ValueError as error:
        raise ValueError(_of_python(str(error))) from None


def _run(
    paths: list[Paths],
    folder: Path,
    settings: Settings,
    suffix: str | None,
    jobs: int | None,
    overwrite: bool,
    progress: bool | None,
) -> list[CaseResult]:
    needed("tqdm", "Many cases", "cli")
    from crfrnn.cli import batch
    from crfrnn.progress import Bar

    ending = outputs.ending(paths[0].image[0], settings.how, suffix)
    outputs.check_ending(Path(f"*{ending}"), settings.how, settings.agree_with is not None)
    with batch.alone(folder):
        todo, _ = batch.plan(paths, folder, ending, settings, overwrite)
        volumes = any(files.suffix(case.image[0]) in files.VOLUMES for case in paths)
        processes = min(jobs or (1 if volumes else num_cores()), max(1, len(todo)))
        found: dict[str, Outcome | str] = {}
        quiet = None if progress is None else not progress
        with Bar(total=len(todo), desc="refine", unit="case", disable=quiet) as bar:
            for job, outcome in batch.run(todo, folder, settings, processes, at_most=jobs is None):
                if isinstance(outcome, Outcome):
                    texts = tuple(map(_of_python, outcome.warnings))
                    found[job.paths.name] = outcome._replace(warnings=texts)
                else:
                    found[job.paths.name] = _of_python(outcome)
                bar.update()
    results = []
    for case in paths:
        made = found.get(case.name)
        error, done = (made, None) if isinstance(made, str) else (None, made)
        results.append(CaseResult(case.name, folder / f"{case.name}{ending}", error, done))
    failed = [result for result in results if result.error]
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(results)} cases failed; the first, {failed[0].name}: "
            f"{failed[0].error}",
            stacklevel=checks.outside(),
        )
    return results


def _paths(cases: Any) -> list[Paths]:
    if isinstance(cases, str | bytes) or not isinstance(cases, Iterable):
        raise ValueError(
            f"Expected `cases` to be a list of pairs of paths. Received {cases!r:.99}."
        )
    named = cases.items() if isinstance(cases, Mapping) else ((None, case) for case in cases)
    found: dict[str, Paths] = {}
    for name, case in named:
        try:
            image, probs = map(Path, case)
        except (TypeError, ValueError):
            raise ValueError(
                "Expected `cases` of pairs of paths (image, probabilities). Received "
                f"{case!r:.99}. Arrays are refined by `crfrnn.refine`."
            ) from None
        name = _inside(files.stem(image) if name is None else str(name))
        if name in found:
            raise ValueError(
                f"Expected cases of different names. Received {found[name].image[0]} and {image}, "
                f"both {name!r}. Give them names: a dictionary, name: (image, probabilities)."
            )
        found[name] = Paths(name, (image,), probs)
    return list(found.values())


def _inside(name: str) -> str:
    """The name of a case, whose result comes into the folder of the results; else ValueError."""
    path = PurePath(name)
    if not path.parts or path.anchor or {"..", files.WORKSHOP} & {*path.parts}:
        raise ValueError(
            "Expected names of cases that stay in the folder of the results, such as 'a' or 'b/a'. "
            f"Received {name!r}."
        )
    return path.as_posix()


def _plain(crf: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `refine`, checked."""
    unknown = sorted(set(crf) - set(_PARAMETERS))
    if unknown:
        known = ", ".join(_PARAMETERS)
        raise TypeError(f"Expected arguments of refine: {known}. Received {', '.join(unknown)}.")
    checks.fit(refine.declared, crf, {})  # type: ignore[attr-defined]
    return dict(crf)


def _recordable(value: Any) -> Any:
    """A setting as a record can keep it: numbers of Python, however deep they are."""
    if isinstance(value, Mapping):
        return {name: _recordable(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(_recordable, value))
    return np.asarray(value).tolist() if hasattr(value, "__array__") else value


def _of_python(text: str) -> str:
    """A message of the command with its options as arguments."""
    return _OPTION.sub(lambda found: f"`{found[1].replace('-', '_')}`", text)
