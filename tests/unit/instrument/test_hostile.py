"""Bodies that are made to take long."""

from __future__ import annotations

import base64
import time

import pytest

from openclick_milter.instrument import (
    instrument,
)
from unit.instrument.one_message import (
    BASE64,
    BOTH,
    HTML,
    LIMITS,
    LINK,
    MINTER,
    QUOTED_PRINTABLE,
)

FIELDS_OF = {
    "html": HTML,
    "quoted-printable": QUOTED_PRINTABLE,
    "base64": BASE64,
    "multipart": [("Content-Type", "multipart/mixed; boundary=b")],
}


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        ("html", LINK),
        ("html", LINK + b"\r\n"),
        ("html", b"<a href='http://e.com/\r\n'>"),
        ("html", b"https://e.com/o/" + b"A" * 20),
        ("html", b"-----BEGIN PGP "),
        ("html", b"x-----BEGIN PGP > \t"),
        ("html", b"\t" * 100),
        ("quoted-printable", LINK.replace(b"=", b"=3D")),
        ("quoted-printable", LINK.replace(b"=", b"=3D") + b"=\r\n"),
        ("quoted-printable", b"=\r\n"),
        ("quoted-printable", b"=3D"),
        ("base64", base64.b64encode(b"<a href='http://e.com/'>")),
        ("multipart", b"--b\r\n\r\n-----BEGIN PGP\r\n"),
    ],
)
def test_hostile_body_takes_linear_time(kind: str, unit: bytes) -> None:
    """Four times the body takes about four times the time, whatever is repeated."""
    fields = FIELDS_OF[kind]

    def seconds(size_bytes: int) -> float:
        body = unit * (size_bytes // len(unit))
        times = []
        for _ in range(3):
            started = time.thread_time()
            instrument(fields, body, BOTH, MINTER, LIMITS, lambda: None)
            times.append(time.thread_time() - started)
        return min(times)

    assert seconds(200_000) < 8 * seconds(50_000) + 0.01
