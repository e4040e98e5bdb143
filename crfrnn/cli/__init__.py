"""The `crfrnn` command: the offline CRF on files."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `crfrnn` command with the arguments of this process."""
    try:
        import click  # noqa: F401
        import filelock  # noqa: F401
        import tqdm  # noqa: F401
    except ImportError as error:
        sys.exit(
            f"The crfrnn command needs the package {error.name}, which is not installed.\n"
            "Install what it needs: pip install 'crfrnn[cli]' (in a clone: '.[cli]')"
        )
    try:
        from crfrnn.cli.commands import crfrnn

        crfrnn(prog_name="crfrnn")
    except KeyboardInterrupt:  # while all this is imported; later the commands see to it
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)
