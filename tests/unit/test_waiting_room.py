"""The bound on hits that wait for the disk."""

from openclick_sidecar.waiting_room import WaitingRoom


def a_room(most: int) -> tuple[WaitingRoom, list[bool]]:
    """Return a room, and a list that grows by its state whenever that changes."""
    room = WaitingRoom(most)
    moves: list[bool] = []
    room.watch(lambda: moves.append(room.full))
    return room, moves


def test_full_at_the_bound() -> None:
    """Its watchers hear of it once."""
    room, moves = a_room(4)

    for _ in range(6):
        room.enter()

    assert [True] == moves
    assert (6, 1) == (room.waiting, room.pauses)


def test_has_room_again_at_half() -> None:
    """Not with the first hit that is through: reading in fits and starts costs more."""
    room, moves = a_room(4)
    for _ in range(4):
        room.enter()
    room.leave()
    assert room.full

    room.leave()

    assert not room.full
    assert [True, False] == moves
    assert 2 == room.passed


def test_nothing_is_told_below_the_bound() -> None:
    """A hit that comes and goes moves nothing."""
    room, moves = a_room(4)

    for _ in range(100):
        room.enter()
        room.enter()
        room.leave()
        room.leave()

    assert [] == moves
    assert (0, 200) == (room.waiting, room.passed)
