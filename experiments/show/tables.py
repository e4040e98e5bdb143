"""Tables in Markdown, of a run and of the pages of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.config import Config
from experiments.score import pooled, stats
from experiments.show import markdown
from experiments.show.condense import LABEL_DICE, PER_CASE, POOLED, UNARIES
from experiments.show.results import ENVIRONMENT, Outcome, Results
from experiments.show.verdicts import differences

COLUMNS = {
    "dice": "Dice %",
    LABEL_DICE: "Dice by label %",
    UNARIES: "before its CRF: Dice %",
    POOLED: "pooled mIoU %",
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
MAIN = ("dice", POOLED, "boundary_accuracy", "hd95", "surface_dice", "ece", "changed", UNARIES)
OF_A_RUN = ("dice", "iou", "pixel_accuracy", "hd95", "boundary_dice", "changed")
PUBLISHED = {"published_iu": "IU %", "published_dsc": "DSC %", "published_pa": "PA %"}


def scores(setting: Outcome, rows: Sequence[str] = (), columns: Sequence[str] = MAIN) -> str:
    """Metrics of rows: mean over cases and seeds ± standard deviation over seeds.

    Args:
        setting: whose table it is.
        rows: names; none for all.
        columns: names of metrics, those that no row has are left out; none for all there are.
    """
    known = setting.metrics()
    labels = {name: f"Dice % of label {name[5:]}" for name in known if name.startswith("dice_")}
    shown = [name for name in columns or {**COLUMNS, **labels} if name in known]
    titles = {**COLUMNS, **labels, **PUBLISHED}
    return markdown.table(
        ["", *(titles[name] for name in shown)],
        [[setting.rows[row].title, *cells(setting, row, shown)] for row in rows or setting.rows],
    )


def published(setting: Outcome, numbers: Mapping[str, tuple[float, float, float]]) -> str:
    """The metrics of the published table beside its numbers: IU, DSC and PA in percent, by row.

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
    for name, row in setting.rows.items():
        theirs = [f"{number:.2f}" for number in numbers.get(name, ())] or [markdown.NOTHING] * 3
        pairs = zip(theirs, cells(setting, name, PUBLISHED), strict=True)
        lines.append([row.title, *(cell for pair in pairs for cell in pair)])
    head = [f"{title}, {whose}" for title in PUBLISHED.values() for whose in ("theirs", "ours")]
    return markdown.table(["", *head], lines)


def intervals(setting: Outcome, metrics: Mapping[str, str]) -> str:
    """All differences of a setting in some metrics (titles by name), with three intervals each."""
    lines, known = [], setting.metrics()
    for metric, title in metrics.items():
        for pair in setting.pairs if metric in known else ():
            numbers = _numbers(_compared(setting, *pair, metric))
            lines.append([title, setting.versus(*pair), *numbers])
    head = [
        *("", "paired difference", "mean", "95 % over both", "95 % over groups"),
        *("95 % over seeds", "per seed"),
    ]
    return markdown.table(head, lines) if lines else ""


def change(setting: Outcome) -> str:
    """All differences of a setting: of Dice with their verdicts, and of the other metrics."""
    others = [name for name in (LABEL_DICE, *PER_CASE[1:]) if name in setting.metrics()]
    lines = []
    for one in differences(setting):
        pair = one.row, one.reference
        mean, over_both, over_groups, over_seeds, per_seed = _numbers(one.comparison)
        test = markdown.p_value(one.p_holm), markdown.signed(one.comparison.rank_biserial)
        more = [difference(setting, *pair, name) for name in others]
        cells = [mean, over_both, one.words, over_groups, over_seeds, *test, per_seed, *more]
        lines.append([setting.versus(*pair), *cells])
    head = [
        *("difference of Dice", "mean", "95 % over both", "verdict", "95 % over cases"),
        *("95 % over seeds", "p (Holm)", "effect size", "per seed"),
        *(f"of {COLUMNS[name]}" for name in others),
    ]
    return markdown.table(head, lines)


def choices(setting: Outcome) -> str:
    """What was chosen on the validation cases, per row and seed."""
    lines = []
    for row, chosen in chosen_once(setting):
        for index, one in enumerate(chosen):
            search = one.get("search", {})
            dice = [
                f"{search[key]:.2f}" if key in search else markdown.NOTHING
                for key in ("off", "best_dice")
            ]
            lines.append([setting.rows[row].title, str(index), *dice, _chosen(setting, one)])
    head = ["row", "seed", "validation Dice % without", "with", "chosen"]
    return markdown.table(head, lines) if lines else ""


