"""Use an installed crfrnn without any deep-learning framework; run by .ci/wheel."""

import importlib.util
import sys

import numpy as np

import crfrnn

for framework in ("keras", "tensorflow", "jax", "torch"):
    if importlib.util.find_spec(framework):
        sys.exit(f"{framework} is installed here, so this check would prove nothing")

print("installed in", crfrnn.__path__[0])
print("native library:", crfrnn.native_status())
random = np.random.default_rng(0)
values = random.normal(size=(300, 4)).astype("float32")
positions = random.normal(size=(300, 5)).astype("float32")
exact = crfrnn.gaussian_filter(values, positions, method="exact")
lattice = crfrnn.gaussian_filter(values, positions, native=True)
portable = crfrnn.gaussian_filter(values, positions, native=False)
print("native against portable lattice, largest difference:", np.abs(lattice - portable).max())
# The two lattices are one method, equal up to rounding; the exact filter is what they approximate.
same = np.abs(lattice - portable).max() < 1e-5
similar = np.corrcoef(lattice.ravel(), exact.ravel())[0, 1] > 0.9
if not (same and similar):
    sys.exit("the filters of the wheel disagree")
print("wheel works")
