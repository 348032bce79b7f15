"""Hosts, client addresses and targets that are forged: nothing opens, nothing is believed."""

import socket

import pytest

from functional.hostile.raw_requests import HOST, answers_of, lone_sidecar
from support.http_client import fetch, raw_request
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar, destination
from support.processes import LOOPBACK


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
