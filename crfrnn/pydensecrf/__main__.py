"""Run a program written for pydensecrf, unedited, on crfrnn.

    python -m crfrnn.pydensecrf [--replace] SCRIPT.py [ARGUMENTS]
    python -m crfrnn.pydensecrf [--replace] -m MODULE [ARGUMENTS]

The processes it starts find the drop-in as well. Where pydensecrf is installed and works, it stays
in use unless --replace is given.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from crfrnn.pydensecrf.alias import install


def main(arguments: list[str]) -> None:
    """Run a script or a module with the drop-in in pydensecrf's place.

    Args:
        arguments: what follows `python -m crfrnn.pydensecrf`.
    """
    replace = arguments[:1] == ["--replace"]
    arguments = arguments[replace:]
    as_module = arguments[:1] == ["-m"]
    program = arguments[as_module:]
    if not program or program[0].startswith("-"):
        sys.exit(__doc__)
    if install(replace):
        # Processes that this one starts have modules of their own. They inherit the variable, or,
        # if multiprocessing starts them, the path.
        folder = str(Path(__file__).with_name("elsewhere"))
        others = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, others] if others else [folder])
        sys.path.insert(1, folder)
    sys.argv = program
    if as_module:
        runpy.run_module(program[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(program[0]).resolve().parent)
        runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
