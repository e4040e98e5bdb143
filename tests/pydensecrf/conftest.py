"""pydensecrf itself, where it is installed."""

import pytest

from tests.pydensecrf.calls import modules


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("pydensecrf.densecrf", reason="the extra `bench` has pydensecrf2")
    return modules("pydensecrf")
