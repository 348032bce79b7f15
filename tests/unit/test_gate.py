"""The gate: nobody goes in any more, and who is inside comes out first."""

import threading

from openclick_milter.gate import Gate


def test_an_open_gate_lets_in() -> None:
    """Until it is closed."""
    gate = Gate()

    with gate.passing() as let_in:
        pass

    assert let_in


def test_a_closed_gate_lets_nobody_in() -> None:
    """A message that comes to its end then goes out as it came."""
    gate = Gate()

    came_out = gate.close(0)
    with gate.passing() as let_in:
        pass

    assert came_out
    assert not let_in


def test_closing_waits_for_who_is_inside() -> None:
    """The process must not end between the first edit and the last."""
    gate, inside, goes_on = Gate(), threading.Event(), threading.Event()
    left: list[bool] = []

    def message() -> None:
        with gate.passing():
            inside.set()
            goes_on.wait(10)
            left.append(True)

    thread = threading.Thread(target=message)
    thread.start()
    inside.wait(10)

    early = gate.close(0)
    goes_on.set()
    late = gate.close(10)
    thread.join()

    assert (False, True) == (early, late)
    assert [True] == left


def test_a_fault_inside_counts_as_coming_out() -> None:
    """An exception on its way does not keep the process for ever."""
    gate = Gate()

    try:
        with gate.passing():
            raise ValueError
    except ValueError:
        came_out = gate.close(0)

    assert came_out
