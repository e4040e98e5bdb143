"""Which CRF: images, probabilities and perhaps labels -> the five parameters.

In: arrays. Out: a first guess, or the result of a search, for `refine` and `CRFRNN` alike.
Stands on `offline`; `diagnosis` and the doors import it.
"""
