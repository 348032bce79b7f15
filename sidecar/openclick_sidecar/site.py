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
from openclick.ids import HIT_RANDOM_BYTES, new_hit_id
from openclick.instants import Instant
from openclick.keys import KeyDirectory, KeyFault, KnownKeyFault
from openclick.logs import line
from openclick.names import BadName, host_of
from openclick.tokens import BadToken, Kind, Token, UnknownKey
from openclick_sidecar import answers, proof
from openclick_sidecar.answers import Answer
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.destinations import location
from openclick_sidecar.hit_request import HitRequest
from openclick_sidecar.hits_of_a_turn import RecordsHits
from openclick_sidecar.waiting_room import WaitingRoom

log = logging.getLogger(__name__)

_PAGES = {"/": answers.ROOT, "/robots.txt": answers.ROBOTS}
_FAULTY = {Kind.OPEN: answers.IMAGE, Kind.CLICK: answers.NOT_FOUND}
_JUDGED = {name.encode("ascii"): name for name in JUDGED_HEADERS}
_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))

Respond = Callable[[Answer], None]


@dataclass
class TrackingSite:
    """What is served on every tracking domain.

    `further_page` is asked for paths that nothing here knows.  `lost_at` is when the last hit was
    lost; None once another has reached a disk.
    """

    keys: KeyDirectory
    recorder: RecordsHits
    now: Callable[[], Instant]
    randomness: Callable[[int], bytes]
    room: WaitingRoom
    counters: HitCounters
    further_page: Callable[[str], Answer | None] = lambda _path: None
    lost_at: Instant | None = None

    def on_request(self, request: HitRequest, respond: Respond) -> None:
        """Answer `request`, at once or when its hit is on disk."""
        path = request.path.partition("?")[0]
        kind = _kind_of(path)
        answer, hit = self._decide(kind, path, request)
        method = request.method if request.method in _METHODS else "other"
        self.counters.requests[_asked_for(kind), method, answer.status] += 1
        if hit is None:
            respond(answer)
        else:
            self._record(hit, answer, respond)

    def _decide(
        self, kind: Kind | None, path: str, request: HitRequest
    ) -> tuple[Answer, Hit | None]:
        """Return the answer, and the hit that must be on disk before it goes out, if it is one."""
        if request.method == "OPTIONS":
            return answers.OPTIONS, None
        if request.method not in _METHODS:
            return answers.NOT_ALLOWED, None
        if kind is None:
            return self._page(path, request), None
        opened = self._open(kind, request)
        if opened is None:
            return _FAULTY[kind], None
        answer = _answer_for(kind, opened[0])
        return answer, None if request.method == "HEAD" else self._hit(kind, *opened, request)

    def _page(self, path: str, request: HitRequest) -> Answer:
        if not proof.is_challenge(path):
            return _PAGES.get(path) or self.further_page(path) or answers.NOT_FOUND
        try:
            return answers.text_page(
                proof.answer(self.keys.ring(), host_of(request.host), path).encode()
            )
        except (BadName, KeyFault):
            return answers.NOT_FOUND

    def _record(self, hit: Hit, answer: Answer, respond: Respond) -> None:
        def done(kept: bool) -> None:
            self.lost_at = None if kept else self.now()
            self.room.leave()
            respond(answer)

        self.room.enter()
        self.recorder.record(hit, done)

    def _open(self, kind: Kind, request: HitRequest) -> tuple[Token, str] | None:
        """Return the token and the tracking domain it was opened for, None for any fault."""
        text = request.path[len("/c/") :]
        try:
            domain = host_of(request.host)
            try:
                return self.keys.ring().open(kind, domain, text), domain
            except UnknownKey:
                return self.keys.reread().open(kind, domain, text), domain
        except UnknownKey as fault:
            self._refuse(kind, "unknown key", fault)
        except BadName as fault:
            self._refuse(kind, "bad host", fault)
        except BadToken as fault:
            self._refuse(kind, str(fault), fault)
        except KeyFault as fault:
            if not isinstance(fault, KnownKeyFault):
                log.error(line("keys", "cannot be read", reason=fault))
            self._refuse(kind, "no keys", fault)
        return None

    def _refuse(self, kind: Kind, reason: str, fault: Exception) -> None:
        self.counters.refused_tokens[reason] += 1
        if log.isEnabledFor(logging.DEBUG):
            log.debug(line("token", "refused", kind=kind.name.lower(), reason=fault))

    def _hit(self, kind: Kind, token: Token, tracking_domain: str, request: HitRequest) -> Hit:
        fields, received_at = request.fields, self.now()
        return Hit(
            hit_id=new_hit_id(received_at, self.randomness(HIT_RANDOM_BYTES)),
            received_at=received_at,
            kind=kind,
            email_id=token.email_id,
            copy=token.copy,
            link_index=token.link_index,
            destination=token.destination,
            tracking_domain=tracking_domain,
            ip=request.client_ip,
            user_agent=fields.first(b"user-agent")[:MAX_HEADER_CHARS],
            headers={
                _JUDGED[name]: value[:MAX_HEADER_CHARS]
                for name in fields
                if name in _JUDGED and (value := fields.first(name))
            },
        )


def _kind_of(path: str) -> Kind | None:
    if path.startswith("/c/"):
        return Kind.CLICK
    return Kind.OPEN if path.startswith("/o/") else None


def _asked_for(kind: Kind | None) -> str:
    """Say it for the metrics; a mapping would compute the hash of a Kind, which is slow."""
    if kind is None:
        return "page"
    return "open" if kind is Kind.OPEN else "click"


def _answer_for(kind: Kind, token: Token) -> Answer:
    if kind is Kind.OPEN:
        return answers.IMAGE
    target = location(token.destination)
    return answers.NOT_FOUND if target is None else answers.redirect(target)
