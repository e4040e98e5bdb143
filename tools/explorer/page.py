"""`python -m tools.explorer.page [FILE]`: the explorer as one HTML file that needs no other."""

from __future__ import annotations

import base64
import gzip
import json
import sys
from pathlib import Path
from typing import Any

from crfrnn import files
from crfrnn.explorer.bundle import FRONT, bundled
from crfrnn.explorer.explore import for_pages
from tools.explorer.wasm import WASM

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "docs" / "explorer"
_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


def page() -> str:
    """The text of the page."""
    contents = {
        "/* style */": (FRONT / "explorer.css").read_text("utf-8"),
        "/* worker */": bundled("worker.js", [SOURCES]),
        "/* front */": bundled("page.js", [SOURCES, FRONT]),
        "/* data */": json.dumps(
            {"module": _text(gzip.compress(WASM.read_bytes(), 9, mtime=0))}
            | {"presets": for_pages(), "examples": _examples()}
        ),
    }
    text = (SOURCES / "index.template.html").read_text("utf-8")
    for mark, content in contents.items():
        # No text may end the element that it stands in.
        text = text.replace(mark, content.replace("</script", "<\\/script"))
    return text


def write(path: Path) -> None:
    """Write the page to a file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as part:
        part.write_text(page(), "utf-8")


def _examples() -> list[dict[str, Any]]:
    folder = SOURCES / "examples"
    examples = json.loads((folder / "examples.json").read_text("utf-8"))
    for example in examples:
        for role in ("picture", "labels", "truth"):
            if role in example:
                file = folder / example[role]
                example[role] = f"data:{_TYPES[file.suffix]};base64,{_text(file.read_bytes())}"
    return examples


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "explorer" / "index.html"
    write(path)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
