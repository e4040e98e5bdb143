"""What the tests of the native library need: the library; and patience with their children."""

import os

import pytest

from crfrnn import native_status
from crfrnn.filtering.native import available

# Seconds after which a child that waits for ever is ended. Under a sanitizer, on a machine that is
# busy with other things, a second takes minutes.
HANGS = 900


def require() -> None:
    """Without the library a test or module is skipped, unless CI says that this is a failure."""
    if not available() and not int(os.environ.get("CRFRNN_REQUIRE_NATIVE", "0")):
        pytest.skip(f"no native library: {native_status()['error']}", allow_module_level=True)
