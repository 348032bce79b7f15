"""Mailboxes in requests: `anna@example.com`, or `Anna <anna@example.com>`.

Called by `outgoing`, which reads them, and `composer`, which writes them.  Pure.  One form is read
and one is written, because every other form of RFC 5322 is a place to hide a second address in.

Promises: a mailbox that exists holds no control character, no blank in its address, and a domain as
A-labels in lower case; what is written for one parses as that one mailbox.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.header import Header

from openclick.names import BadName, domain_name
from openclick_sidecar.api.fields import text_problem

MAX_CHARS = 512
_MAX_NAME_CHARS = 256
_MAX_LOCAL_BYTES = 64
# RFC 5321's dot-string, and RFC 6531's, whose atoms may hold any character beyond ASCII.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")
_BLANK = re.compile(r"\s")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+\Z")


class BadMailbox(ValueError):
    """A text that is no mailbox; the message says why in a few words."""


@dataclass(frozen=True)
class Mailbox:
    """One address, and the name that is shown with it (empty for none)."""

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """The address alone, for the envelope."""
        return f"{self.local}@{self.domain}"

    @property
    def is_international(self) -> bool:
        """Whether the envelope needs SMTPUTF8 (RFC 6531) for it."""
        return not self.local.isascii()


def read_mailbox(text: str) -> Mailbox:
    """Return the mailbox that `text` is.  Raises BadMailbox."""
    problem = text_problem(text, MAX_CHARS)
    if problem:
        raise BadMailbox(problem)
    name, address = _split(text.strip())
    name = _unquoted(name)
    if len(name) > _MAX_NAME_CHARS:
        raise BadMailbox(f"the name has {len(name)} characters; need at most {_MAX_NAME_CHARS}")
    return _with_address(name, address)


def _split(text: str) -> tuple[str, str]:
    """Return name and address, without the blanks around them.  Raises BadMailbox.

    By hand: a pattern with blanks on both sides of a lazy name takes the cube of their number.
    """
    if "<" not in text and ">" not in text:
        return "", text
    name, _, rest = text.partition("<")
    if ">" in name or "<" in rest or rest.find(">") != len(rest) - 1:
        raise BadMailbox("need an address, or a name and <address>")
    return name.rstrip(), rest[:-1].strip()


def _with_address(name: str, address: str) -> Mailbox:
    local, at, host = address.rpartition("@")
    if not at:
        raise BadMailbox("has no @")
    if not _LOCAL.match(local) or _BLANK.search(local):
        raise BadMailbox("what stands before the @ is no local part")
    if len(local.encode("utf-8")) > _MAX_LOCAL_BYTES:
        raise BadMailbox(f"what stands before the @ has more than {_MAX_LOCAL_BYTES} bytes")
    try:
        domain = domain_name(host)
    except BadName as error:
        raise BadMailbox(f"domain: {error}") from error
    if _BLANK.search(host) or host.endswith("."):
        raise BadMailbox("domain: holds a blank or ends in a dot")
    return Mailbox(name, local, domain)


def write_mailbox(mailbox: Mailbox) -> str:
    """Return a mailbox as a header field has it: the name quoted or in encoded words."""
    if not mailbox.name:
        return mailbox.address
    if not mailbox.name.isascii():
        words = Header(mailbox.name, "utf-8").encode(linesep="\n")
        return f"{words}\n <{mailbox.address}>" if "\n" in words else f"{words} <{mailbox.address}>"
    if _PLAIN_NAME.match(mailbox.name):
        return f"{mailbox.name} <{mailbox.address}>"
    escaped = mailbox.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{mailbox.address}>'


def _unquoted(name: str) -> str:
    """Return a name without its quotation marks (RFC 5322, 3.2.4)."""
    if len(name) >= 2 and name[0] == name[-1] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name
