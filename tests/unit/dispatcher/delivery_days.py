"""The dispatcher on a real store, over days: an endpoint that answers, a clock that is moved.

Who calls: tests of the dispatcher's schedule and of ends.  Promises: no network; time moves by `at`
alone.
"""

import itertools
import json
from dataclasses import dataclass, field

from twisted.internet import reactor

from openclick.instants import SECOND, Instant
from openclick.store import Store
from openclick.webhook_settings import WebhookSettings
from openclick.webhooks import DeliveryReport, WebhookStatus
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.dispatcher import Dispatcher
from openclick_sidecar.post import PostOutcome, Reply
from unit.memory_net import turn
from unit.samples import NOW, log_events

OK = Reply(204, "", "", PostOutcome.ACCEPTED)
OOPS = Reply(500, "answered 500", "", PostOutcome.SERVER_ERROR)


@dataclass
class Endpoint:
    """Takes the dispatcher's POSTs in place of the network; `refuses` are batches that it fails."""

    posts: list[tuple[Instant, str, dict[str, str], bytes]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    reply: Reply = OOPS
    now: Instant = NOW

    async def post(self, _url: str, body: bytes, fields: dict[str, str]) -> Reply:
        """Keep the POST, and answer."""
        batch_id = json.loads(body)["batch_id"]
        self.posts.append((self.now, batch_id, fields, body))
        return self.reply if batch_id in self.refuses or not self.refuses else OK

    def times_of(self, batch_id: str) -> list[int]:
        """Return when a batch was posted, in seconds from the beginning."""
        return [(at - NOW) // SECOND for at, posted, *_ in self.posts if posted == batch_id]


class Days:
    """The dispatcher on a real store; time moves by `until` alone."""

    def __init__(self, store: Store) -> None:
        self.endpoint = Endpoint()
        self.bookkeeper = Bookkeeper(store, reactor)
        numbers = itertools.count(1)
        self.dispatcher = Dispatcher(
            self.bookkeeper,
            self.endpoint,  # type: ignore[arg-type]
            WebhookSettings(),
            now=lambda: self.endpoint.now,
            random=lambda: 0.5,
            new_batch_id=lambda: f"{next(numbers):032x}",
        )

    async def log(self, first: int, count: int = 1) -> None:
        """Make events."""
        await self.bookkeeper.run(
            lambda registry: log_events(registry, range(first, first + count))
        )

    async def at(self, instant: Instant) -> None:
        """Let it be `instant`, and the dispatcher come to rest."""
        self.endpoint.now = instant
        await self.dispatcher.tick()
        while self.dispatcher._under_way:
            await turn()

    async def reports(self, webhook_id: str = "wh_1") -> list[DeliveryReport]:
        """Return the deliveries of a webhook, oldest first."""
        found: list[DeliveryReport] = await self.bookkeeper.run(
            lambda registry: registry.delivery_desk.many_reports(webhook_id, None, 1000)
        )
        return found[::-1]

    async def status(self) -> WebhookStatus:
        """Return the webhook's."""
        webhook = await self.bookkeeper.run(lambda r: r.webhooks.one_webhook("wh_1"))
        return webhook.status
