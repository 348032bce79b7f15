"""A clock that stands still until a test moves it.

Who calls: pure tests, wherever a function takes `wall` or `monotonic` as a callable.
Promises: `advance` moves both hands together; `set_wall` moves only the wall clock, as an
administrator or NTP does. Limits: the monotonic hand never goes back, and nothing sleeps.
"""


class Clock:
    """Two hands: hand over the methods `wall` and `monotonic` where a clock is wanted."""

    def __init__(self, wall: float = 1_762_250_400.0, monotonic: float = 1_000.0) -> None:
        self._wall = wall
        self._monotonic = monotonic

    def wall(self) -> float:
        """Seconds since the epoch, like time.time."""
        return self._wall

    def monotonic(self) -> float:
        """Seconds since some start, like time.monotonic."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError(f"advance({seconds}): time does not go back; use set_wall")
        self._wall += seconds
        self._monotonic += seconds

    def set_wall(self, wall: float) -> None:
        """Set the wall clock alone, forwards or backwards."""
        self._wall = wall
