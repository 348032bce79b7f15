"""Facts for the doctor's judges: an installation in which all is well, and what a test changes.

Who calls: the tests of `openclick doctor`. Promises: equal calls give equal facts; nothing here
looks at the machine.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from openclick.config import parse_config
from openclick.instants import SECOND
from openclick.settings import Config
from openclick.store import FileReport, Heartbeat, WebhookState
from openclick.tracking_certificates import TrackingCertificate
from openclick.webhooks import Backlog, Delivery
from openclick_admin.doctor.facts import (
    Answer,
    ClockFacts,
    DomainFacts,
    Facts,
    Fetch,
    KeyFacts,
    Knock,
    MilterFacts,
    NameFacts,
    PortFacts,
    PostfixFacts,
    SidecarFacts,
    Stage,
    StoreFacts,
    TrafficFacts,
    Versions,
)
from openclick_admin.doctor.findings import Finding, Level
from openclick_admin.postconf import Postfix, Service
from unit.samples import NOW, TRACKING_DOMAIN, a_domain, a_webhook

DAY = 86_400 * SECOND
HOST = "mail.kontor.example"
ADDRESS = "93.184.216.34"
OWN = "unix:openclick/milter.sock"
MILTERS = f"{{{OWN},default_action=accept}}"
ROOM = {"cleanup_service_name": "oc_cleanup"}
LOGIN = {"smtpd_sasl_auth_enable": "yes"}
PARAMETERS = {
    "mail_version": "3.7.11",
    "queue_directory": "/var/spool/postfix",
    "mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128",
    "message_size_limit": "10240000",
    "cleanup_service_name": "cleanup",
    "milter_default_action": "tempfail",
    "inet_interfaces": "all",
    "mail_owner": "postfix",
    "non_smtpd_milters": f"{{ {OWN}, default_action=accept }}",
}
SMTP = Service("smtp", "inet", True, "smtpd")
CLEANUP = Service("cleanup", "unix", True, "cleanup")
OC_CLEANUP = Service("oc_cleanup", "unix", True, "cleanup", {"message_size_limit": "21480000"})
PICKUP = Service("pickup", "unix", True, "pickup", ROOM)
SUBMISSION = Service("submission", "inet", True, "smtpd", LOGIN | ROOM | {"smtpd_milters": MILTERS})
STOCK = (SMTP, CLEANUP, OC_CLEANUP, PICKUP)


def a_config(*lines: str) -> Config:
    """Return settings of an installation with a public name, and `lines` of TOML after that."""
    text = "\n".join((f'[sidecar]\npublic_hostname = "{HOST}"', *lines))
    return parse_config(text, "openclick.toml")


def a_postfix(*services: Service, **parameters: str) -> PostfixFacts:
    """Return a Postfix with these services beside the stock ones, or with a submission service."""
    postfix = Postfix(
        Path("/etc/postfix"), PARAMETERS | parameters, (*STOCK, *(services or (SUBMISSION,)))
    )
    return PostfixFacts(postfix, knocks=(Knock("postfix", True, Stage.DONE),))


def a_service(**overrides: str) -> Service:
    """Return the submission service with other options."""
    return replace(SUBMISSION, overrides={**SUBMISSION.overrides, **overrides})


def a_milter(**fields: Any) -> MilterFacts:
    """Return a milter that beat a moment ago."""
    beat = Heartbeat(4711, "0.1.0", NOW - DAY, NOW - 3 * SECOND, {"instrumented": 12})
    return MilterFacts(replace(beat, **fields), process_lives=True)


def a_known_domain(**fields: Any) -> DomainFacts:
    """Return a verified domain whose name leads here, with a certificate that holds."""
    fetch = Fetch("https", f"{ADDRESS}:443", Answer.OURS, not_after_at=NOW + 60 * DAY)
    known = DomainFacts(
        a_domain(checked_at=NOW), True, HOST, frozenset({ADDRESS}), fetches=(fetch,)
    )
    return replace(known, **fields)


def a_certificate(**fields: Any) -> TrackingCertificate:
    """Return a certificate that holds for two months."""
    found = TrackingCertificate(TRACKING_DOMAIN, True, NOW - 30 * DAY, NOW + 60 * DAY)
    return replace(found, **fields)


def a_names(*domains: DomainFacts, **fields: Any) -> NameFacts:
    """Return these domains, or one that is well."""
    names = NameFacts(
        domains or (a_known_domain(),), frozenset({ADDRESS}), certificates=(a_certificate(),)
    )
    return replace(names, **fields)


def a_store(**fields: Any) -> StoreFacts:
    """Return a store that is whole, on a disk with room."""
    names = ("openclick.db", "hits.db", "messages.db")
    store = StoreFacts(
        directory="/var/lib/openclick",
        reports=tuple(FileReport(name, made=True, schema=3, size_bytes=8192) for name in names),
        journal_directory="/var/lib/openclick/journal",
        free_bytes=10**10,
    )
    return replace(store, **fields)


def a_sidecar(**fields: Any) -> SidecarFacts:
    """Return a sidecar that answers where it should."""
    ports = (
        PortFacts("sidecar.listen", "127.0.0.1:8025", Answer.OURS),
        PortFacts("sidecar.metrics_listen", "127.0.0.1:8026", Answer.OURS),
    )
    return replace(SidecarFacts(ports, version="0.1.0"), **fields)


def a_webhook_state(
    abandoned: int = 0,
    waiting_since: int | None = None,
    oldest: Delivery | None = None,
    due_at: int | None = None,
    **fields: Any,
) -> Any:
    """Return a webhook that does well; what waits is in no delivery where `oldest` is not given.

    `due_at` is when the first of several pending deliveries is due, `oldest` where not given.
    """
    webhook = a_webhook(**fields)
    waiting = Backlog(webhook.webhook_id, webhook.status, 0 if oldest is None else 1, waiting_since)
    if oldest is None:
        return WebhookState(webhook, waiting, abandoned, unread_at=waiting_since)
    due_at = oldest.next_attempt_at if due_at is None else due_at
    return WebhookState(webhook, waiting, abandoned, oldest, due_at)


def healthy(*lines: str, **parts: Any) -> Facts:
    """Return facts without a fault or warning, with `parts` in the place of theirs.

    `lines` are further lines of the settings.
    """
    facts = Facts(
        now=NOW,
        config=a_config(*lines),
        config_path="/etc/openclick/openclick.toml",
        is_root=True,
        versions=Versions("0.1.0", "3.11.2", "3.40.1", {"Twisted": "22.4.0"}),
        clock=ClockFacts(True, NOW - SECOND, "a hit"),
        postfix=a_postfix(),
        milter=a_milter(),
        sidecar=a_sidecar(),
        store=a_store(),
        keys=KeyFacts((0, 1)),
        names=a_names(),
        traffic=TrafficFacts(("192.0.2.7", "93.184.216.9"), 12, 3, {"plain text only": 3}),
        webhooks=(a_webhook_state(),),
    )
    return replace(facts, **parts)


def bad(judge: Callable[[Facts], Iterable[Finding]], facts: Facts) -> list[Finding]:
    """Return what a judge finds that is not well."""
    return [finding for finding in judge(facts) if finding.level > Level.OK]


def one(judge: Callable[[Facts], Iterable[Finding]], facts: Facts) -> str:
    """Return the one thing that is not well, as one line: level, subject, what was found, cure."""
    (finding,) = bad(judge, facts)
    return f"{finding.level.word} {finding.subject}: {finding.found} -> {finding.to_do}"
