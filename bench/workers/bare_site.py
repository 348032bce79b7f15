"""The bare anchor: a leaf resource of twisted.web that answers the image and records nothing.

    bare_site.py PORT

Everything stays as Twisted sets it: its Site, its reactor, its log, its limits.
"""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

_GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


class _Image(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def render_GET(self, request: Request) -> bytes:  # noqa: N802 - Twisted's name
        """Answer the image."""
        request.setHeader(b"content-type", b"image/gif")
        return _GIF


def main() -> None:
    """Serve until SIGTERM."""
    reactor.listenTCP(int(sys.argv[1]), Site(_Image()), interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
