"""The SMTP sink keeps messages byte for byte, whatever is in them."""

import socket
import time

import pytest

from support.messages import send
from support.processes import WaitTimeoutError
from support.smtp_sink import LINE_LIMIT, SmtpSink

HEAD = b"Subject: x\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b".\r\n..\r\n.x\r\n",
        b"nul \0 high \xff\xfe bare \r cr\r\n",
        b"x" * LINE_LIMIT + b"\r\n",
        b"\r\n\r\n\r\n",
        b"",
    ],
    ids=["dots", "odd bytes", "line of 1 MB", "empty lines", "no body"],
)
def test_keeps_every_byte(sink: SmtpSink, body: bytes) -> None:
    """Only the dot-stuffing is undone."""
    result = send(sink, "a@x.example", ["b@y.example"], HEAD + body)
    [kept] = sink.wait_for(1)

    assert result.accepted
    assert kept.content == HEAD + body
    assert (kept.headers_bytes, kept.body_bytes) == (b"Subject: x\r\n", body)


def test_keeps_envelope_and_options(sink: SmtpSink) -> None:
    """Null sender, recipients in order, what MAIL said besides."""
    recipients = ["b@y.example", "jürgen@y.example"]

    send(sink, "", recipients, HEAD, mail_options=["BODY=8BITMIME", "SMTPUTF8"])
    [kept] = sink.wait_for(1)

    assert (kept.sender, kept.recipients) == ("", tuple(recipients))
    assert set(kept.mail_options) == {"BODY=8BITMIME", "SMTPUTF8"}


def test_takes_a_large_message(sink: SmtpSink) -> None:
    """20 MB of ordinary lines."""
    raw = HEAD + (b"y" * 998 + b"\r\n") * 20_000

    result = send(sink, "a@x.example", ["b@y.example"], raw)
    [kept] = sink.wait_for(1)

    assert result.accepted
    assert kept.content == raw


def test_refuses_when_told(sink: SmtpSink) -> None:
    """A refused message is not kept."""
    sink.refuse("554 5.7.1 no")

    result = send(sink, "a@x.example", ["b@y.example"], HEAD)
    sink.refuse(None)

    assert (result.code, sink.messages) == (554, [])


def test_waiting_in_vain_says_what_came(sink: SmtpSink) -> None:
    """The error names both counts."""
    with pytest.raises(WaitTimeoutError, match="0 of 1 messages"):
        sink.wait_for(1, timeout=0.05)


def test_close_cuts_a_client_that_stays() -> None:
    """An open session ends, the port is free, closing twice is fine."""
    sink = SmtpSink()
    started = time.monotonic()

    with socket.create_connection((sink.host, sink.port), 10) as client:
        greeting = client.recv(100)
        sink.close()
        sink.close()
        try:
            ending = client.recv(100)
        except ConnectionResetError:
            ending = b""

    assert (greeting[:4], ending) == (b"220 ", b"")
    assert time.monotonic() - started < 5
    with SmtpSink(sink.port) as again:
        assert again.port == sink.port
