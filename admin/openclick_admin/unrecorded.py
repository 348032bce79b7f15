"""Why a mail of an added domain has no row: what stands between the app and the milter.

Called by `probe`.  Each sentence says what was found and what to do; where nothing is found, where
to look.  Read-only.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from openclick.instants import SECOND, now
from openclick.store import StoreFault
from openclick_admin.context import Admin
from openclick_admin.postconf import Postfix, PostfixFault, read_postfix
from openclick_admin.postfix_lists import elements, endpoint
from openclick_admin.postfix_plan import milter_endpoint

_SILENT_SECONDS = 35
"""The milter beats every ten seconds; three of them may be missed."""
_LOOK = (
    "The mail may still wait in Postfix's queue (mailq), or was not a submission: the logs of "
    "Postfix and openclick-milter name it by its queue id."
)


def why_unrecorded(admin: Admin, config_directory: Path | None, *, by_sendmail: bool) -> list[str]:
    """Return every reason that can be found, and else where to look."""
    reasons = [heartbeat_reason(admin)]
    try:
        postfix = read_postfix(config_directory)
    except PostfixFault as error:
        reasons.append(f"Postfix's configuration cannot be read: {error}")
    else:
        own = milter_endpoint(admin.config.milter.socket, postfix.parameters["queue_directory"])
        reasons.append(place_reason(postfix, own, by_sendmail=by_sendmail))
    return [reason for reason in reasons if reason] or [_LOOK]


def heartbeat_reason(admin: Admin) -> str:
    """Tell whether the milter runs, by its heartbeat; "" where it does."""
    try:
        with closing(admin.store.message_reader()) as reader:
            beat = reader.maybe_heartbeat()
    except StoreFault as error:
        return f"messages.db cannot be read: {error}; openclick-milter makes it when it starts."
    if beat is None:
        return "openclick-milter has never run on this store: start it."
    silent_seconds = (now() - beat.beat_at) // SECOND
    if silent_seconds > _SILENT_SECONDS:
        return (
            f"openclick-milter gave its last sign of life {silent_seconds} s ago: start it; with "
            "default_action=accept mail goes out untracked meanwhile."
        )
    return ""


def place_reason(postfix: Postfix, own: str, *, by_sendmail: bool) -> str:
    """Tell whether Postfix asks the milter `own` on this way of submission; "" where it does."""
    if by_sendmail:
        if own in map(endpoint, elements(postfix.parameters.get("non_smtpd_milters", ""))):
            return ""
        return (
            f"Postfix's non_smtpd_milters does not name {own}, so sendmail(1)'s mail passes no "
            "milter of ours: openclick postfix --apply."
        )
    if any(
        own in map(endpoint, elements(postfix.value(service, "smtpd_milters")))
        for service in postfix.services
    ):
        return (
            "A listener names the milter; whether it is the one that took the mail, and whether "
            "the client was trusted (milter.trusted_networks), Postfix's log tells."
        )
    return f"No smtpd of master.cf names {own}: openclick postfix --apply."
