"""A sidecar without a milter: tokens for it, and what it has recorded and counted.

Who calls: functional tests of the hit path. Promises: each link has a number of its own, by which
its hit is found again. Limits: needs root, like every installation.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Self

from openclick.ids import COPY_BYTES, EMAIL_ID_BYTES
from openclick.keys import load_keys
from openclick.store import StoreFault
from openclick.tokens import KeyRing, Kind, Token, tracking_path
from support.http_client import Response, fetch
from support.installation import Installation
from support.processes import LOOPBACK, Daemon

TRACKING_DOMAIN = "track.kontor.example"
_DESTINATION = "https://shop.kontor.example/"
_EMAIL_ID = b"e" * EMAIL_ID_BYTES
_COPY = b"c" * COPY_BYTES
_MANY = 1_000_000


class LoneSidecar:
    """One installation whose sidecar alone runs; `settings` go into the section [sidecar].

    `sections` are settings of other sections, by their names.
    """

    def __init__(
        self, sections: Mapping[str, Mapping[str, object]] | None = None, /, **settings: object
    ) -> None:
        self.installation = Installation()
        self.installation.configure(
            f"unix:{self.installation.directory}/m.sock",
            53,
            sidecar=settings,
            **{"log": {"level": "info"}, **(sections or {})},
        )
        self.installation.init()

    def __enter__(self) -> Self:
        self.daemon = self.installation.start_sidecar()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.installation.close()

    daemon: Daemon

    @property
    def port(self) -> int:
        """Where it answers."""
        return self.installation.hit_port

    def link(self, number: int) -> str:
        """Return the path of a tracking link, sealed with the newest key there is now."""
        return self.links(range(number, number + 1))[number]

    def links(self, numbers: range) -> dict[int, str]:
        """Return the paths of many links."""
        ring = load_keys(str(self.installation.state / "keys"))
        return {number: _path(ring, number) for number in numbers}

    def click(self, number: int, **headers: str) -> Response:
        """Follow a link, as a browser on this machine; `headers` with _ for -."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return fetch(f"http://{TRACKING_DOMAIN}{self.link(number)}", (LOOPBACK, self.port), fields)

    def recorded(self) -> dict[int, str]:
        """Return the numbers of the links whose hits are in hits.db, with the client's address."""
        try:
            reader = self.installation.store.hit_reader()
        except StoreFault:
            return {}
        try:
            hits = [hit for _, hit in reader.many_after(0, _MANY, _MANY)]
        finally:
            reader.close()
        return {int(hit.destination.removeprefix(_DESTINATION)): hit.ip for hit in hits}

    def status(self, page: str) -> Response:
        """Ask for /metrics, /healthz or /readyz."""
        return fetch(f"http://{LOOPBACK}:{self.installation.metrics_port}{page}")

    def metrics(self) -> dict[str, float]:
        """Return the samples of /metrics by name and labels; those of the sidecar without prefix.

        A metric with labels also has its sum under the bare name.
        """
        found: dict[str, float] = defaultdict(float)
        for line in self.status("/metrics").body.decode().splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                name = name.removeprefix("openclick_sidecar_")
                found[name] += float(value)
                if "{" in name:
                    found[re.sub(r"\{.*", "", name)] += float(value)
        return dict(found)


def destination(number: int) -> str:
    """Return where link `number` leads."""
    return f"{_DESTINATION}{number}"


def _path(ring: KeyRing, number: int) -> str:
    token = Token(_EMAIL_ID, _COPY, 0, destination(number))
    return tracking_path(Kind.CLICK, ring.seal(Kind.CLICK, TRACKING_DOMAIN, token))
