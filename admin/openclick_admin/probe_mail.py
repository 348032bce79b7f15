"""The mail of `openclick test-send`, and the two ways in which it is submitted.

Called by `probe`.  The mail is text and HTML with one link, one opted-out link and one anchor, so
that each kind of outcome can be seen.  Limits: SMTP on a loopback address takes any certificate
with STARTTLS; elsewhere it must be valid for the host's name.
"""

from __future__ import annotations

import ipaddress
import re
import smtplib
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

import click

_SENDMAIL = "/usr/sbin/sendmail"
_SECONDS = 60.0
_WORD = r"[^\s,;:<>()\[\]\"\\@.]"
_ADDRESS = re.compile(rf"(?!-)(?:{_WORD}+\.)*{_WORD}+@(?:(?:{_WORD}+\.)*{_WORD}+|\[[\w.:]+\])\Z")
_TEXT = """\
This mail was sent by `openclick test-send`.
It is tracked where the HTML beside this text was instrumented.

https://{domain}/
"""
_HTML = """\
<!DOCTYPE html>
<html>
<body>
<p>This mail was sent by <code>openclick test-send</code>.</p>
<p><a href="https://{domain}/">A link that is tracked</a>,
<a data-openclick="off" href="https://{domain}/private">one that opts out</a>,
and <a href="#top">one that leads nowhere else</a>.</p>
</body>
</html>
"""


class NotSubmitted(Exception):
    """The mail was not taken; one line says by whom and why."""


@dataclass(frozen=True)
class Smtp:
    """Where to submit, and as whom; an empty `login` is nobody."""

    host: str
    port: int
    login: str
    password: str

    @classmethod
    def parsed(cls, text: str, login: str | None, password: str) -> Smtp:
        """Read HOST:PORT.  Raises BadParameter."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise click.BadParameter(f"{text!r}: need HOST:PORT", param_hint="--smtp")
        return cls(host.removeprefix("[").removesuffix("]"), int(port), login or "", password)


def a_probe(
    sender: str, recipient: str, header_prefix: str | None, sent_at_seconds: float
) -> EmailMessage:
    """Build the mail; with a prefix it carries control headers that ask for both."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage()
    mail["From"] = f"OpenClick test <{sender}>"
    mail["To"] = recipient
    mail["Subject"] = "OpenClick test"
    mail["Date"] = format_datetime(datetime.fromtimestamp(sent_at_seconds, UTC))
    mail["Message-ID"] = make_msgid("openclick-test", domain)
    if header_prefix is not None:
        mail[f"{header_prefix}Track-Opens"] = "true"
        mail[f"{header_prefix}Track-Clicks"] = "true"
    mail.set_content(_TEXT.format(domain=domain))
    mail.add_alternative(_HTML.format(domain=domain), subtype="html")
    return mail


def is_address(text: str) -> bool:
    """Tell whether a text is one plain address, the very one that a header makes of it."""
    # First, for the standard library's parser raises whatever it likes for some that are none.
    if not _ADDRESS.match(text) or not text.isprintable():
        return False
    mail = EmailMessage()
    mail["To"] = text
    return [each.addr_spec for each in mail["To"].addresses] == [text]


def by_sendmail(mail: EmailMessage, config_directory: Path | None) -> None:
    """Submit by Postfix's sendmail(1).  Raises NotSubmitted."""
    where = () if config_directory is None else ("-C", str(config_directory))
    sender = mail["From"].addresses[0].addr_spec
    recipient = mail["To"].addresses[0].addr_spec
    argv = [_SENDMAIL, *where, "-i", "-f", sender, "--", recipient]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, addresses after "--"
            argv, input=mail.as_bytes(), capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotSubmitted(f"{_SENDMAIL}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NotSubmitted(f"{_SENDMAIL}: {said[-1] if said else done.returncode}")


def by_smtp(mail: EmailMessage, smtp: Smtp) -> None:
    """Submit over SMTP, with STARTTLS where it is offered.  Raises NotSubmitted."""
    kind = smtplib.SMTP_SSL if smtp.port == 465 else smtplib.SMTP
    try:
        with kind(smtp.host, smtp.port, timeout=_SECONDS) as session:
            session.ehlo()
            if session.has_extn("starttls"):
                session.starttls(context=_tls_context(smtp.host))
                session.ehlo()
            if smtp.login:
                session.login(smtp.login, smtp.password)
            session.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSubmitted(f"{smtp.host}:{smtp.port}: {_told(error)}") from error


def _tls_context(host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if _is_loopback(host):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _told(error: Exception) -> str:
    """Say what the server said: smtplib's exceptions show bytes and tuples."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        ((code, text), *_) = error.recipients.values()
        return f"{code} {text.decode('utf-8', 'replace')}"
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        return f"{error.smtp_code} {words}"
    return str(error) or type(error).__name__
