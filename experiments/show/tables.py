"""The tables of the page of results, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments import markdown
from experiments.publish.study import ENVIRONMENT, PER_CASE, UNARIES, Setting, Study
from experiments.publish.verdicts import differences

COLUMNS = {
    "dice": "Dice %",
    UNARIES: "before its CRF: Dice %",
    "iou": "IoU %",
    "pixel_accuracy": "pixel acc. %",
    "boundary_accuracy": "boundary acc. %",
    "boundary_dice": "boundary Dice %",
    "hd95": "HD95 ↓",
    "assd": "ASSD ↓",
    "surface_dice": "surface Dice %",
    "ece": "ECE % ↓",
    "changed": "changed %",
}
MAIN = ("dice", "boundary_accuracy", "hd95", "surface_dice", "ece", "changed", UNARIES)
PUBLISHED = {"published_iu": "IU %", "published_dsc": "DSC %", "published_pa": "PA %"}


def scores(
    study: Study, setting: Setting, rows: Sequence[str] = (), columns: Sequence[str] = MAIN
) -> str:
    """Metrics of rows: mean over cases and seeds ± standard deviation over seeds.

    Args:
        study: of the setting.
        setting: whose table it is.
        rows: names; none for all.
        columns: names of metrics, those that no row has are left out; none for all there are.
    """
    rows = list(rows) or setting.rows
    known = setting.metrics()
    labels = [name for name in known if name.startswith("dice_")]
    titles = {**COLUMNS, **{name: f"Dice % of label {name[5:]}" for name in labels}}
    columns = [name for name in columns or titles if name in known]
    return markdown.table(
        ["", *(titles[name] for name in columns)],
        [[study.rows[row].title, *(_cell(setting, row, name) for name in columns)] for row in rows],
    )


def published(
    study: Study, setting: Setting, numbers: Mapping[str, tuple[float, float, float]]
) -> str:
    """The metrics of the published table beside its numbers.

    Args:
        study: of the setting.
        setting: with the published metrics.
        numbers: published IU, DSC and PA in percent, by row.

    Raises:
        ValueError: if numbers has a row that the setting has not.
    """
    strangers = [row for row in numbers if row not in setting.rows]
    if strangers:
        raise ValueError(
            f"Published numbers for rows that {setting.name} does not have: {strangers}. "
            f"Its rows: {', '.join(setting.rows)}"
        )
    lines = []
    for row in setting.rows:
        theirs = [f"{number:.2f}" for number in numbers.get(row, ())] or [markdown.NOTHING] * 3
        ours = [_cell(setting, row, metric) for metric in PUBLISHED]
        pairs = zip(theirs, ours, strict=True)
        lines.append([study.rows[row].title, *(cell for pair in pairs for cell in pair)])
    head = [f"{title}, {whose}" for title in PUBLISHED.values() for whose in ("theirs", "ours")]
    return markdown.table(["", *head], lines)


def change(study: Study, setting: Setting) -> str:
    """All differences of a setting: of Dice with their verdicts, and of the other metrics."""
    others = [name for name in PER_CASE[1:] if name in setting.metrics()]
    lines = []
    for one in differences(setting):
        found = one.comparison
        lines.append(
            [
                study.versus(one.row, one.reference),
                markdown.signed(found.mean),
                markdown.interval(found.over_both),
                one.words,
                markdown.interval(found.over_groups),
                markdown.interval(found.over_seeds),
                markdown.p_value(one.p_holm),
                markdown.signed(found.rank_biserial),
                " ".join(map(markdown.signed, found.per_seed)),
                *(difference(setting, one.row, one.reference, name) for name in others),
            ]
        )
    head = [
        *("difference of Dice", "mean", "95 % over both", "verdict", "95 % over cases"),
        *("95 % over seeds", "p (Holm)", "effect size", "per seed"),
        *(f"of {COLUMNS[name]}" for name in others),
    ]
    return markdown.table(head, lines)


def choices(study: Study, setting: Setting) -> str:
    """What was chosen on the validation cases, per row and seed; a search that rows share once."""
    lines, shown = [], []
    for row in setting.rows:
        chosen = setting.choices(row)
        if not any(chosen) or chosen in shown:
            continue
        shown.append(chosen)
        for index, one in enumerate(chosen):
            search = one.get("search", {})
            dice = [
                f"{search[key]:.2f}" if key in search else markdown.NOTHING
                for key in ("off", "best_dice")
            ]
            lines.append([study.rows[row].title, str(index), *dice, _chosen(study, one)])
    head = ["row", "seed", "validation Dice % without", "with", "chosen"]
    return markdown.table(head, lines) if lines else ""


def settings(study: Study) -> str:
    """The settings of a study side by side: where their configurations differ, cases and time."""
    configs = {name: setting.config for name, setting in study.settings.items()}
    keys = [key for key in _keys(configs) if len({repr(c.get(key)) for c in configs.values()}) > 1]
    lines = [
        [
            name,
            *(words(setting.config.get(key)) for key in keys),
            str(len(setting.groups)),
            str(len(set(setting.groups))),
            f"{setting.seconds / 3600:.2f}",
        ]
        for name, setting in study.settings.items()
    ]
    head = ["setting", *(key.replace("_", " ") for key in keys)]
    return markdown.table([*head, "tested cases", "groups", "processor hours"], lines)


def configuration(study: Study) -> str:
    """The configuration that all settings of a study share, a line per key."""
    configs = {name: setting.config for name, setting in study.settings.items()}
    first = next(iter(configs.values()))
    return "\n".join(
        f"- `{key}`: {words(first[key])}"
        for key in _keys(configs)
        if len({repr(config.get(key)) for config in configs.values()}) == 1
    )


def rows(study: Study) -> str:
    """What the rows of a study are."""
    return "\n".join(f"- {row.title}: {row.meaning}." for row in study.rows.values())


def provenance(study: Study) -> str:
    """Command, time, machine and versions; of several machines or commits, all."""
    settings = study.settings.values()
    hours = sum(setting.seconds for setting in settings) / 3600
    used = {
        name: "; ".join(dict.fromkeys(words(setting.environment[name]) for setting in settings))
        for name in ENVIRONMENT
    }
    return (
        f"    python -m experiments.compare --config experiments/studies/{study.name}.toml\n\n"
        f"{hours:.1f} processor hours (half of that by the clock, on two cores) on "
        f"{used['machine']}, {used['cores']} cores; Keras on {used['backend']}, "
        f"Python {used['python']}, {used['packages']}; commit {used['commit']}. Results: "
        f"[{study.name}.json](../experiments/results/{study.name}.json)."
    )


def difference(setting: Setting, row: str, reference: str, metric: str = "dice") -> str:
    """Mean and 95 % interval over both, "+0.72 [+0.46, +0.97]"."""
    if (reference, row) in setting.pairs:  # the same interval as in the table, the other way round
        mean, (low, high) = setting.difference(reference, row, metric)
        return f"{markdown.signed(-mean)} {markdown.interval((-high, -low))}"
    mean, over_both = setting.difference(row, reference, metric)
    return f"{markdown.signed(mean)} {markdown.interval(over_both)}"


def words(value: Any) -> str:
    """A value from JSON as text.

    Example:
        >>> words({"keras": "3.15", "numpy": "2.4"}), words([]), words(0.5)
        ('keras 3.15, numpy 2.4', 'none', '0.5')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {words(inner)}" for key, inner in value.items())
    return ", ".join(map(words, value)) or "none" if isinstance(value, list) else str(value)


def _cell(setting: Setting, row: str, metric: str) -> str:
    values = setting.scores(row, metric)
    # A row that changes no point in any case has nothing that could.
    nothing = metric == "changed" and not values.any()
    return markdown.NOTHING if nothing else markdown.mean_and_sd(values)


def _keys(configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for config in configs.values() for key in config))


def _chosen(study: Study, choice: Mapping[str, Any]) -> str:
    if "chosen" in choice:
        return study.rows[choice["chosen"]].title
    if "bias" in choice:
        return f"bias {markdown.numbers(choice['bias'])}"
    crf = choice["search"]["best"]
    chosen = ", ".join(f"{name} {markdown.numbers(value)}" for name, value in crf.items())
    return chosen if choice["search"]["use"] else f"off ({chosen})"
