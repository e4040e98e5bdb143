"""What no CRF is needed for."""

from experiments.rows.trained import Behind


class Affine(Behind, kind="affine"):
    """A matrix and a bias on the logits of another row's network, which stays as it is."""

    head = "affine"
