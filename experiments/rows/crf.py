"""A CRF behind a network that does not change."""

from experiments.rows.trained import Behind


class CRF(Behind, kind="crf"):
    """A CRF, trained behind the trained network of another row, which stays as it is."""

    has_crf = True
    compares = True
    head = "crf"
