"""Which notebooks can run here: prints those, and says on stderr what the others need.

    python -m notebooks.runnable notebooks/*.ipynb

The extra `notebooks` has what all the others import; only PyTorch and MONAI may be missing.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

MAY_BE_MISSING = ("monai", "torch")


def missing(notebook: Path) -> list[str]:
    """The packages that a notebook imports, may do without, and does not find."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    first = next(cell for cell in cells if cell["cell_type"] == "code")  # has all its imports
    names = re.findall(r"^(?:import|from) (\w+)", "".join(first["source"]), re.MULTILINE)
    return [n for n in MAY_BE_MISSING if n in names and importlib.util.find_spec(n) is None]


def main(names: list[str]) -> None:
    """Print the names of the notebooks that can run, on one line."""
    lacks = {name: missing(Path(name)) for name in names}
    for name, packages in lacks.items():
        if packages:
            print(f"{name} is left out, it needs: {', '.join(packages)}", file=sys.stderr)
    print(*(name for name, packages in lacks.items() if not packages))


if __name__ == "__main__":
    main(sys.argv[1:])
