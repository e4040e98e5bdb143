"""What the page shows of test cases: pictures as data URIs, outlines, and the rows' numbers."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import data
from crfrnn.diagnosis import paint
from experiments.config import make
from experiments.rows import Row, compared
from experiments.show import cases, markdown
from experiments.show.cases import Shown
from experiments.show.tables import COLUMNS, OF_A_RUN


def browser(results: Mapping[str, Any], folder: Path, number: int) -> dict[str, Any]:
    """All that the case browser needs of some test cases, as JSON has it.

    Returns:
        ``sides``, titles of what can be shown on either side: the rows, then the truth;
        ``changes``, whether a change between two rows ranks the cases; ``before`` and ``after``,
        what is shown first: these rows, else the only one and the truth; ``columns``, titles of the
        numbers; ``labels``, pairs of a label's name and colour, but for a background; ``total``,
        the number of test cases; ``cases``, see ``_case``, the best change first.

    Raises:
        FileNotFoundError, ValueError: the label maps, or the data set, are not there or have
            changed.
    """
    config, comparison = make(results["config"]), compared(results)
    rows = comparison.rows
    missing = [row for row in rows if not (folder / "seed-0" / f"{row}.npz").exists()]
    if missing:
        raise FileNotFoundError(
            f"{folder / 'seed-0'} has no label maps of {', '.join(missing)}: expected ROW.npz, as "
            "the run left them. Bring them back, or repeat the run with --force."
        )
    try:
        ranking = cases.ranked(config, comparison, results, folder, rows)
        names = data.labels(config.dataset)
        shown = {
            rank: cases.show(ranking[rank], config, comparison)
            for rank in cases.spread(len(ranking), number)
        }
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(
            f"The page shows images of the run's data set, {config.dataset!r}: {error}"
        ) from None
    after, before = ([*rows].index(row) for row in cases.pair(comparison))
    changes = comparison.change is not None
    case = ranking[0].case
    colours = paint.palette(len(names), case.background, case.ignore)
    palette = (255 * colours).round().astype("uint8")
    labels = case.classes(len(names))
    return {
        "sides": [*(row.title for row in rows.values()), "ground truth"],
        "changes": changes,
        "before": before,
        "after": after if changes else len(rows),
        "columns": [COLUMNS[name] for name in OF_A_RUN],
        "labels": [(names[label], f"#{bytes(palette[label][:3]).hex()}") for label in labels],
        "total": len(ranking),
        "cases": [
            {**_case(one, rows, palette), **_heading(one, rank, len(ranking), changes)}
            for rank, one in shown.items()
        ],
    }


def outline(labels: np.ndarray) -> str:
    """The lines between points of different labels, as the data of an SVG path.

    Args:
        labels: (h, w); around it is background.

    Returns:
        Horizontal, then vertical lines, in points: "M1 0H3" goes along the upper edge of the points
        1 and 2 of row 0.

    Example:
        >>> outline(np.array([[0, 1, 1]]))
        'M1 0H3M1 1H3M1 0V1M3 0V1'
    """
    padded = np.pad(labels, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]  # (h+1, w)
    along = padded[1:-1, 1:] != padded[1:-1, :-1]  # (h, w+1)
    lines = [f"M{start} {y}H{end}" for y, start, end in _stretches(across)]
    lines += [f"M{x} {start}V{end}" for x, start, end in _stretches(along.T)]
    return "".join(lines)


def _case(case: Shown, rows: Mapping[str, Row], palette: np.ndarray) -> dict[str, Any]:
    """Of one case: id, size, pictures, outline, and a list of numbers by row."""
    height, width = case.truth.shape
    down, right = case.spacing
    pixels = (255 * cases.seen(case.image).clip(0, 1)).round().astype("uint8")
    return {
        "id": case.id,
        "size": [width, height],
        "ratio": round(width * right / (height * down), 4),
        "image": _uri(Image.fromarray(pixels)),
        "outline": outline(case.outlined),
        "maps": [
            _painted(map_, palette, case.background) for map_ in (*case.maps.values(), case.truth)
        ],
        "numbers": [_numbers(case.scores[row], rows[row]) for row in rows],
    }


def _heading(case: Shown, rank: int, total: int, changes: bool) -> dict[str, str]:
    if not changes:
        return {"gain": "", "title": case.id}
    gain = markdown.signed(case.gain)
    return {"gain": gain, "title": f"{case.id}: {gain} Dice, rank {rank + 1} of {total}"}


def _numbers(scores: Mapping[str, Any], row: Row) -> list[str]:
    def number(metric: str) -> str:
        absent = metric == "changed" and not row.how.has_crf
        # JSON has NaN where a case has nothing to measure.
        return markdown.NOTHING if absent or np.isnan(scores[metric]) else f"{scores[metric]:.2f}"

    return [number(metric) for metric in OF_A_RUN]


def _painted(labels: np.ndarray, palette: np.ndarray, background: int | None) -> str:
    """A label map (h, w) in colours; a background is transparent."""
    picture = Image.fromarray(labels.astype("uint8"))
    picture.putpalette(palette[:, :3].tobytes())
    return _uri(picture, **({} if background is None else {"transparency": background}))


def _uri(picture: Image.Image, **options: Any) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, **options)
    return data_uri(file.getvalue(), "image/png")


def data_uri(content: bytes, kind: str) -> str:
    """A file as a URI that holds all of it; kind: its MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _stretches(where: np.ndarray) -> list[tuple[int, int, int]]:
    """The runs of True in the rows of (n, m): (row, first, behind the last), row by row."""
    steps = np.diff(np.pad(where.astype(int), ((0, 0), (1, 1))))  # (n, m+1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return [*zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)]
