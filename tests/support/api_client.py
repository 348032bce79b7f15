"""The app's side of the HTTP API: raw requests, exactly as asked for.

Who calls: functional tests and the bench. Promises: no retries, no defaults but the key and JSON.
"""

import json
from dataclasses import dataclass
from typing import Any

from support.http_client import Response, fetch
from support.installation import Installation
from support.processes import LOOPBACK

DOMAIN = "kontor.example"
EMAIL: dict[str, Any] = {
    "from": f"news@{DOMAIN}",
    "to": ["anna@reader.example"],
    "subject": "Boots",
    "text": "Hello",
}
"""An email with no more than the API asks for, from a domain that tests add."""


@dataclass(frozen=True)
class ApiAnswer:
    """One answer."""

    response: Response

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.response.body)

    @property
    def error(self) -> tuple[int, str]:
        """The status and the type of an error."""
        error = self.json["error"]
        return self.status, error if isinstance(error, str) else error["type"]


class ApiClient:
    """Asks one installation's API with one key; without a `secret` a key of its own is made."""

    def __init__(self, installation: Installation, secret: str = "", *options: str) -> None:
        self.port = installation.api_port
        if not secret:
            made = installation.openclick_json("apikey", "create", "test", *options)
            secret, self.key_id = made["secret"], made["id"]
        self.secret = secret

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> ApiAnswer:
        """Send one request; bytes as they are, anything else as JSON; `headers` with _ for -."""
        fields = {"Authorization": f"Bearer {self.secret}"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url = f"http://{LOOPBACK}:{self.port}{path}"
        return ApiAnswer(fetch(url, None, fields, method, raw, timeout=60))
