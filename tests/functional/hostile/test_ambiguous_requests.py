"""Smuggling and pipelining: real sockets, the real process."""

import re

import pytest

from functional.hostile.raw_requests import GOOD, HOST, LAST, answers_of
from support.http_client import raw_request
from support.lone_sidecar import LoneSidecar, destination

SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


def with_fields(*lines: bytes, method: bytes = b"GET", rest: bytes = b"") -> bytes:
    """Return a request for robots.txt with more fields, and what follows its header."""
    fields = b"".join(line + b"\r\n" for line in lines)
    return method + b" /robots.txt HTTP/1.1\r\n" + HOST + fields + b"\r\n" + rest


REFUSED = {
    # each ends with 400 and a close: whatever stands behind it is never looked at
    "CL and TE": with_fields(
        b"Content-Length: 6", b"Transfer-Encoding: chunked", method=b"POST", rest=b"0\r\n\r\nG"
    ),
    "TE and CL": with_fields(
        b"Transfer-Encoding: chunked", b"Content-Length: 6", method=b"POST", rest=b"0\r\n\r\nG"
    ),
    "CL twice, equal": with_fields(b"Content-Length: 0", b"Content-Length: 0"),
    "CL twice, not equal": with_fields(b"Content-Length: 0", b"Content-Length: 44"),
    "CL as a list": with_fields(b"Content-Length: 0, 0"),
    "CL with a sign": with_fields(b"Content-Length: +0"),
    "CL in hexadecimal": with_fields(b"Content-Length: 0x0"),
    "CL empty": with_fields(b"Content-Length:"),
    "CL with a body": with_fields(b"Content-Length: 3", method=b"POST", rest=b"abc"),
    "GET with a body": with_fields(b"Content-Length: %d" % len(SMUGGLED), rest=SMUGGLED),
    "CL beyond any number": with_fields(b"Content-Length: " + b"9" * 30),
    "chunked": with_fields(
        b"Transfer-Encoding: chunked", method=b"POST", rest=b"3\r\nabc\r\n0\r\n\r\n"
    ),
    "chunked, a bad size": with_fields(
        b"Transfer-Encoding: chunked", method=b"POST", rest=b"zz\r\n\r\n"
    ),
    "TE twice": with_fields(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity, x"),
    "TE unknown": with_fields(b"Transfer-Encoding: xchunked"),
    "TE with a tab": with_fields(b"Transfer-Encoding:\tchunked"),
    "TE hidden by a blank": with_fields(b"Transfer-Encoding : chunked"),
    "CL hidden by a fold": with_fields(b"X: y", b" z", b"Content-Length: 3", rest=b"abc"),
    "a line without a colon": with_fields(b"nonsense"),
    "two Hosts": with_fields(b"Host: evil.example"),
    "no Host": b"GET /robots.txt HTTP/1.1\r\n\r\n",
    "absolute-form": b"GET http://evil.example/robots.txt HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority-form": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "method in lower case": b"get /robots.txt HTTP/1.1\r\n" + HOST + b"\r\n",
    "no method": b" /robots.txt HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /robots.txt\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": b"GET /robots.txt HTTP/1.2\r\n" + HOST + b"\r\n",
    "a blank in the target": b"GET /robots.txt /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab in the request line": b"GET\t/robots.txt\tHTTP/1.1\r\n" + HOST + b"\r\n",
    "raw bytes in the target": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in the target": b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a line too long": b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a field too long": with_fields(b"X: " + b"x" * 9000),
    "501 fields": with_fields(*[b"X%d: y" % number for number in range(501)]),
    "fields too large in all": with_fields(*[b"X%d: %s" % (n, b"y" * 3000) for n in range(12)]),
    "TLS on a plain port": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
    "a PROXY header": b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\n" + GOOD,
    "bare LF": GOOD.replace(b"\r\n", b"\n") + b"\r\n\r\n",
}
ANSWERED = {
    # what is answered, how often, and that the connection goes on
    "pipelined": (GOOD * 5, [200] * 5),
    "an empty line in front": (b"\r\n" + GOOD, [200]),
    "CL of 0": (with_fields(b"Content-Length: 0"), [200]),
    "Expect": (with_fields(b"Expect: 100-continue"), [200]),
    "Upgrade": (with_fields(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings"), [200]),
    "an obsolete fold": (with_fields(b"X: y", b" z"), [200]),
    "HEAD between two": (GOOD + GOOD.replace(b"GET", b"OPTIONS") + GOOD, [200, 204, 200]),
    "a method of no meaning": (GOOD.replace(b"GET", b"PURGE"), [405]),
    "an escaped line end in the target": (
        b"GET /%0d%0aX:%20y HTTP/1.1\r\n" + HOST + b"\r\n",
        [404],
    ),
    "NUL in the target, escaped": (b"GET /%00 HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "63 fields": (with_fields(*[b"X%d: y" % number for number in range(63)]), [200]),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_ambiguous_is_refused(sidecar: LoneSidecar, data: bytes) -> None:
    """At most one answer, 400, and then the end: nothing behind it is taken for a request."""
    received = raw_request(sidecar.port, data + SMUGGLED + LAST)

    assert answers_of(received)[1:] == []
    assert [status for status, _ in answers_of(received)] in ([400], [])


@pytest.mark.parametrize("case", ANSWERED.values(), ids=ANSWERED)
def test_what_is_clear_is_answered(sidecar: LoneSidecar, case: tuple[bytes, list[int]]) -> None:
    """One answer a request, in order, and the next request after it."""
    data, statuses = case

    received = raw_request(sidecar.port, data + LAST)

    assert [*statuses, 200] == [status for status, _ in answers_of(received)]
    assert b"There is nothing else to see here" in answers_of(received)[-1][1]


@pytest.mark.parametrize("value", [b"a\x00b", b"a\x0bb", b"a\x7fb", b"\xff"])
def test_control_bytes_in_a_field(sidecar: LoneSidecar, value: bytes) -> None:
    """Refused or answered as the parser has it, but never more than one answer."""
    received = raw_request(sidecar.port, with_fields(b"X: " + value) + LAST)

    statuses = [status for status, _ in answers_of(received)]
    assert statuses in ([400], [200, 200])


def test_a_body_is_never_waited_for(sidecar: LoneSidecar) -> None:
    """A client that announces a gigabyte is answered and cut before it has sent a byte of it."""
    received = raw_request(
        sidecar.port, with_fields(b"Content-Length: 1000000000", method=b"POST"), timeout=5
    )

    assert [400] == [status for status, _ in answers_of(received)]


def test_hits_are_pipelined_one_at_a_time(sidecar: LoneSidecar) -> None:
    """Three clicks at once on one connection: three redirects, in order, three hits."""
    numbers = range(9001, 9004)
    requests = [
        f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n"
        for path in sidecar.links(numbers).values()
    ]

    received = raw_request(sidecar.port, b"".join(requests) + LAST)

    assert [destination(number).encode() for number in numbers] == re.findall(
        rb"Location: ([^\r]+)", received
    )
    assert set(numbers) <= set(sidecar.recorded())
