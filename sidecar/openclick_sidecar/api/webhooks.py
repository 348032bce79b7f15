"""/v1/webhooks: the receivers of events.

The same functions as the command's do the work.  Promises: a signing secret is in the answer to a
creation or a rotation, and nowhere else; a key that is limited to sending domains sees and makes
only webhooks that are limited to these: any other would bring it events that it may not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from openclick.api_keys import ApiKey
from openclick.instants import Instant, iso, maybe_iso
from openclick.store import Registry
from openclick.webhook_actions import (
    WebhookChange,
    add_webhook,
    one_webhook,
    remove_webhook,
    rotate_secret,
    update_webhook,
)
from openclick.webhook_rules import UrlRules, WebhookError
from openclick.webhooks import SHOWN_SECRET_CHARS, Webhook
from openclick_sidecar.api.answers import NO_CONTENT, Answer, ok
from openclick_sidecar.api.faults import ApiFault, conflict, invalid_body, not_found
from openclick_sidecar.api.fields import Fields, Problems, read_object, text_problem
from openclick_sidecar.api.paging import page_of
from openclick_sidecar.api.router import Call, Route
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.post import Poster
from openclick_sidecar.trial import post_trial

T = TypeVar("T")

_MAX_NAME_CHARS = 200
_MAX_URL_CHARS = 2000
_MAX_EVENTS = 20
_MAX_DOMAINS = 100
_ROTATING = "webhook_rotation_in_progress"


@dataclass(frozen=True)
class Webhooks:
    """The resource."""

    bookkeeper: Bookkeeper
    poster: Poster
    rules: UrlRules
    now: Callable[[], Instant]
    randomness: Callable[[int], bytes]

    def routes(self) -> list[Route]:
        """Return its operations."""
        return [
            Route("GET", "/v1/webhooks", self.list),
            Route("POST", "/v1/webhooks", self.create),
            Route("GET", "/v1/webhooks/{id}", self.show),
            Route("PATCH", "/v1/webhooks/{id}", self.update),
            Route("DELETE", "/v1/webhooks/{id}", self.remove),
            Route("POST", "/v1/webhooks/{id}/test", self.test),
            Route("POST", "/v1/webhooks/{id}/rotate-secret", self.rotate),
        ]

    async def list(self, call: Call) -> Answer:
        """Answer with a page of webhooks."""
        everything = await self._run(lambda registry: registry.webhooks.many_webhooks())
        seen = [webhook for webhook in everything if _may_see(call.key, webhook.domains)]
        return page_of(seen, call.query, lambda w: (w.created_at, w.webhook_id), self._shown)

    async def create(self, call: Call) -> Answer:
        """Add a webhook; the answer has its secret."""
        wanted = _read(call, required=True)

        def add(registry: Registry) -> Webhook:
            domains = tuple(wanted.domains or call.key.allowed_domains)
            _require_own(call.key, domains)
            return add_webhook(
                registry,
                self.rules,
                self.now(),
                self.randomness,
                url=wanted.url or "",
                events=wanted.events or (),
                name=wanted.name or "",
                domains=domains,
            )

        return ok(self._with_secret(await self._run(add)), 201)

    async def show(self, call: Call) -> Answer:
        """Answer with one webhook."""
        return ok(self._shown(await self._run(lambda registry: _own(registry, call))))

    async def update(self, call: Call) -> Answer:
        """Change what is named in the body."""
        change = _read(call, required=False)

        def write(registry: Registry) -> Webhook:
            webhook = _own(registry, call)
            if change.domains is not None:
                _require_own(call.key, change.domains)
            return update_webhook(registry, self.rules, self.now(), webhook.webhook_id, change)

        return ok(self._shown(await self._run(write)))

    async def remove(self, call: Call) -> Answer:
        """Remove a webhook with its deliveries."""
        await self._run(lambda registry: remove_webhook(registry, _own(registry, call).webhook_id))
        return NO_CONTENT

    async def test(self, call: Call) -> Answer:
        """Post one test event, and answer with what came of it: 200 whatever it was."""
        webhook = await self._run(lambda registry: _own(registry, call))
        result = await post_trial(self.poster, webhook, self.now, self.randomness)
        return ok(result.as_json())

    async def rotate(self, call: Call) -> Answer:
        """Give a webhook a new secret, which is in the answer."""

        def rotate(registry: Registry) -> Webhook:
            webhook = _own(registry, call)
            return rotate_secret(registry, self.now(), self.randomness, webhook.webhook_id)

        return ok(self._with_secret(await self._run(rotate)))

    async def _run(self, work: Callable[[Registry], T]) -> T:
        try:
            return await self.bookkeeper.run(work)
        except WebhookError as error:
            raise _fault(error) from error

    def _with_secret(self, webhook: Webhook) -> dict[str, Any]:
        return self._shown(webhook) | {"signing_secret": webhook.secret}

    def _shown(self, webhook: Webhook) -> dict[str, Any]:
        previous = webhook.previous_secret if webhook.is_rotating(self.now()) else None
        expires_at = webhook.previous_secret_expires_at if previous else None
        return {
            "id": webhook.webhook_id,
            "name": webhook.name,
            "url": webhook.url,
            "events": list(webhook.events),
            "domains": list(webhook.domains),
            "status": webhook.status.value,
            "signing_secret_prefix": webhook.secret[:SHOWN_SECRET_CHARS],
            "signing_secret_previous_prefix": previous and previous[:SHOWN_SECRET_CHARS],
            "signing_secret_grace_expires_at": maybe_iso(expires_at),
            "last_delivery_at": maybe_iso(webhook.last_delivery_at),
            "created_at": iso(webhook.created_at),
        }


def _own(registry: Registry, call: Call) -> Webhook:
    """Return the webhook that a path names.  Raises WebhookError: none, or none for this key."""
    webhook = one_webhook(registry, call.parts[0])
    if not _may_see(call.key, webhook.domains):
        raise WebhookError("webhook_not_found", "not for this key")
    return webhook


def _may_see(key: ApiKey, domains: Sequence[str]) -> bool:
    """Tell whether a webhook brings a key nothing but what it may read anyhow."""
    return not key.allowed_domains or (bool(domains) and all(map(key.allows, domains)))


def _require_own(key: ApiKey, domains: Sequence[str]) -> None:
    if not _may_see(key, domains):
        allowed = ", ".join(key.allowed_domains)
        raise WebhookError("invalid_domains", f"this API key may name {allowed} alone")


def _read(call: Call, *, required: bool) -> WebhookChange:
    problems = Problems()
    fields = Fields(read_object(call.body), problems)
    change = WebhookChange(
        name=fields.text("name", _MAX_NAME_CHARS, required=required),
        url=fields.text("url", _MAX_URL_CHARS, required=required),
        events=_texts(fields, "events", _MAX_EVENTS, required=required),
        domains=_texts(fields, "domains", _MAX_DOMAINS),
        status=None if required else fields.text("status", _MAX_NAME_CHARS),
    )
    fields.end()
    problems.check()
    return change


def _texts(
    fields: Fields, name: str, most: int, *, required: bool = False
) -> tuple[str, ...] | None:
    """Return a list of texts; None where it is absent."""
    if fields.raw(name) is None and not required:
        return None
    entries = fields.items(name, most, required=required)
    for number, entry in enumerate(entries):
        problem = text_problem(entry, _MAX_URL_CHARS)
        if problem:
            fields.wrong(f"{name}.{number}", problem)
    return tuple(entry for entry in entries if isinstance(entry, str))


def _fault(error: WebhookError) -> ApiFault:
    if error.code == "webhook_not_found":
        return not_found()
    if error.code == _ROTATING:
        return conflict(str(error), _ROTATING)
    return invalid_body({error.code.removeprefix("invalid_"): [str(error)]})
