"""Why a request is not answered with what it asked for: status, type, and what is wrong by field.

Raised by handlers and by the layers below them; `router` turns one into an answer.  The types are
Anypost's where it has one, because its SDKs choose their exceptions by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Errors = Mapping[str, Sequence[str]]
"""What is wrong, by field: a path such as "to.0" or "emails.3.subject"."""


class ApiFault(Exception):
    """An error answer; `headers` are further fields of it."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        errors: Errors | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.errors = errors or {}
        self.headers = headers or {}


def invalid_query(errors: Errors) -> ApiFault:
    """Return the fault of a query string."""
    return ApiFault(400, "validation_error", _summary("query", errors), errors)


def invalid_body(errors: Errors) -> ApiFault:
    """Return the fault of a JSON body."""
    return ApiFault(422, "validation_error", _summary("body", errors), errors)


def not_json(reason: str) -> ApiFault:
    """Return the fault of a body that cannot be read at all."""
    return ApiFault(422, "validation_error", f"The body is no JSON object: {reason}.")


def unauthenticated() -> ApiFault:
    """Return the fault of a request without a key in use; it does not say which part is wrong."""
    return ApiFault(
        *(401, "authentication_error"),
        "Need the secret of an API key in use, as: Authorization: Bearer ap_...",
        headers={"WWW-Authenticate": "Bearer"},
    )


def forbidden(message: str) -> ApiFault:
    """Return the fault of a key that may not do this."""
    return ApiFault(403, "permission_error", message)


def not_found() -> ApiFault:
    """Return the fault of an id or a path that there is not, or not for this key."""
    return ApiFault(404, "not_found", "There is nothing here by that name.")


def conflict(message: str, kind: str = "conflict") -> ApiFault:
    """Return the fault of a request that collides with what there is."""
    return ApiFault(409, kind, message)


def unavailable(message: str, retry_seconds: int = 5) -> ApiFault:
    """Return the fault of a part that cannot be used now; clients try again."""
    return ApiFault(503, "internal_error", message, headers={"Retry-After": str(retry_seconds)})


def busy(message: str, retry_seconds: int = 2) -> ApiFault:
    """Return the fault of too many requests at once; clients try again."""
    return ApiFault(
        429, "rate_limit_exceeded", message, headers={"Retry-After": str(retry_seconds)}
    )


def broken(request_id: str) -> ApiFault:
    """Return the fault of what should not have happened; the log tells what it was."""
    return ApiFault(500, "internal_error", f"Something broke; see the log: {request_id}.")


def _summary(where: str, errors: Errors) -> str:
    """Return one sentence for people who print the message alone."""
    field, texts = next(iter(errors.items()))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"The {where} is not valid: {field}: {texts[0]}{more}."
