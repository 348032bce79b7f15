"""A month in the life of a mail server, written into a store as the daemons write it.

Who calls: tests of the status page, and whoever wants to look at it. Promises: the same seed makes
the same month; there are domains, mail, hits of every visitor, events and webhooks in every state.
Limits: no daemon must write to the store meanwhile.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from random import Random

from openclick.domains import SendingDomain, VerificationFailure
from openclick.events import Bot, make_event
from openclick.hits import Hit
from openclick.ids import new_email_id
from openclick.instants import SECOND
from openclick.messages import Labels, LinkRecord, Message, Outcome
from openclick.store import Heartbeat, Judgement, Registry, Store
from openclick.store.events import JudgeCursor
from openclick.store.messages import CONNECTED_NAME
from openclick.tokens import Kind
from openclick.tracking_certificates import TrackingCertificate
from openclick.verdicts import Verdict, Visitor
from openclick.webhooks import (
    Attempt,
    Claim,
    DeliveryState,
    Settlement,
    Webhook,
    WebhookStatus,
)
from openclick.work_times import SUM_NAME, bucket_name

_DAY = 86_400 * SECOND
_SHOP = "https://shop.kontor.example"
_PAGES = ("/stiefel?größe=42", "/herbst", "/angebote/2026/november?utm_source=mail", "/konto")
_WEBHOOKS = ("shop", "crm", "old")
_REASONS = ("no HTML part", "already DKIM-signed", "header says off", "multipart/signed")
_VISITORS = (
    *((Kind.OPEN, Verdict(Visitor.PERSON, "no-rule")),) * 5,
    *((Kind.OPEN, Verdict(Visitor.PROXY, "google-proxy", "GoogleImageProxy", "google")),) * 4,
    *((Kind.OPEN, Verdict(Visitor.PROXY, "apple-proxy", "Mozilla/5.0", "apple")),) * 2,
    (Kind.OPEN, Verdict(Visitor.PREFETCH, "gmail-prefetch", "Purpose: prefetch")),
    *((Kind.CLICK, Verdict(Visitor.PERSON, "no-rule")),) * 3,
    *((Kind.CLICK, Verdict(Visitor.AUTOMATION, "burst", "3 links in 1 s")),) * 2,
)


@dataclass(frozen=True)
class Month:
    """What is made: `mails` messages in the thirty days before `at`.

    `origins` is where the webhooks are; where a sidecar is to run, they had better be here.
    """

    at: int
    mails: int = 1200
    seed: int = 7
    origins: tuple[str, ...] = (
        "https://hooks.kontor.example",
        "https://crm.alm.example",
        "https://old.example",
    )

    def fill(self, store: Store) -> None:
        """Write it all."""
        random = Random(self.seed)
        with closing(store.registry()) as registry:
            self._domains(registry)
            self._webhooks(registry)
            messages = list(self._messages(random))
            with closing(store.message_log()) as log:
                log.record(messages)
                log.beat(self._heartbeat(messages))
            hits = sorted(self._judged(random, messages), key=lambda each: each.hit.received_at)
            registry.events.record_judgements(hits, JudgeCursor("month", len(hits)), self.at)
            self._deliver(registry)

    def _domains(self, registry: Registry) -> None:
        for number, (name, subdomain) in enumerate(
            (("kontor.example", "track"), ("post.nordlicht.example", "t"), ("alm.example", "go"))
        ):
            created_at = self.at - 90 * _DAY
            registry.domains.add(
                SendingDomain(f"domain_{number}", name, True, True, subdomain, created_at)
            )
        for name in ("kontor.example", "alm.example"):
            registry.domains.record_verified(name, self.at - 400 * SECOND, https=True)
        registry.domains.record_failure(
            *("post.nordlicht.example", self.at - 200 * SECOND),
            VerificationFailure(
                "cname_missing",
                "t.post.nordlicht.example has no CNAME record; need one to mail.kontor.example.",
            ),
            keep_state=False,
        )
        made_at = self.at - 30 * _DAY
        ends = {"track.kontor.example": 60 * _DAY, "go.alm.example": 9 * _DAY}
        registry.certificates.record_seen(
            TrackingCertificate(name, True, made_at, self.at + left, by_acme=True)
            for name, left in ends.items()
        )
        registry.certificates.record_failure(
            *("go.alm.example", "connection", "the CA could not reach port 80.", 3, self.at)
        )

    def _webhooks(self, registry: Registry) -> None:
        for number, (name, origin) in enumerate(zip(_WEBHOOKS, self.origins, strict=True)):
            registry.webhooks.add(
                Webhook(
                    webhook_id=f"wh_{number}",
                    name=name,
                    url=f"{origin}/in/secret-path-{number}",
                    events=("email.opened", "email.clicked"),
                    domains=(),
                    secret="whsec_c2VjcmV0c2VjcmV0c2VjcmV0",
                    status=WebhookStatus.ACTIVE,
                    created_at=self.at - 60 * _DAY + number,
                )
            )
        registry.webhooks.disable("wh_2", self.at - 5 * _DAY, "disabled by an admin")

    def _messages(self, random: Random) -> Iterator[Message]:
        domains = (("kontor.example", "track"),) * 6 + (("alm.example", "go"),) * 3
        for number in range(self.mails):
            age = random.triangular(0, 30, 4)
            made_at = self.at - int(age * _DAY) - 5 * SECOND
            name, subdomain = random.choice((*domains, ("post.nordlicht.example", "t")))
            reason = ""
            if name.startswith("post."):
                reason = "tracking domain t.post.nordlicht.example is not verified"
            elif random.random() < 0.15:
                reason = random.choice(_REASONS)
            yield Message(
                email_id=new_email_id(made_at, random.randbytes(10)),
                copy=random.randbytes(4),
                created_at=made_at,
                outcome=Outcome.UNTOUCHED if reason else Outcome.INSTRUMENTED,
                reason=reason,
                queue_id=f"4{number:05X}Zq{random.randrange(99)}",
                message_id=f"<{number}@{name}>",
                envelope_id=None,
                sender=f"bounces@{name}",
                header_from=f"news@{name}",
                recipients=(f"leser{number}@reader.example",),
                subject="Herbst",
                sending_domain=name,
                tracking_domain=f"{subdomain}.{name}",
                opens=not reason,
                opens_reason="domain default is on",
                clicks=not reason,
                clicks_reason="domain default is on",
                labels=Labels((), None, "herbst"),
                links=(LinkRecord(0, f"{_SHOP}/herbst", not reason),),
            )

    def _judged(self, random: Random, messages: list[Message]) -> Iterator[Judgement]:
        for message in messages:
            if message.outcome is Outcome.UNTOUCHED:
                continue
            for kind, verdict in random.sample(_VISITORS, random.randrange(4)):
                later = int(random.expovariate(1 / 20_000) * SECOND)
                hit = Hit(
                    hit_id=random.randbytes(16),
                    received_at=min(message.created_at + later, self.at - SECOND),
                    kind=kind,
                    email_id=message.email_id,
                    copy=message.copy,
                    link_index=0,
                    destination=_SHOP + random.choice(_PAGES) if kind is Kind.CLICK else "",
                    tracking_domain=message.tracking_domain,
                    ip="192.0.2.7",
                    user_agent="Mozilla/5.0",
                    headers={},
                )
                bot = Bot(verdict.source) if verdict.source else None
                event = make_event(hit, message, bot) if verdict.counts else None
                yield Judgement(hit, verdict, event)

    def _heartbeat(self, messages: list[Message]) -> Heartbeat:
        tracked = sum(each.outcome is Outcome.INSTRUMENTED for each in messages)
        counters = {"instrumented": tracked, "untouched": len(messages) - tracked, "foreign": 9041}
        started_at = self.at - 11 * _DAY
        return Heartbeat(4711, "0.1.0", started_at, self.at, {**counters, **self._work(tracked)})

    def _work(self, tracked: int) -> dict[str, int]:
        took = {bucket_name(0.002): tracked * 9 // 10, bucket_name(0.02): tracked // 10}
        connected_at = self.at - 40 * SECOND
        return {
            **took,
            SUM_NAME: 3000 * tracked,
            CONNECTED_NAME: connected_at,
            "links": 3 * tracked,
        }

    def _deliver(self, registry: Registry) -> None:
        """Deliver to the first webhook; the second answers 503 until its circuit opens."""
        ended: list[Settlement] = []
        batch_ids = (f"{number:032x}" for number in count(1))
        for turn in range(14):
            at = self.at - (14 - turn) * 120 * SECOND
            found = registry.deliveries.go_round(
                at, ended, _Slots(), at + 20 * SECOND, (), lambda: next(batch_ids)
            )
            ended = [self._end(claim, at) for claim in found.claims]
        registry.deliveries.go_round(self.at, ended, _Slots(), self.at, (), lambda: next(batch_ids))

    def _end(self, claim: Claim, at: int) -> Settlement:
        good = claim.webhook.webhook_id == "wh_0"
        attempt = Attempt(at, at + 30_000, good, 204, "", "", "accepted")
        if not good:
            attempt = replace(
                attempt, status_code=503, error="answered 503", outcome="server_error"
            )
        state = DeliveryState.DELIVERED if good else DeliveryState.PENDING
        waited = claim.delivery.waited_seconds + 60
        return Settlement(claim, attempt, state, at + 60 * SECOND, claim.number, waited)


class _Slots:
    """One attempt a webhook at a time."""

    def free(self, _webhook_id: str, *, is_failing: bool) -> int:
        """Return the same for everybody."""
        return 1 if is_failing is not None else 0

    def held(self, _webhook_id: str) -> int:
        """Hold nothing."""
        return 0

    def take(self, webhook_id: str, number: int, *, is_failing: bool) -> None:
        """Count nothing."""
