"""The app's side of SMTP: submits raw bytes as they are, over a real socket.

Who calls: functional tests, the demo and the bench. Promises: only dot-stuffing is added to the
bytes; the first refusal ends the transaction and is returned, not raised; XCLIENT lets a listener
that allows it take us for a stranger. Limits: no TLS; AUTH as smtplib does it.
"""

import contextlib
import re
import smtplib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from support.closing import ClosedAtTheEnd

_QUEUED = re.compile(r"queued as (\w+)")
_GONE = 421


class Address(Protocol):
    """Whatever has a host and a port: a Postfix listener, the sink."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True)
class SendResult:
    """The last reply: 250 with a queue id, or the refusal and the stage that it came at."""

    code: int
    text: str
    queue_id: str | None = None
    stage: str = "data"

    @property
    def accepted(self) -> bool:
        """Whether the server took the message."""
        return self.code == 250 and self.stage == "data"


class SmtpRefusedError(Exception):
    """The session could not begin; `result` tells the stage: connect, ehlo, xclient, login."""

    def __init__(self, result: SendResult) -> None:
        super().__init__(f"refused at {result.stage}: {result.code} {result.text}")
        self.result = result


class SmtpSession(ClosedAtTheEnd):
    """One connection, any number of messages; a context manager that ends with QUIT."""

    def __init__(
        self,
        listener: Address,
        *,
        xclient: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        helo: str = "app.kontor.example",
        timeout: float = 60.0,
    ) -> None:
        self._client = smtplib.SMTP(timeout=timeout, local_hostname=helo)
        try:
            self._open(listener, xclient, login)
        except BaseException:
            self._client.close()
            raise

    def send(
        self,
        sender: str,
        recipients: Sequence[str],
        raw_bytes: bytes,
        *,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> SendResult:
        """Submit one message; a closed connection counts as 421."""
        commands = [("mail", " ".join([f"MAIL FROM:<{sender}>", *mail_options]))]
        commands += [("rcpt", " ".join([f"RCPT TO:<{to}>", *rcpt_options])) for to in recipients]
        stage = "mail"
        try:
            for stage, command in commands:
                code, text = self._client.docmd(command)
                if code not in {250, 251}:
                    self._reset()
                    return _result(code, text, stage)
            stage = "data"
            return self._data(raw_bytes)
        except (smtplib.SMTPServerDisconnected, ConnectionError) as error:
            return SendResult(_GONE, f"connection closed: {error}", None, stage)

    def close(self) -> None:
        """Say QUIT, if anybody is still there to hear it. Idempotent."""
        if self._client.sock is not None:
            try:
                self._client.quit()
            except (smtplib.SMTPException, OSError):
                self._client.close()

    def _open(
        self,
        listener: Address,
        xclient: Mapping[str, str] | None,
        login: tuple[str, str] | None,
    ) -> None:
        self._demand("connect", 220, self._client.connect(listener.host, listener.port))
        self._demand("ehlo", 250, self._client.ehlo())
        if xclient:
            words = " ".join(f"{name}={_xtext(value)}" for name, value in xclient.items())
            self._demand("xclient", 220, self._client.docmd("XCLIENT", words))
            self._demand("ehlo", 250, self._client.ehlo())
        if login:
            try:
                self._client.login(*login)
            except smtplib.SMTPResponseException as error:
                raise SmtpRefusedError(
                    _result(error.smtp_code, error.smtp_error, "login")
                ) from error
        self._client.command_encoding = "utf-8"

    def _demand(self, stage: str, code: int, reply: tuple[int, bytes]) -> None:
        if reply[0] != code:
            raise SmtpRefusedError(_result(*reply, stage))

    def _data(self, raw_bytes: bytes) -> SendResult:
        try:
            code, text = self._client.data(raw_bytes)
        except smtplib.SMTPDataError as error:  # no 354
            code, text = error.smtp_code, _as_bytes(error.smtp_error)
            self._reset()
        return _result(code, text, "data")

    def _reset(self) -> None:
        # A server that refuses with 421 has hung up; its refusal is the result all the same.
        with contextlib.suppress(smtplib.SMTPServerDisconnected):
            self._client.rset()


def send(
    listener: Address,
    sender: str,
    recipients: Sequence[str],
    raw_bytes: bytes,
    *,
    xclient: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
    mail_options: Sequence[str] = (),
    rcpt_options: Sequence[str] = (),
    helo: str = "app.kontor.example",
    timeout: float = 60.0,
) -> SendResult:
    """Submit one message over a connection of its own; a refusal at any stage is a result."""
    try:
        with SmtpSession(
            listener, xclient=xclient, login=login, helo=helo, timeout=timeout
        ) as session:
            return session.send(
                sender,
                recipients,
                raw_bytes,
                mail_options=mail_options,
                rcpt_options=rcpt_options,
            )
    except SmtpRefusedError as error:
        return error.result
    except smtplib.SMTPServerDisconnected as error:
        return SendResult(_GONE, f"connection closed: {error}", None, "connect")


def _result(code: int, text: bytes | str, stage: str) -> SendResult:
    plain = _as_bytes(text).decode("utf-8", "replace")
    found = _QUEUED.search(plain) if stage == "data" and code == 250 else None
    return SendResult(code, plain, found.group(1) if found else None, stage)


def _as_bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8")


def _xtext(value: str) -> str:
    """RFC 3461 xtext: what Postfix wants for attribute values."""
    return "".join(
        chr(byte) if 33 <= byte <= 126 and byte not in b"+=" else f"+{byte:02X}"
        for byte in value.encode("utf-8")
    )
