"""A network and a CRF behind it."""

from experiments.rows.trained import Trained


class Joint(Trained, kind="joint"):
    """A network and a CRF, trained together; the CRF starts at the search of the row it is of."""

    pretrained = True
    has_crf = True
    compares = True
    head = "crf"
