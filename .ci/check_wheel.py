"""Use an installed crfrnn where there is nothing but what it brings: NumPy; run by .ci/wheel."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import numpy as np

import crfrnn
from crfrnn.pydensecrf import densecrf, utils

installed = {distribution.name for distribution in importlib.metadata.distributions()}
if installed - {"pip", "setuptools"} != {"crfrnn", "numpy"}:
    sys.exit(f"expected crfrnn and NumPy; installed: {sorted(installed)}")

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
image, probs = random.normal(size=(9, 7, 3)), random.dirichlet((1, 1), (9, 7))
thetas = dict(theta_alpha=3.0, theta_beta=2.0, theta_gamma=1.5)
refined = crfrnn.refine(image, probs, **thetas, bilateral_weight=1.0, spatial_weight=1.0)
if not np.allclose(refined.sum(-1), 1, atol=1e-5) or np.allclose(refined, probs, atol=0.1):
    sys.exit("refine does not refine")
crf = densecrf.DenseCRF2D(6, 4, 2)
crf.setUnaryEnergy(utils.unary_from_softmax(random.dirichlet((1, 1), 24).T))
crf.addPairwiseGaussian(sxy=3, compat=3)
if not np.allclose(np.sum(crf.inference(5), axis=0), 1):
    sys.exit("the drop-in for pydensecrf does not work")

program = Path(sys.executable).with_name("crfrnn")
command = subprocess.run([program, "info"], capture_output=True, text=True)
if "crfrnn[cli]" not in command.stderr:
    sys.exit(f"the command does not say what it needs: {command.stderr}")
try:
    crfrnn.CRFRNN(theta_alpha=8.0, theta_beta=0.5, theta_gamma=2.0)
except ImportError as error:
    if "crfrnn[tensorflow]" not in str(error):
        sys.exit(f"the layer does not say what it needs: {error}")
print("wheel works")
