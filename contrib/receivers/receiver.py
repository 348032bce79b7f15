"""A receiver of OpenClick's webhooks: checks the signature, prints each event once.

    WEBHOOK_SECRET=whsec_... python3 receiver.py [PORT]

Standard library only.  `verify` is what to take over into your own application: give it the raw
bytes of the body, as they came.
"""

import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_SECONDS = 300
MAX_BODY_BYTES = 10_000_000

seen: set[str] = set()
"""In your application: where it outlives a restart."""


class BadSignature(Exception):
    """The request does not come from who holds the secret, or comes too late."""


def verify(secret: str, header: str, body: bytes, now: float) -> None:
    """Check an Anypost-Signature; raises BadSignature."""
    pairs = [part.strip().partition("=")[::2] for part in header.split(",")]
    stamps = [value for key, value in pairs if key == "t"]
    if len(stamps) != 1 or not stamps[0].isdecimal():
        raise BadSignature("no timestamp")
    if abs(now - int(stamps[0])) > TOLERANCE_SECONDS:
        raise BadSignature("too old")
    signed = stamps[0].encode("ascii") + b"." + body
    expected = hmac.new(secret.encode("utf-8"), signed, hashlib.sha256).hexdigest().encode("ascii")
    # During a rotation there are two signatures; whoever holds either secret finds one.
    candidates = [value.encode("utf-8") for key, value in pairs if key == "v1"]
    if not any(hmac.compare_digest(expected, candidate) for candidate in candidates):
        raise BadSignature("no signature matches")


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 for a batch, 400 for what is none."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take one batch."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self.answer(413)
            return
        body = self.rfile.read(length)
        try:
            header = self.headers.get("Anypost-Signature", "")
            verify(os.environ["WEBHOOK_SECRET"], header, body, time.time())
        except BadSignature:
            self.answer(400)
            return
        for event in json.loads(body)["events"]:
            if event["id"] not in seen:
                seen.add(event["id"])
                print(event["id"], event["type"], flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        """Send an answer without a body."""
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write no access log."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
