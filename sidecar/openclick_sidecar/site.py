"""The tracking domain: opens tokens, has hits recorded, answers.

Called by `channel` with each well-formed request.  Promises (DESIGN 1.3, 1.4): a valid token is
answered with its image or its redirect whatever the store does; the answer goes out after the hit
is on disk, or after the store has refused it; every unknown or broken token gets the same answer.

Only GET counts.  HEAD and OPTIONS are answered and never recorded: scanners and previews use them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from openclick.hits import JUDGED_HEADERS, MAX_HEADER_CHARS, Hit
from openclick.ids import HIT_ID_BYTES
from openclick.instants import Instant
from openclick.keys import KeyDirectory, KeyFault, KnownKeyFault
from openclick.logs import line
from openclick.names import BadName, host_of
from openclick.tokens import BadToken, Kind, Token, UnknownKey
from openclick_sidecar import answers
from openclick_sidecar.answers import Answer
from openclick_sidecar.channel import HitRequest
from openclick_sidecar.destinations import location
from openclick_sidecar.recorder import HitRecorder

log = logging.getLogger(__name__)

_PAGES = {"/": answers.ROOT, "/robots.txt": answers.ROBOTS}
_FAULTY = {Kind.OPEN: answers.IMAGE, Kind.CLICK: answers.NOT_FOUND}

Respond = Callable[[Answer], None]


@dataclass(frozen=True)
class TrackingSite:
    """What is served on every tracking domain."""

    keys: KeyDirectory
    recorder: HitRecorder
    now: Callable[[], Instant]
    randomness: Callable[[int], bytes]

    def on_request(self, request: HitRequest, respond: Respond) -> None:
        """Answer `request`, at once or when its hit is on disk."""
        if request.method == "OPTIONS":
            respond(answers.OPTIONS)
        elif request.method not in ("GET", "HEAD"):
            respond(answers.NOT_ALLOWED)
        else:
            self._answer_path(request, respond)

    def _answer_path(self, request: HitRequest, respond: Respond) -> None:
        path = request.path.partition("?")[0]
        kind = _kind_of(path)
        if kind is None:
            respond(_PAGES.get(path, answers.NOT_FOUND))
            return
        opened = self._open(kind, request)
        if opened is None:
            respond(_FAULTY[kind])
            return
        token, tracking_domain = opened
        answer = _answer_for(kind, token)
        if request.method == "HEAD":
            respond(answer)
            return
        hit = self._hit(kind, token, tracking_domain, request)
        self.recorder.record(hit, lambda _recorded: respond(answer))

    def _open(self, kind: Kind, request: HitRequest) -> tuple[Token, str] | None:
        """Return the token and the tracking domain it was opened for, None for any fault."""
        text = request.path[len("/c/") :]
        try:
            domain = host_of(request.host)
            try:
                return self.keys.ring().open(kind, domain, text), domain
            except UnknownKey:
                return self.keys.reread().open(kind, domain, text), domain
        except (BadToken, BadName, KnownKeyFault) as fault:
            log.debug(line("token", "refused", kind=kind.name.lower(), reason=fault))
        except KeyFault as fault:
            log.error(line("keys", "no token can be opened", reason=fault))
        return None

    def _hit(self, kind: Kind, token: Token, tracking_domain: str, request: HitRequest) -> Hit:
        fields = request.fields
        return Hit(
            hit_id=self.randomness(HIT_ID_BYTES),
            received_at=self.now(),
            kind=kind,
            email_id=token.email_id,
            copy=token.copy,
            link_index=token.link_index,
            destination=token.destination,
            tracking_domain=tracking_domain,
            ip=request.peer_ip,
            user_agent=fields.first("user-agent")[:MAX_HEADER_CHARS],
            headers={
                name: value[:MAX_HEADER_CHARS]
                for name in JUDGED_HEADERS
                if (value := fields.first(name))
            },
        )


def _kind_of(path: str) -> Kind | None:
    if path.startswith("/c/"):
        return Kind.CLICK
    return Kind.OPEN if path.startswith("/o/") else None


def _answer_for(kind: Kind, token: Token) -> Answer:
    if kind is Kind.OPEN:
        return answers.IMAGE
    target = location(token.destination)
    return answers.NOT_FOUND if target is None else answers.redirect(target)
