"""Images larger than memory, in tiles, without seams: dask arrays -> dask arrays.

In: an image and its probabilities as dask arrays, of zarr, HDF5, a mapped file. Out: a lazy dask
array of what `crfrnn.refine` would return, to the last bit whatever the tiles. Stands on `offline`.

>>> import dask.array as da
>>> import numpy as np
>>> from crfrnn import large
>>> rng = np.random.default_rng(0)
>>> image = da.from_array(np.repeat(rng.uniform(0, 255, (60, 80, 3)), 2, axis=0))
>>> probs = da.from_array(rng.dirichlet(np.ones(2), (120, 80)))
>>> crf = dict(theta_alpha=5, theta_beta=30, theta_gamma=1, bilateral_weight=5, spatial_weight=1)
>>> refined = large.refine(image, probs, **crf, tile=64)
>>> refined.chunks
((64, 56), (64, 16), (2,))
>>> refined.argmax(-1).compute().shape
(120, 80)
"""

from crfrnn.large.plan import Plan, plan
from crfrnn.large.refine import refine

__all__ = ["Plan", "plan", "refine"]
