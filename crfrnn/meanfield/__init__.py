"""Mean field: unaries and an image, or ready kernels -> refined logits or probabilities.

In: unaries (B, *S, L) and an image (B, *S, K), of arrays or tensors. Out: refined logits, the same
kind. Stands on `filtering`; `layers`, `offline` and all above import it.
"""
