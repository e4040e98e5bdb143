"""crfrnn info"""

from __future__ import annotations

import importlib.metadata
import json
import platform

import click

from crfrnn._version import __version__
from crfrnn.cores import num_cores
from crfrnn.filtering.native import native_status

PACKAGES = (
    *("click", "filelock", "h5py", "jax", "keras", "matplotlib", "nibabel", "numpy"),
    *("opencv-python-headless", "optuna", "pillow", "scipy", "SimpleITK", "tensorflow", "tifffile"),
    *("torch", "tqdm"),
)


@click.command(short_help="What is installed; useful in a bug report.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def info(as_json: bool) -> None:
    """What is installed: versions, and whether the native library is there.

    Please add the output to a bug report.
    """
    facts = {
        "crfrnn": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": num_cores(),
        "native library": native_status(),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            click.echo(f"{name}:")
            for key, entry in value.items():
                click.echo(f"  {key:22} {'-' if entry is None else entry}")
        else:
            click.echo(f"{name:18} {value}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
