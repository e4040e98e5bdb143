"""A network before its CRF."""

from experiments.rows.kind import Kind, Scores


class Unaries(Kind, kind="unaries"):
    """What the network of another row says before its CRF."""

    def scores(self, split: str) -> Scores:
        return self.of[0].predictions(split)["unaries"]
