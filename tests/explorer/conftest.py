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


@pytest.fixture(scope="session")
def address(tmp_path_factory) -> str:
    """Of the page that needs nothing installed."""
    from tools.explorer import page

    path = tmp_path_factory.mktemp("explorer") / "index.html"
    page.write(path)
    return path.as_uri()


@pytest.fixture
def page(browser, address) -> Iterator[Browser]:
    """A browser in which it has just been opened."""
    browser.open(address)
    browser.rest()
    yield browser
    assert browser.errors() == []
