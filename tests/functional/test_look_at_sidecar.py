"""What the doctor makes of whatever answers where the sidecar should."""

from dataclasses import replace

import pytest

from openclick.option_kinds import HostPort
from openclick.settings import Config
from openclick_admin.doctor.facts import Answer, SidecarFacts
from openclick_admin.doctor.gather_sidecar import look_at_sidecar
from support.processes import LOOPBACK, free_port
from support.scripted_server import answering, server

READ_BYTES = 65_536
"""What is read of an answer."""


def look(answer: bytes) -> SidecarFacts:
    """Look for a sidecar where a program says one thing to everybody."""
    config = Config()
    with server(port := free_port(), answering(answer)):
        metrics = (HostPort(LOOPBACK, port),)
        sidecar = replace(config.sidecar, listen=(), metrics_listen=metrics)
        api = replace(config.api, listen=())
        return look_at_sidecar(replace(config, sidecar=sidecar, api=api), "")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 404 Not Found\r\n\r\n<html>\n<p>There is no such page.</p>\n</html>\n",
        b"HTTP/1.0 200 OK\r\n\r\n# HELP up x\nup 1\nup_since 2026-11-27 08:00\n",
        b"HTTP/1.0 503 Service Unavailable\r\n\r\nclosed for lunch\n",
    ],
    ids=["web server", "another exporter", "busy"],
)
def test_another_program_has_the_port_of_the_metrics(answer: bytes) -> None:
    """It is named as that; what it says is taken neither for numbers nor for a reason of ours."""
    found = look(answer)

    assert [Answer.OTHER] == [port.answer for port in found.ports]
    assert ((), {}) == (found.not_ready, found.samples)


@pytest.mark.parametrize("last", [b"openclick_y 12", b'openclick_y{domain="news.kont'])
def test_more_metrics_than_are_read(last: bytes) -> None:
    """Of a thousand domains, say: the line in which the reading ends is no number."""
    first = b"openclick_x 1\n"
    filling = b"#" * (READ_BYTES - len(first) - len(last) - 1) + b"\n"

    found = look(b"HTTP/1.0 200 OK\r\n\r\n" + first + filling + last + b"34\n")

    assert {"openclick_x": 1.0} == found.samples
