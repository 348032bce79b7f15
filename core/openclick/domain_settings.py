"""The settings of checking tracking domains: the sections [dns] and [verification].

A part of the table in `settings`, which has no room for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.option_kinds import (
    LISTEN_LIST,
    HostPort,
    hours,
    seconds,
)
from openclick.option_kinds import option as _option


@dataclass(frozen=True)
class DnsSettings:
    """How tracking domains are looked up; never while a mail or a hit waits."""

    nameservers: tuple[HostPort, ...] = _option(
        (),
        LISTEN_LIST,
        "The name servers to ask; none means those of /etc/resolv.conf.",
    )
    timeout_seconds: float = _option(
        5.0,
        seconds(0.1, 60),
        "How long one question to the name servers may take in all.",
    )


@dataclass(frozen=True)
class VerificationSettings:
    """How the sidecar checks, again and again, that tracking domains point here."""

    check_every_seconds: float = _option(
        3600.0,
        seconds(1, 604_800),
        "How long after a check a verified domain is checked again, more or less a tenth.  One "
        "that is not verified is checked sooner at first, and as often after some hours.",
    )
    unverify_after_hours: float = _option(
        72.0,
        hours(0, 10_000),
        "For how long the checks of a verified domain may fail in a row before tracking is off "
        "for its new mail.  That no name server answers is no failure.",
    )
    fetch_timeout_seconds: float = _option(
        10.0,
        seconds(0.1, 60),
        "How long asking a tracking domain for its challenge may take at each of its addresses.",
    )
