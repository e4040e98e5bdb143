"""A repetition keeps what rows that are left rest on, and no more."""

import gc
import weakref

import data
from experiments import repetition, runs
from experiments.rows import Comparison
from tests.experiments.every_kind import ALL_KINDS, SETTINGS, without_xla

# "again" rests on "joint", which rests on "plain"; "spread" alone has labels of its own.
ROWS = {key: ALL_KINDS[key] for key in ("plain", "spread", "joint", "bias", "again")}


class Watched(repetition.Repetition):
    """Notes after each row which models and inputs are still there."""

    held, models = [], {}

    def make(self, key):
        super().make(key)
        for name, row in self.rows.items():
            if "model" in vars(row):
                self.models[name] = weakref.ref(row.model)

    def forget(self):
        super().forget()
        gc.collect()
        models = {name for name, model in self.models.items() if model() is not None}
        self.held.append((models, {labels for labels, *_ in self._inputs}))


def test_what_no_row_is_left_to_rest_on_is_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name: data.phantom(8, (12, 10)))
    without_xla(monkeypatch)
    whole = repetition.Repetition(SETTINGS, ROWS, 0, tmp_path / "whole")
    for key in ROWS:
        whole.make(key)

    monkeypatch.setattr(repetition, "Repetition", Watched)
    repetition.run(SETTINGS, Comparison(ROWS, [], [], None), 0, tmp_path)
    models, labels = zip(*Watched.held, strict=True)
    assert models == ({"plain"}, {"plain"}, {"plain", "joint"}, {"plain", "joint"}, set())
    assert labels == ({"full"}, {"full"}, {"full"}, {"full"}, set())
    for key in ROWS:
        made = runs.read_json(tmp_path / "seed-0" / f"{key}.json")
        assert made == runs.read_json(whole.path(key))
