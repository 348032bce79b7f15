"""The public listener against those who mean it ill: real sockets, the real process."""

import contextlib
import re
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from openclick_sidecar.channel import HEADER_SECONDS
from support.http_client import fetch, raw_request
from support.installation import InstallationUnavailable
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar, destination
from support.processes import LOOPBACK, wait_until

HOST = f"Host: {TRACKING_DOMAIN}\r\n".encode()
LORIS_ADDRESSES = [f"127.1.0.{number}" for number in range(1, 26)]
LORIS_PER_ADDRESS = 40
CAP_PER_ADDRESS = 30


def lone_sidecar(**settings: object) -> LoneSidecar:
    """Return a sidecar that is not started yet."""
    try:
        return LoneSidecar(**settings)
    except InstallationUnavailable as error:
        pytest.skip(str(error))  # not root: two users are needed


@pytest.fixture(scope="module")
def sidecar() -> Iterator[LoneSidecar]:
    """Give a sidecar with the settings that everybody begins with."""
    with lone_sidecar() as running:
        yield running


# --- smuggling and pipelining


def answers_of(received: bytes) -> list[tuple[int, bytes]]:
    """Read answers one after another, strictly; return status and body of each."""
    found = []
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end, received
        status = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
        assert status is not None, received
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        size = int(length[1]) if length else 0
        found.append((int(status[1]), rest[:size]))
        received = rest[size:]
    return found


GOOD = b"GET /robots.txt HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
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


# --- Host


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "EVIL.example",
        "evil.example:80",
        "evil.example.",
        "track.kontor.example.evil.example",
        "evil.example/track.kontor.example",
        "evil.example@track.kontor.example",
        "track.kontor.example@evil.example",
        "track.kontor.example, evil.example",
        "track.kontor.example evil.example",
        "track.kontor.example:80:90",
        "track.kontor.example:x",
        "track.kontor.example\\evil.example",
        "track.kontor.example#evil.example",
        "track.kontor.example?evil.example",
        "http://track.kontor.example",
        "xn--evil.example",
        "[::1]",
        "127.0.0.1",
        "localhost",
        "<script>evil.example</script>",
        "evil.example%00",
        "*",
        ".",
        "",
    ],
)
def test_a_confusing_host_gets_the_constant_404(sidecar: LoneSidecar, host: str) -> None:
    """No link opens, and nothing of what was sent comes back."""
    request = f"GET {sidecar.link(1)} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"

    received = raw_request(sidecar.port, request.encode())

    assert [(404, b"There is nothing here.\n")] == answers_of(received)
    assert b"evil" not in received
    assert b"Location" not in received


@pytest.mark.parametrize(
    "field", ["X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL"]
)
def test_no_other_field_names_the_host(sidecar: LoneSidecar, field: str) -> None:
    """What some proxies and frameworks believe counts for nothing."""
    value = "host=evil.example" if field == "Forwarded" else "evil.example"

    answer = sidecar.click(2, **{field: value})

    assert (302, destination(2)) == (answer.status, answer.header("location"))
    assert not any("evil" in text for _, text in answer.headers)


# --- the client's address


FORGED = {
    "X_Forwarded_For": "198.51.100.1",
    "Forwarded": "for=198.51.100.1",
    "X_Real_IP": "198.51.100.1",
    "True_Client_IP": "198.51.100.1",
    "CF_Connecting_IP": "198.51.100.1",
}


def test_forwarding_fields_are_ignored_by_default(sidecar: LoneSidecar) -> None:
    """Anybody may write them."""
    sidecar.click(3, **FORGED)

    assert LOOPBACK == sidecar.recorded()[3]


def test_a_trusted_proxy_is_believed() -> None:
    """The right-most hop that is no proxy; the others may be forged."""
    with lone_sidecar(trusted_proxies=["127.0.0.1"]) as sidecar:
        sidecar.click(1, X_Forwarded_For="198.51.100.1, 192.0.2.7")
        sidecar.click(2, X_Forwarded_For="198.51.100.1, [2001:DB8::7]:443, 127.0.0.1")
        sidecar.click(3, X_Forwarded_For="192.0.2.7, nonsense")
        from_elsewhere = raw_from(
            "127.0.0.2",
            sidecar.port,
            f"GET {sidecar.link(4)} HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7\r\n".encode()
            + HOST
            + b"Connection: close\r\n\r\n",
        )

        assert [302] == [status for status, _ in answers_of(from_elsewhere)]
        assert {1: "192.0.2.7", 2: "2001:db8::7", 3: LOOPBACK, 4: "127.0.0.2"} == (
            sidecar.recorded()
        )


