"""What the receiving side finds in a mail, read by the standard library.

Who calls: functional tests, the demo and the bench. Promises: shares no code with the milter, so
that it can tell whether the milter was right.
"""

import email
import email.policy
import re
from email.message import EmailMessage

_TRACKING_LINK = re.compile(r"""href=["']?(https?://[^/"'\s>]+/c/[\w-]+)""", re.IGNORECASE)
_OPEN_IMAGE = re.compile(r'<img src="(https?://[^/"]+/o/[\w-]+)" width="1" height="1" alt="">')


def html_of(raw: bytes) -> str:
    """Return the HTML part, decoded."""
    return _content(raw, "html")


def text_of(raw: bytes) -> str:
    """Return the text part, decoded."""
    return _content(raw, "plain")


def tracking_links(raw: bytes) -> list[str]:
    """Return the tracking links of the HTML part, in order."""
    return _TRACKING_LINK.findall(html_of(raw))


def open_images(raw: bytes) -> list[str]:
    """Return the addresses of the open images of the HTML part."""
    return _OPEN_IMAGE.findall(html_of(raw))


def fields_of(raw: bytes) -> list[tuple[str, str]]:
    """Return the header fields in order."""
    return list(email.message_from_bytes(raw).items())


def _content(raw: bytes, subtype: str) -> str:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    part = message.get_body((subtype,))
    if part is None:
        raise LookupError(f"no text/{subtype} part")
    return str(part.get_content())
