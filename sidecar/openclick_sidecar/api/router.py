"""From method and path to a handler, and from whatever happens there to an answer.

Called by `site` once a request is read.  The order of refusals: no such path 404, no such method
405, an answer that is no JSON wanted 406, no key 401, a key that may not 403; so a path that is
not there says so to everybody, and what is there says nothing to strangers.

Promises: `answer` always returns an answer; what nobody has foreseen is a 500 that tells the client
nothing but the request id, by which the traceback is found in the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from openclick.api_keys import ApiKey, Permissions
from openclick.logs import line
from openclick.store import StoreFault
from openclick_sidecar.api.answers import Answer, of_fault
from openclick_sidecar.api.faults import ApiFault, broken, forbidden, not_found, unavailable
from openclick_sidecar.api.gate import Gate
from openclick_sidecar.api.query import Query

log = logging.getLogger(__name__)

ROOT = "/v1"
_ACCEPTED_TYPES = ("application/json", "application/*", "*/*")


@dataclass
class Call:
    """One request, as handlers see it.

    `parts` are the values in the path, `headers` the fields by lower-case name; `key` is who asks.
    """

    request_id: str
    method: str
    path: str
    query_text: str
    headers: Mapping[str, str]
    body: bytes
    parts: tuple[str, ...] = ()
    maybe_key: ApiKey | None = None

    @property
    def key(self) -> ApiKey:
        """The API key that asks; there is one by the time a handler is called."""
        assert self.maybe_key is not None
        return self.maybe_key

    @property
    def query(self) -> Query:
        """The query string.  Raises ApiFault."""
        return Query(self.query_text)


Handler = Callable[[Call], Coroutine[Any, Any, Answer]]


@dataclass(frozen=True)
class Route:
    """One operation: a method and a path, in which {id} stands for any value."""

    method: str
    path: str
    handler: Handler
    send_only: bool = False
    """Whether a send_only key may ask for it."""

    def match(self, path: str) -> tuple[str, ...] | None:
        """Return the values in `path`, None where it is another path."""
        found = re.fullmatch(re.sub(r"\{\w+\}", "([^/]+)", self.path), path)
        return tuple(map(unquote, found.groups())) if found else None


@dataclass
class Router:
    """All operations of the API."""

    routes: Sequence[Route]
    gate: Gate
    _fault: str = field(default="", init=False)

    async def answer(self, call: Call) -> Answer:
        """Return the answer to one request."""
        try:
            route = self._route(call)
            _require_json_wanted(call.headers.get("accept"))
            call.maybe_key = await self.gate.caller(call.headers.get("authorization"))
            if call.key.permissions is Permissions.SEND_ONLY and not route.send_only:
                raise forbidden("This API key is send_only: it may send, and ask for whoami.")
            return await route.handler(call)
        except ApiFault as fault:
            return of_fault(fault)
        except StoreFault as fault:
            log.error(line(call.request_id, "the store cannot be used", reason=fault))
            return of_fault(unavailable("The store cannot be used now; nothing was done."))
        except Exception:
            log.exception(line(call.request_id, "internal error"))
            return of_fault(broken(call.request_id))

    def _route(self, call: Call) -> Route:
        """Return who answers a request, and leave the values of its path in `call`."""
        allowed: list[str] = []
        wanted = "GET" if call.method == "HEAD" else call.method
        for route in self.routes:
            parts = route.match(call.path)
            if parts is not None and route.method == wanted:
                call.parts = parts
                return route
            if parts is not None:
                allowed += [route.method, "HEAD"] if route.method == "GET" else [route.method]
        if not allowed:
            raise not_found()
        raise ApiFault(
            *(405, "method_not_allowed", f"There is no {call.method[:20]} here."),
            headers={"Allow": ", ".join(sorted(set(allowed)))},
        )


def _require_json_wanted(accept: str | None) -> None:
    """Raise ApiFault where the client takes no JSON (RFC 9110, 12.5.1)."""
    if accept is None or not accept.strip():
        return
    for wanted in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in wanted.split(";"))
        if kind in _ACCEPTED_TYPES and not any(
            re.fullmatch(r"q\s*=\s*0(\.0*)?", each) for each in parameters
        ):
            return
    raise ApiFault(406, "not_acceptable", "Answers are application/json; Accept rules that out.")
