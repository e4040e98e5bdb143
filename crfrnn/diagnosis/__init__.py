"""What a CRF did to one case, and why.

In: an image, probabilities or logits, perhaps the truth. Out: numbers, sentences, a figure.
Stands on `parameters` and `offline`; the doors import it.
"""
