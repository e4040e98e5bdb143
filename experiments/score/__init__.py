"""From what is predicted to numbers, and from numbers to what they are worth.

In come slices with their true labels, and logits; out come metrics per case (cases, metrics,
surfaces), and of differences of metrics their means, intervals and tests (stats).
"""