def settings(study: Results) -> str:
    """The settings of a study side by side: where their configurations differ, cases and time."""
    differ = {key: values for key, values in _configurations(study).items() if len({*values}) > 1}
    lines = [
        [
            name,
            *(values[index] for values in differ.values()),
            str(len(setting.groups)),
            str(len(set(setting.groups))),
            f"{setting.seconds / 3600:.2f}",
        ]
        for index, (name, setting) in enumerate(study.settings.items())
    ]
    head = ["setting", *(key.replace("_", " ") for key in differ)]
    return markdown.table([*head, "tested cases", "groups", "processor hours"], lines)


def configuration(study: Results) -> str:
    """The configuration that all settings of a study share, a line per key."""
    found = _configurations(study).items()
    return "\n".join(f"- `{key}`: {values[0]}" for key, values in found if len({*values}) == 1)


def rows(study: Results) -> str:
    """What the rows of a study are."""
    return "\n".join(f"- {row.title}: {row.meaning}." for row in study.rows.values())


def provenance(study: Results) -> str:
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
        f"[{study.name}.json](../../experiments/results/{study.name}.json)."
    )


def score(setting: Outcome, row: str, metric: str = "dice") -> str:
    """One cell, "87.00 ± 1.00"."""
    return markdown.mean_and_sd(setting.scores(row, metric))


def difference(setting: Outcome, row: str, reference: str, metric: str = "dice") -> str:
    """Mean and 95 % interval over both, "+0.72 [+0.46, +0.97]"."""
    if (reference, row) in setting.pairs:  # the same interval as in the table, the other way round
        found = _compared(setting, reference, row, metric)
        mean, (high, low) = -found.mean, (-bound for bound in found.over_both)
    else:
        found = _compared(setting, row, reference, metric)
        mean, (low, high) = found.mean, found.over_both
    return f"{markdown.signed(mean)} {markdown.interval((low, high))}"


def cells(setting: Outcome, row: str, metrics: Iterable[str]) -> list[str]:
    """A row's numbers; "-" for changed points of a row that has nothing to change any."""
    absent = () if setting.rows[row].how.has_crf else ("changed",)
    return [markdown.NOTHING if name in absent else score(setting, row, name) for name in metrics]


def chosen_once(setting: Outcome) -> list[tuple[str, list[dict[str, Any]]]]:
    """Per row, what each seed chose on the validation cases; what rows share only once."""
    found: list[tuple[str, list[dict[str, Any]]]] = []
    for row in setting.rows:
        chosen = setting.choices(row)
        if any(chosen) and chosen not in (earlier for _, earlier in found):
            found.append((row, chosen))
    return found


def parameters(named: Iterable[tuple[str, Any]]) -> str:
    """Names and values of a CRF's parameters."""
    return ", ".join(f"{name} {markdown.numbers(value)}" for name, value in named)


def words(value: Any) -> str:
    """A value from JSON as text.

    Example:
        >>> words({"keras": "3.15", "numpy": "2.4"}), words([]), words(0.5)
        ('keras 3.15, numpy 2.4', 'none', '0.5')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {words(inner)}" for key, inner in value.items())
    return ", ".join(map(words, value)) or "none" if isinstance(value, list | tuple) else str(value)


def _compared(
    setting: Outcome, row: str, reference: str, metric: str
) -> stats.Estimate | pooled.Difference:
    """A difference in a metric that cases have, or in Dice by label."""
    if metric == LABEL_DICE:
        return setting.by_label(row, reference)
    return setting.comparison(row, reference, metric)


def _numbers(found: stats.Estimate | pooled.Difference) -> list[str]:
    """Mean, three intervals and the seeds of a difference."""
    bounds = map(markdown.interval, (found.over_both, found.over_groups, found.over_seeds))
    return [markdown.signed(found.mean), *bounds, " ".join(map(markdown.signed, found.per_seed))]


def _configurations(study: Results) -> dict[str, list[str]]:
    """By key, its values in the settings, in words."""
    configs = [setting.config for setting in study.settings.values()]
    # A setting that ran before there was a key ran as its default has it.
    return {
        key: [words(one.get(key, getattr(Config, key, None))) for one in configs]
        for config in configs
        for key in config
    }


def _chosen(setting: Outcome, choice: Mapping[str, Any]) -> str:
    if "chosen" in choice:
        return setting.study.rows[choice["chosen"]].title
    if "bias" in choice:
        return f"bias {markdown.numbers(choice['bias'])}"
    chosen = parameters(choice["search"]["best"].items())
    if not choice["search"]["use"]:
        return f"off ({chosen})" if chosen else "off"
    return chosen or "on"
