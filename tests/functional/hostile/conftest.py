"""One sidecar a module, with the settings that everybody begins with."""

from collections.abc import Iterator

import pytest

from functional.hostile.raw_requests import lone_sidecar
from support.lone_sidecar import LoneSidecar


@pytest.fixture(scope="module")
def sidecar() -> Iterator[LoneSidecar]:
    """Give a sidecar with the settings that everybody begins with."""
    with lone_sidecar() as running:
        yield running
