"""Averaging over mirrored images."""

from experiments.rows.kind import Kind, Scores


class Flips(Kind, kind="flips"):
    """The mean prediction of another row's model over the mirrored images."""

    passes_on = True

    def scores(self, split: str) -> Scores:
        from experiments.train.predict import predict_mirrored

        slices = getattr(self.inputs, split)
        return predict_mirrored(self.of[0].model, slices, self.config.batch_size)
