"""The HTTP API without a port: requests are bytes on a connection in memory.

Who calls: unit tests of the API. Promises: everything behind the connection is the real thing, the
store and its threads too; time is the test's. Limits: nothing is submitted, since there is no SMTP.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from openclick.api_keys import ApiKey, Permissions, secret_digest
from openclick.domains import SendingDomain
from openclick.keys import KeyDirectory
from openclick.settings import Config
from openclick.store import Store, open_store
from openclick_sidecar.api.service import Api
from openclick_sidecar.bookkeeper import Bookkeeper
from unit.memory_net import MemoryNet, poster_on, until
from unit.samples import NOW

SECRET = "ap_secret"


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        """The status and the type of an error."""
        return self.status, self.json["error"]["type"]


class ApiWorld:
    """A store, and the API over it; one key may do everything, and `check` finds nothing new."""

    def __init__(self, directory: Path, config: Config | None = None) -> None:
        self.store: Store = open_store(f"sqlite:{directory}")
        self.add_key(SECRET)
        self.bookkeeper = Bookkeeper(self.store, reactor)
        keys = KeyDirectory(str(directory), lambda: 0.0)
        config = config or Config()
        self.check = _no_check
        self.net = MemoryNet()
        poster = poster_on(self.net)
        self.api = Api(config, self.store, keys, self.bookkeeper, poster, self._check, reactor)
        self.bookkeeper.start()
        self.api.start_threads()

    async def _check(self, domain: SendingDomain) -> SendingDomain | None:
        return await self.check(domain)

    def close(self) -> None:
        """End the threads."""
        self.api.stop_threads()
        self.bookkeeper.stop()

    def add_key(self, secret: str, **fields: Any) -> None:
        """Make a key."""
        key = ApiKey(f"key_{secret}", "test", secret[:12], Permissions.FULL, (), NOW)
        with closing(self.store.registry(owner=True)) as registry:
            registry.api_keys.add(replace(key, **fields), secret_digest(secret))

    async def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        secret: str | None = SECRET,
        **headers: str,
    ) -> Reply:
        """Send one request on a connection of its own, and wait for the answer."""
        raw = b"" if body is None else body if isinstance(body, bytes) else _as_json(body)
        fields = {"Host": "api.example", "Content-Length": str(len(raw))}
        if secret is not None:
            fields["Authorization"] = f"Bearer {secret}"
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return await self.send(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + raw)

    async def send(self, data: bytes) -> Reply:
        """Send bytes, and wait for the answer."""
        wire = StringTransport()
        channel = self.api.site.buildProtocol(IPv4Address("TCP", "192.0.2.9", 50_000))
        channel.makeConnection(wire)
        channel.dataReceived(data)
        await until(lambda: b"\r\n\r\n" in wire.value() and not self.api.site.under_way)
        channel.connectionLost(Failure(ConnectionDone()))
        return _reply(wire.value())


async def _no_check(domain: SendingDomain) -> SendingDomain | None:
    return domain


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _reply(raw: bytes) -> Reply:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Reply(int(first.split()[1]), headers, body)
