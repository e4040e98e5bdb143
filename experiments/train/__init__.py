"""From cases to trained networks and what they predict.

In come settings (`config.Config`) and cases of `data`; out come models, their histories, and the
logits of every case. inputs (slices, or volumes whole) > augment (batches changed at random) >
models > loop (training) > predict.
"""
