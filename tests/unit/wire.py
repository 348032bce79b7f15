"""A TCP connection in memory, with what Twisted's StringTransport lacks of one.

Who calls: tests of what is wrapped around the channel.
"""

from twisted.internet.testing import StringTransport


class Wire(StringTransport):
    """A connection whose other end is the test."""

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802 - Twisted's name
        """Nothing is delayed here."""
