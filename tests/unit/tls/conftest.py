"""A CA, and a public TLS entrance that has its certificate, for every test of TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.authority import Authority
from unit.tls.tls_world import NAME, World


@pytest.fixture
def world(tmp_path: Path, ca: Authority) -> Iterator[World]:
    """Give an entrance that has a certificate for NAME; nothing may be left of its connections."""
    ca.put(tmp_path, NAME)
    made = World(tmp_path, ca)
    yield made
    made.end()
    assert made.admission.open == 0
    assert made.hits.connections() == 0
