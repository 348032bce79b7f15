"""What the message row and the events quote from a message's header and envelope.

Called by `submission`.  Pure.  Header text comes as pymilter gives it, raw 8-bit bytes as
surrogate escapes; what leaves here is clean text, fit for SQL, JSON and logs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.errors import MessageError
from email.header import decode_header, make_header

from openclick.names import BadName, domain_name
from openclick_milter.controls import HeaderFields, is_control
from openclick_milter.parts import header_bytes

MAX_SUBJECT_CHARS = 998
MAX_APP_HEADERS = 25
MAX_APP_HEADER_CHARS = 256
_MAX_ADDRESS_FIELD_CHARS = 10_000
# Surrogates that stand for no raw byte: some charsets of encoded words decode to them.
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
# Postfix compares message_size_limit with its queue file. That holds, beside the message, its own
# records and a Received field; up to three forms of each recipient; and a byte more for each line
# of over 127 bytes (measured on 3.7.11 and 3.10.13: tests/functional/test_postfix_sizes.py).
_POSTFIX_OWN_BYTES = 2000
_RECIPIENT_BYTES = 40
_RECIPIENT_FORMS = 3
_BODY_BYTES_A_LONG_LINE = 128
_QUOTED = re.compile(r'(?<!\\)"(?>[^"\\]|\\.)*"')
_AROUND_AT = re.compile(r"\s*@\s*")
_ANGLED = re.compile(r"<([^<>]*)>")
_BARE = re.compile(r"(?<![^\s,;:<>@])[^\s,;:<>@]*@[^\s,;<>@]+")
_WEB = re.compile(r"https?://.", re.IGNORECASE)


def clean_text(value: str) -> str:
    """Unfold `value` and replace what is not UTF-8, so that any text column takes it."""
    raw = _NO_BYTE.sub("\ufffd", value).encode("utf-8", "surrogateescape")
    return re.sub(r"\r?\n[ \t]*", " ", raw.decode("utf-8", "replace")).strip().replace("\0", "")


def bare_address(argument: str) -> str:
    """Return an envelope address without its angle brackets (sendmail(1) sends none)."""
    address = clean_text(argument)
    return address[1:-1] if address[:1] == "<" and address[-1:] == ">" else address


def first_value(fields: HeaderFields, name: str) -> str | None:
    """Return the first field called `name` (any case) as clean text, or None."""
    for field, value in fields:
        if field.lower() == name:
            return clean_text(value)
    return None


def decoded_subject(fields: HeaderFields) -> str | None:
    """Return the subject with its encoded words decoded (RFC 2047), or as it stands."""
    raw = first_value(fields, "subject")
    if raw is None:
        return None
    try:
        text = str(make_header(decode_header(raw[: 4 * MAX_SUBJECT_CHARS])))
    except (MessageError, ValueError, LookupError):
        text = raw
    return clean_text(text)[:MAX_SUBJECT_CHARS]


def sending_domain(fields: HeaderFields, sender: str) -> str | None:
    """Return the host of the single From address, else of the envelope sender (DESIGN 3.3).

    None where neither names a domain.
    """
    values = [clean_text(value) for name, value in fields if name.lower() == "from"]
    addresses = _addresses(values)
    address = addresses[0] if len(addresses) == 1 else sender
    _, at, host = address.rpartition("@")
    try:
        return domain_name(host) if at else None
    except BadName:
        return None


def app_headers(fields: HeaderFields, prefix: str, vendors: bool = False) -> dict[str, str]:
    """Return the app's own X- fields as events carry them: lower case, underscores."""
    found: dict[str, str] = {}
    for name, value in fields:
        if not name.lower().startswith("x-") or is_control(name, prefix, vendors):
            continue
        if len(found) == MAX_APP_HEADERS:
            break
        key = clean_text(name).lower().replace("-", "_")
        found[key] = clean_text(value)[:MAX_APP_HEADER_CHARS]
    return found


def unsubscribe_urls(fields: HeaderFields) -> frozenset[str]:
    """Return the http and https targets of List-Unsubscribe (RFC 2369, 3.2).

    White space inside angle brackets counts for nothing (RFC 2369, 2): Postfix and many programs
    fold a long target in its middle.
    """
    values = [clean_text(v) for name, v in fields if name.lower() == "list-unsubscribe"]
    targets = ("".join(angled.split()) for value in values for angled in _ANGLED.findall(value))
    return frozenset(target for target in targets if _WEB.match(target))


def body_room_bytes(
    max_message_bytes: int, fields: Sequence[tuple[str, str]], recipients: Sequence[str]
) -> int:
    """Return how long a body may be, so that the message stays below Postfix's size limit.

    The limit is on the queue file; what is handed back is the body alone.
    """
    envelope_bytes = sum(
        _RECIPIENT_FORMS * len(recipient.encode("utf-8", "replace")) + _RECIPIENT_BYTES
        for recipient in recipients
    )
    room = max_message_bytes - header_bytes(fields) - envelope_bytes - _POSTFIX_OWN_BYTES
    return room * _BODY_BYTES_A_LONG_LINE // (_BODY_BYTES_A_LONG_LINE + 1)


def esmtp_parameter(parameters: Sequence[str], keyword: str) -> str | None:
    """Return the value of an ESMTP parameter such as ENVID, or None."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.upper() == keyword:
            return clean_text(value)
    return None


def _addresses(values: list[str]) -> list[str]:
    """Return the addresses of From fields as mail clients see them.

    Not email.utils.getaddresses: its strict form, which came with a security fix and so depends on
    the interpreter's patch level, sees none in `a@b.example <a@b.example>` and `[News] <a@b>`,
    which are common. What stands in angle brackets counts; only without any, bare addresses do.
    """
    text = ",".join(values)
    if len(text) > _MAX_ADDRESS_FIELD_CHARS:
        return []
    plain = _AROUND_AT.sub("@", _without_comments(_QUOTED.sub("", text)))
    angled = [address for address in _ANGLED.findall(plain) if "@" in address]
    return angled or _BARE.findall(plain)


def _without_comments(text: str) -> str:
    """Remove what stands in parentheses, which may be nested (RFC 5322, 3.2.2)."""
    if "(" not in text:
        return text
    kept, depth = [], 0
    for char in text:
        if char == "(":
            depth += 1
        elif char == ")" and depth:
            depth -= 1
        elif not depth:
            kept.append(char)
    return "".join(kept)
