"""A drop-in for pydensecrf: code written for it runs after changing only its import lines.

    import pydensecrf.densecrf as dcrf          ->  import crfrnn.pydensecrf.densecrf as dcrf
    from pydensecrf.utils import ...            ->  from crfrnn.pydensecrf.utils import ...

Code that nobody may edit runs as it is after `crfrnn.pydensecrf.install()`; a whole program with

    python -m crfrnn.pydensecrf script.py its arguments

Names, arguments, defaults and results are those of pydensecrf 1.0 (and of its fork pydensecrf2); it
runs on crfrnn's lattice, on all cores, and needs NumPy only. New code is better off with
`crfrnn.refine` and `crfrnn.DenseCRF`: docs/conversion.md translates the parameters.

Differences, where pydensecrf crashes, or goes on with wrong numbers:

- What comes back are NumPy arrays (column-major, like Eigen's), not buffers of their own
  type; so no `np.array(Q)` is needed, though it works.
- A compatibility of the wrong size, an unknown normalisation, a bandwidth that is not positive, too
  many bandwidths, labels out of range, energies or a compatibility that are NaN: ValueError. Too
  few bandwidths, or "probabilities" that do not sum to 1 over the labels: a warning.
- Lattice coordinates have 32 bits; those of pydensecrf have 16 and wrap around when positions are
  far apart in bandwidths, so that distant points act as neighbours.
"""

from crfrnn.pydensecrf.alias import install

__all__ = ["install"]
