"""`install`: the drop-in under the name `pydensecrf`, for code that nobody may edit."""

from __future__ import annotations

import importlib
import sys
import warnings

_REAL, _OURS = "pydensecrf", "crfrnn.pydensecrf"
_PARTS = ("densecrf", "utils", "eigen")


def install(replace: bool = False) -> bool:
    """Make `import pydensecrf`, from now on and in this process, import the drop-in.

    To be called before the code that imports pydensecrf: `import pydensecrf.densecrf as dcrf`,
    `from pydensecrf.utils import unary_from_softmax` and the like then find `crfrnn.pydensecrf`.
    For a whole program, its processes included, unedited:

        python -m crfrnn.pydensecrf script.py its arguments

    Args:
        replace: what happens where pydensecrf (or its fork pydensecrf2) is installed and works.
            False: it stays, and a warning says so. True: the drop-in takes its name; modules that
            have imported the other keep it.

    Returns:
        Whether `pydensecrf` is the drop-in now.

    Warns:
        UserWarning: pydensecrf is installed, and stays; or it cannot be imported, and gives way.

    Example:

    >>> install(replace=True)  # doctest: +SKIP
    True
    >>> import pydensecrf.densecrf as dcrf  # doctest: +SKIP
    """
    package = importlib.import_module(_OURS)
    if not replace and sys.modules.get(_REAL) is not package and _real_works():
        return False
    for name in [name for name in sys.modules if name.split(".")[0] == _REAL]:
        del sys.modules[name]
    sys.modules[_REAL] = package
    for part in _PARTS:
        sys.modules[f"{_REAL}.{part}"] = importlib.import_module(f"{_OURS}.{part}")
    return True


def _real_works() -> bool:
    """Whether pydensecrf itself can be imported; warns where it is there at all."""
    try:
        real = importlib.import_module(f"{_REAL}.densecrf")
    except ModuleNotFoundError as error:
        if error.name == _REAL:
            return False
        reason: Exception = error
    except Exception as error:  # built for another NumPy or another Python
        reason = error
    else:
        warnings.warn(
            f"pydensecrf is installed ({real.__file__}) and stays in use. Use "
            "install(replace=True), or --replace on the command line, for the drop-in of crfrnn.",
            stacklevel=3,
        )
        return True
    warnings.warn(
        f"pydensecrf is installed and cannot be imported ({reason}). The drop-in of crfrnn takes "
        "its place.",
        stacklevel=3,
    )
    return False
