"""The settings of the HTTP API: the section [api].

A part of the table in `settings`, which has no room for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.option_kinds import (
    HOST_PORT,
    LISTEN_LIST,
    OPTIONAL_PATH,
    HostPort,
    seconds,
    whole,
)
from openclick.option_kinds import option as _option


@dataclass(frozen=True)
class ApiSettings:
    """The HTTP API, for apps that speak Anypost's; docs/api.md tells what it does."""

    listen: tuple[HostPort, ...] = _option(
        (HostPort("127.0.0.1", 8027),),
        LISTEN_LIST,
        "Where the API is answered; an empty list switches it off.  Without certificate_file it is "
        "plain HTTP, and the secrets of API keys must not cross a network in it.",
    )
    certificate_file: str = _option(
        "",
        OPTIONAL_PATH,
        "The certificate of the API's listeners, its chain after it, in PEM; empty means no TLS.  "
        "A renewed file is used from the next connection on.",
    )
    key_file: str = _option(
        "",
        OPTIONAL_PATH,
        "The private key of that certificate, in PEM.",
    )
    submit_to: HostPort = _option(  # noqa: RUF009 - it is frozen
        HostPort("127.0.0.1", 10587),
        HOST_PORT,
        "The smtpd that takes what the API sends.  It must pass the milter, which removes the "
        "control headers; docs/api.md has its lines for master.cf.",
    )
    submit_timeout_seconds: float = _option(
        20.0,
        seconds(0.1, 600),
        "How long one answer of that smtpd may take.",
    )
    max_waiting: int = _option(
        1000,
        whole(1, 1_000_000),
        "How many messages may wait for that smtpd before further requests are answered with 429.",
    )
