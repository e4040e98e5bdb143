"""`python notebooks/gallery.py runs/notebooks docs/gallery`: a small picture of each notebook.

Takes the notebooks as `make notebooks` has run them, and of each the picture that is named below.
Without real data (`CRFRNN_DATA=/nowhere make notebooks`): what the gallery shows is made of
scikit-image's own pictures, the phantom and numbers, which anybody may pass on.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

from PIL import Image

from crfrnn.files import replacing

# Which of a notebook's pictures, by the first words of the code that draws it.
CHOSEN = {
    "01_images_and_edges": "row, column = 38, 66",
    "02_convolution_and_heat_maps": "answer = maps.argmax(-1)",
    "03_gaussian_filtering": "clean = transform.resize",
    "04_dense_crf": "photo = transform.resize",
    "05_joint_training": "change = [np.mean(a != b)",
    "06_choosing_bandwidths": "settings = {",
    "07_your_own_model": 'probs = own.predict(images["train"][:8]',
    "08_reading_the_results": "before, after = (values[row]",
    "09_monai": "chain = Compose([softmax, CRFRefined(",
}
WIDTH = 640  # pixels, at most
COLOURS = 128  # enough for a thumbnail, and a third of the bytes


def main(run: str, target: str) -> None:
    """Write the pictures of all notebooks."""
    Path(target).mkdir(exist_ok=True)
    for name, begins in CHOSEN.items():
        notebook = Path(run, f"{name}.ipynb")
        if not notebook.exists():  # one whose packages are not here
            print(f"{name} was not run: its picture stays as it is")
            continue
        picture = small(drawn(json.loads(notebook.read_text("utf-8")), begins))
        with replacing(Path(target, f"{name}.png")) as part:
            picture.save(part, "PNG", optimize=True)


def drawn(notebook: dict, begins: str) -> Image.Image:
    """The first picture that the cell with this beginning has drawn."""
    for cell in notebook["cells"]:
        if "".join(cell["source"]).startswith(begins):
            for output in cell.get("outputs", ()):
                if "image/png" in output.get("data", {}):
                    content = base64.b64decode(output["data"]["image/png"])
                    return Image.open(io.BytesIO(content)).convert("RGB")
    raise ValueError(f"Expected a cell that begins with {begins!r} and has drawn. Run it first.")


def small(picture: Image.Image) -> Image.Image:
    """The picture, at most `WIDTH` wide, in few colours."""
    picture.thumbnail((WIDTH, WIDTH))
    return picture.quantize(COLOURS, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main(*sys.argv[1:])
