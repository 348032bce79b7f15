"""Answers of the API: a status, a JSON body, header fields.

Made by handlers and by `router`; `site` sends them.  Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openclick_sidecar.api.faults import ApiFault

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Answer:
    """One answer; `body` is empty for a 204."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: Any) -> bytes:
    """Return `value` as JSON; text that is no Unicode (a lone surrogate) is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def ok(value: Any, status: int = 200) -> Answer:
    """Return an answer with a JSON body."""
    return Answer(status, as_json(value))


NO_CONTENT = Answer(204)


def of_fault(fault: ApiFault) -> Answer:
    """Return the answer that tells a fault; 413 is flat, as Anypost's gateway has it."""
    if fault.status == 413:
        body: dict[str, Any] = {"error": fault.kind, "message": fault.message}
    else:
        body = {"error": {"type": fault.kind, "message": fault.message}}
        if fault.errors:
            body["error"]["errors"] = {name: list(texts) for name, texts in fault.errors.items()}
    return Answer(fault.status, as_json(body), fault.headers)
