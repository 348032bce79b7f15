"""Room for connections, under limits that are not this process's own."""

import resource

import pytest

from openclick_sidecar.descriptors import KEPT_FOR_OURSELVES, make_room

INFINITY = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "room", "raised"),
    [
        (1024, 524_288, 4000, 4000, 4000 + KEPT_FOR_OURSELVES),
        (65_536, 524_288, 4000, 4000, 65_536),
        (1024, 2048, 4000, 2048 - KEPT_FOR_OURSELVES, 2048),
        (1024, INFINITY, 4000, 4000, 4000 + KEPT_FOR_OURSELVES),
        (INFINITY, INFINITY, 4000, 4000, INFINITY),
        (64, 64, 4000, 1, 64),
    ],
)
def test_room(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, connections: int, room: int, raised: int
) -> None:
    """The soft limit goes as high as needed and as the hard one allows, and is never lowered."""
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _which, new: limits.__setitem__(0, new))

    found = make_room(connections)

    assert room == found
    assert (raised, hard) == limits[0]
