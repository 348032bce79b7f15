"""The connections of readers: makes a channel for each, and ends those that overstay.

Made by `service`, called by the reactor for each connection that `listeners` lets in; `sweep` is
called once a second.  Promises: each connection has one deadline, which its `channel` sets and no
byte moves; what has ended is told to `on_end`, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory

from openclick_sidecar.channel import HitChannel, OnRequest
from openclick_sidecar.client_address import ClientAddresses
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.waiting_room import WaitingRoom

ANSWER_SECONDS = 30.0
"""What a request under way has beyond the deadline of its header block."""


class HitFactory(ServerFactory):
    """Makes channels and ends those that overstay; `sweep` is called once a second.

    `on_end` is told the peer of each connection that has ended.
    """

    noisy = False

    def __init__(
        self,
        on_request: OnRequest,
        monotonic: Callable[[], float],
        *,
        clients: ClientAddresses,
        room: WaitingRoom,
        counters: HitCounters,
        on_end: Callable[[str], None] = lambda _host: None,
    ) -> None:
        self.on_request = on_request
        self.clients = clients
        self.room = room
        self.counters = counters
        self.draining = False
        self._monotonic = monotonic
        self._on_end = on_end
        self._deadlines: dict[HitChannel, float] = {}
        self._date_second = -1
        self._date = b""
        room.watch(self._room_has_changed)

    def buildProtocol(self, addr: IAddress | None) -> HitChannel:  # noqa: N802
        """Return the channel of a new connection."""
        channel = HitChannel(self, getattr(addr, "host", ""))
        channel.factory = self
        return channel

    def set_deadline(self, channel: HitChannel, seconds: float) -> None:
        """Give a connection `seconds` from now, whatever it sends meanwhile."""
        self._deadlines[channel] = self._monotonic() + seconds

    def forget(self, channel: HitChannel) -> None:
        """Drop a connection that has ended."""
        self._deadlines.pop(channel, None)
        self._on_end(channel.host)

    def sweep(self) -> None:
        """End every connection whose time is up; a request under way has some more."""
        now = self._monotonic()
        late = [
            channel
            for channel, deadline in self._deadlines.items()
            if deadline + ANSWER_SECONDS * channel.busy <= now
        ]
        for channel in late:
            self.counters.late_connections += 1
            channel.transport.abortConnection()

    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._deadlines)

    def end_idle(self) -> None:
        """Close every connection without a request under way; the others close once answered."""
        self.draining = True
        for channel in [c for c in self._deadlines if not c.busy]:
            channel.transport.loseConnection()

    def end_all(self) -> None:
        """Cut every connection."""
        for channel in list(self._deadlines):
            channel.transport.abortConnection()

    def date(self) -> bytes:
        """Return the Date value of this second."""
        second = int(time.time())
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).encode("ascii")
        return self._date

    def _room_has_changed(self) -> None:
        for channel in list(self._deadlines):
            if self.room.full:
                channel.pause_if_full()
            else:
                channel.read_on()
