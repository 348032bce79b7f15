"""The registry of checks: every one there is, in the order in which they are printed; pure.

Each is a function from all facts to findings.  Called by `command`, and by the test that holds
docs/doctor.md to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from openclick_admin.doctor import (
    judge_daemons,
    judge_listeners,
    judge_names,
    judge_postfix,
    judge_store,
    judge_traffic,
)
from openclick_admin.doctor.facts import Facts
from openclick_admin.doctor.findings import Finding, warning


@dataclass(frozen=True)
class Check:
    """One check: its name, and what judges the facts."""

    name: str
    judge: Callable[[Facts], Iterable[Finding]]


def rights(facts: Facts) -> Iterable[Finding]:
    """Whether this command may see all there is to see."""
    if not facts.is_root:
        yield warning(
            "doctor",
            "is not run as root: the socket was not tried as Postfix's user, corrupt/ and other "
            "users' files may be hidden",
            "run this as root",
        )


CHECKS = (
    Check("rights", rights),
    Check("versions", judge_daemons.versions),
    Check("clock", judge_daemons.clock),
    Check("milter", judge_daemons.milter),
    Check("milter-socket", judge_daemons.socket),
    Check("sidecar", judge_daemons.sidecar),
    Check("ports", judge_daemons.ports),
    Check("postfix", judge_postfix.runs),
    Check("submission", judge_postfix.attached),
    Check("milter-order", judge_postfix.order),
    Check("default-action", judge_postfix.default_action),
    Check("corrupt", judge_postfix.corrupt_files),
    Check("message-size", judge_postfix.sizes),
    Check("reinjection", judge_listeners.reinjection),
    Check("trust", judge_listeners.trusted),
    Check("domains", judge_names.domains),
    Check("dns", judge_names.dns),
    Check("self-fetch", judge_names.self_fetch),
    Check("certificates", judge_names.certificates),
    Check("store", judge_store.files),
    Check("disk", judge_store.space),
    Check("judging", judge_store.judging),
    Check("keys", judge_store.keys),
    Check("client-address", judge_traffic.client_addresses),
    Check("messages", judge_traffic.messages),
    Check("webhooks", judge_traffic.webhooks),
)


def examine(facts: Facts) -> list[tuple[Check, Finding]]:
    """Return every finding of every check."""
    return [(check, finding) for check in CHECKS for finding in check.judge(facts)]
