"""The `crfrnn` command: the offline CRF on files."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `crfrnn` command with the arguments of this process."""
    try:
        import click  # noqa: F401
        import tqdm  # noqa: F401
    except ImportError as error:
        sys.exit(
            f"The crfrnn command needs the package {error.name}, which is not installed.\n"
            "Install what it needs: pip install 'crfrnn[cli]' (in a clone: '.[cli]')"
        )
    from crfrnn.cli.commands import crfrnn

    crfrnn(prog_name="crfrnn")
