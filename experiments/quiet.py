"""TensorFlow without its start-up lines, which would tear the progress bars and hide our own."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable
from typing import Any

# Of oneDNN, of GPU drivers that are not there, of the log itself: information and warnings, as
# absl writes them since TensorFlow 2.17, and as before.
CHATTER = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} \d\d|\d{4}-\d\d-\d\d [\d:.]+: [IW] "
)


def tensorflow() -> None:
    """Let TensorFlow be imported quietly, whoever in this process imports it, and when.

    TF_CPP_MIN_LOG_LEVEL is heeded only by what comes later. What is no chatter is still shown, and
    everything is when the import fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as the others do, and turns the error stream aside while it is run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _without_chatter(lambda: run(module))
        return spec


def _without_chatter(run: Callable[[], Any]) -> None:
    # The file descriptor, not sys.stderr: the lines come from C++.
    shown, chatter = os.dup(2), CHATTER
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            run()
        except BaseException:
            chatter = re.compile(rb"(?!)")  # nothing is
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            aside.seek(0)
            for line in aside:
                if not chatter.match(line):
                    os.write(2, line)
