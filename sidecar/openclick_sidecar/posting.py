"""Puts together what posts: name look-up, checked dialling, connections.

Made by `service`, and by the command for a test delivery, so that both reach the same addresses by
the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openclick.settings import Config
from openclick_sidecar.dialling import CheckedEndpoints
from openclick_sidecar.lookup import NameLookup
from openclick_sidecar.patience import done_within
from openclick_sidecar.post import IDLE_SECONDS, Poster
from openclick_sidecar.trust import trust_root

_LAST_NAMES_SECONDS = 1.0


class Posting:
    """`poster` posts between `start` and `stop`."""

    def __init__(self, config: Config, reactor: Any, authorities: Sequence[bytes]) -> None:
        """`authorities` are certificates in PEM that are trusted beside the system's."""
        settings = config.webhooks
        self._reactor = reactor
        self._names = NameLookup(config.dns, reactor, settings.concurrency)
        endpoints = CheckedEndpoints(
            reactor,
            self._names.addresses,
            settings.allow_private_networks,
            settings.connect_timeout_seconds,
            trust_root(list(authorities)),
            allow_http=settings.allow_http,
            quiet_seconds=settings.timeout_seconds + 2 * IDLE_SECONDS,
        )
        self.poster = Poster(
            reactor, settings.timeout_seconds, endpoints, settings.concurrency_per_webhook
        )

    def start(self) -> None:
        """Begin."""
        self._names.start()

    async def stop(self) -> None:
        """Close the connections; a name server that does not answer is not waited for long."""
        await self.poster.close()
        await done_within(self._reactor, _LAST_NAMES_SECONDS, self._names.stop)