def raw_from(source: str, port: int, data: bytes) -> bytes:
    """Send bytes from another address of this machine; return what comes until the end."""
    received = bytearray()
    with socket.create_connection((LOOPBACK, port), 10, (source, 0)) as peer:
        peer.sendall(data)
        while chunk := peer.recv(65_536):
            received += chunk
    return bytes(received)


# --- caps and slow clients


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process hold as many sockets as a thousand clients need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class SlowClient:
    """Sends a header that never ends, a byte at a time."""

    def __init__(self, source: str, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), 10, (source, 0))
        self._socket.setblocking(False)
        self._header = iter(b"GET /c/x HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 1000)
        self.gone = False

    def trickle(self) -> None:
        """Send one byte more, and notice the end."""
        try:
            self._socket.send(bytes([next(self._header)]))
            self.gone = self.gone or self._socket.recv(100) == b""
        except BlockingIOError:
            return
        except OSError:
            self.gone = True

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@pytest.mark.usefixtures("many_descriptors")
def test_a_thousand_slow_clients() -> None:
    """Good clients keep being answered, the caps hold, and the slow ones are cut in time.

    From 25 addresses, 40 connections each, of which 30 an address are let in.
    """
    with (
        lone_sidecar(max_connections_per_address=CAP_PER_ADDRESS) as sidecar,
        contextlib.ExitStack() as held,
    ):
        slow = [
            held.enter_context(contextlib.closing(SlowClient(source, sidecar.port)))
            for source in LORIS_ADDRESSES
            for _ in range(LORIS_PER_ADDRESS)
        ]
        began_at = time.monotonic()
        let_in = len(LORIS_ADDRESSES) * CAP_PER_ADDRESS
        most, good = 0.0, []

        while not all(client.gone for client in slow):
            assert time.monotonic() < began_at + HEADER_SECONDS + 10, "slow clients are still there"
            for client in slow:
                if not client.gone:
                    client.trickle()
            good.append(sidecar.click(len(good)).status)
            most = max(most, sidecar.metrics()["connections"])
            time.sleep(0.05)  # so that no header is used up before its deadline
        counted = sidecar.metrics()

        assert set(good) == {302}
        assert len(good) >= 5
        assert let_in <= most <= let_in + 1
        assert len(slow) - let_in == counted['refused_connections_total{cap="address"}']
        assert let_in == counted["late_connections_total"]
        assert set(range(len(good))) == set(sidecar.recorded())


def test_the_cap_in_all() -> None:
    """The one too many is closed at once; when somebody leaves, the next one is let in."""
    with lone_sidecar(max_connections=5) as sidecar:
        held = [socket.create_connection((LOOPBACK, sidecar.port), 10) for _ in range(5)]
        wait_until(lambda: sidecar.metrics()["connections"] == 5, 10, "five connections")

        refused = raw_request(sidecar.port, GOOD)
        held.pop().close()
        answered = wait_until(lambda: raw_request(sidecar.port, LAST), 10, "an answer")
        for each in held:
            each.close()

        assert b"" == refused
        assert answered.startswith(b"HTTP/1.1 200 ")
        assert sidecar.metrics()['refused_connections_total{cap="total"}'] >= 1


def test_fuzzed_fields_make_no_log_line(sidecar: LoneSidecar) -> None:
    """What strangers send is quoted nowhere raw, and fills no log."""
    before = sidecar.daemon.log_text()
    for number in range(100, 120):
        sidecar.click(number, User_Agent=f"\x1b[31m{number}\u202e".encode().decode("latin-1"))
    raw_request(sidecar.port, b"\x1b]0;evil\x07 / HTTP/1.1\r\n\r\n")

    after = sidecar.daemon.log_text()[len(before) :]

    assert "" == after


def test_every_redirect_list_payload_leads_nowhere(sidecar: LoneSidecar) -> None:
    """No parameter, path or suffix of a link's path makes the sidecar redirect elsewhere."""
    payloads = [
        "//evil.example",
        "/%2f%2fevil.example",
        "/\\evil.example",
        "/.evil.example",
        "/c/https://evil.example",
        "/c/aHR0cHM6Ly9ldmlsLmV4YW1wbGU",
        "/c?url=https://evil.example",
        "/?next=//evil.example",
        "/o/?u=https://evil.example",
        "/c/..%2f..%2fevil.example",
        "/robots.txt/https://evil.example",
    ]

    answered = [
        fetch(f"http://{TRACKING_DOMAIN}{path}", (LOOPBACK, sidecar.port)) for path in payloads
    ]

    assert not any(answer.header("location") for answer in answered)
    assert {answer.status for answer in answered} <= {200, 404}
