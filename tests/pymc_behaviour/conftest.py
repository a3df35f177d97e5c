"""PyMC's own graphs are interpreted here: compiling them takes longer than the tests."""

from collections.abc import Iterator

import pytensor
import pytest
from two_libraries import THEIRS


@pytest.fixture(autouse=True)
def interpreted(request: pytest.FixtureRequest) -> Iterator[None]:
    """For tests of PyMC's side."""
    arguments = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if arguments.get("lib") is THEIRS:
        with pytensor.config.change_flags(mode="FAST_COMPILE"):
            yield
    else:
        yield
