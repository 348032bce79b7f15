"""The bound on hits that wait for the disk."""

from openclick_sidecar.gate import Gate


def a_gate(most: int) -> tuple[Gate, list[bool]]:
    """Return a gate, and a list that grows by its state whenever it moves."""
    gate = Gate(most)
    moves: list[bool] = []
    gate.watch(lambda: moves.append(gate.shut))
    return gate, moves


def test_shuts_at_the_bound() -> None:
    """Its watchers hear of it once."""
    gate, moves = a_gate(4)

    for _ in range(6):
        gate.enter()

    assert [True] == moves
    assert (6, 1) == (gate.waiting, gate.pauses)


def test_opens_at_half() -> None:
    """Not with the first hit that is through: reading in fits and starts costs more."""
    gate, moves = a_gate(4)
    for _ in range(4):
        gate.enter()
    gate.leave()
    assert gate.shut

    gate.leave()

    assert not gate.shut
    assert [True, False] == moves
    assert 2 == gate.passed


def test_hears_nothing_below_the_bound() -> None:
    """A hit that comes and goes moves nothing."""
    gate, moves = a_gate(4)

    for _ in range(100):
        gate.enter()
        gate.enter()
        gate.leave()
        gate.leave()

    assert [] == moves
    assert (0, 200) == (gate.waiting, gate.passed)
