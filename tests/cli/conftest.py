"""Leaves out the tests of the command where click, which it needs, is not here."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("click") else ["test_*.py"]
