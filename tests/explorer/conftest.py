"""A headless Chromium; without one, or without Selenium, its tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.explorer.browser import Browser, started


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[Browser]:
    try:
        with started(tmp_path_factory.mktemp("chromium")) as found:
            yield found
    except (ImportError, RuntimeError) as error:
        pytest.skip(str(error))
