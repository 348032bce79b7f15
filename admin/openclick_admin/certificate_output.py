"""How certificates of tracking domains are printed; called by `certificate` and `domain`."""

from __future__ import annotations

from typing import Any

from openclick.instants import Instant, iso, now
from openclick.tracking_certificates import TrackingCertificate


def in_short(found: TrackingCertificate | None, at: Instant) -> list[tuple[str, str]]:
    """Return the lines that tell of a domain's certificate: its state, and its last error."""
    if found is None:
        return [("certificate", "none")]
    state = found.status(at).value
    if found.not_after_at is not None:
        word = "until" if at < found.not_after_at else "since"
        state += f" {word} {iso(found.not_after_at)}, from {origin(found)}"
    lines = [("certificate", state)]
    if found.file_fault:
        lines.append(("fault of its file", found.file_fault))
    if found.failure_code:
        lines.append(("last order by ACME", last_error(found)))
    return lines


def origin(found: TrackingCertificate) -> str | None:
    """Return whose file it is, None where there is none."""
    if found.not_after_at is None:
        return None
    return "acme" if found.by_acme else "file"


def last_error(found: TrackingCertificate) -> str:
    """Return why the last order by ACME failed, "none" where it did not."""
    return f"{found.failure_message} [{found.failure_code}]" if found.failure_code else "none"


def instant(at: Instant | None) -> str:
    """Return an instant, a dash for none."""
    return iso(at) if at else "-"


def certificate_as_json(found: TrackingCertificate) -> dict[str, Any]:
    """Return a certificate as programs see it."""
    return {
        "name": found.name,
        "https": found.serves_https,
        "status": found.status(now()).value,
        "not_before_at": _iso_or_none(found.not_before_at),
        "not_after_at": _iso_or_none(found.not_after_at),
        "origin": origin(found),
        "file_fault": found.file_fault or None,
        "attempted_at": _iso_or_none(found.attempted_at),
        "next_attempt_at": _iso_or_none(found.next_attempt_at),
        "failures": found.failures,
        "last_error": {"code": found.failure_code, "message": found.failure_message}
        if found.failure_code
        else None,
    }


def _iso_or_none(at: Instant | None) -> str | None:
    return iso(at) if at else None
