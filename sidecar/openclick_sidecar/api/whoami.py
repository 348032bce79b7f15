"""GET /v1/whoami: which key asks, and of which installation."""

from __future__ import annotations

from dataclasses import dataclass

from openclick_sidecar.api.answers import Answer, ok
from openclick_sidecar.api.router import Call, Route

TEAM_ID = "team_openclick"
"""One installation is one team."""


@dataclass(frozen=True)
class Whoami:
    """The resource; `installation` is its name for people."""

    installation: str

    def routes(self) -> list[Route]:
        """Return its operations."""
        return [Route("GET", "/v1/whoami", self.show, send_only=True)]

    async def show(self, call: Call) -> Answer:
        """Answer with the team, the key and its limits: OpenClick has none."""
        return ok(
            {
                "team": {"id": TEAM_ID, "name": self.installation},
                "api_key": {"id": call.key.key_id, "permissions": call.key.permissions.value},
                "limits": None,
            }
        )
