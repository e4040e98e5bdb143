"""The CRF on arrays: an image and the probabilities of any segmentation -> refined probabilities.

In: NumPy arrays of a user, checked here. Out: probabilities (*S, L). Stands on `meanfield`;
`parameters`, `diagnosis`, the command line and the other doors import it.
"""
