"""Every reason the pure core gives for leaving something alone, in one place.

Used by `instrument` and the modules below it; shown to the admin in log lines, in message rows and
by `openclick explain`, and listed in the manual.  A reason is a short English phrase that completes
"untouched: …", "not tracked: …" or "no image: …".  Promise: a phrase never changes its meaning, so
that a row written years ago still reads right.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a message, a link or the open image was left alone (or where the image went)."""

    # The message as a whole.
    DKIM_SIGNED = "already DKIM-signed"
    SIGNED = "signed (multipart/signed)"
    ENCRYPTED = "encrypted (multipart/encrypted)"
    SMIME = "S/MIME (application/pkcs7-mime)"
    INLINE_PGP = "inline PGP"
    NO_HTML = "no HTML part"
    ENCLOSED = "enclosed messages (multipart/digest)"
    ATTACHMENT = "attachment"
    NOTHING_ASKED = "opens and clicks are both off"
    NOTHING_TO_DO = "no link to track"
    MESSAGE_TOO_LARGE = "message too large"
    GROWN_TOO_LARGE = "message would grow past the size limit"
    TOO_MANY_LINKS = "too many links"
    ENDING = "the milter is ending"
    COMES_AGAIN = "already instrumented: the same mail comes round again"

    # Structure that two readers could understand differently.
    DUPLICATE_HEADER = "ambiguous structure: a Content- header field occurs twice"
    HEADER_TOO_LONG = "header too long"
    BAD_PART_HEADER = "ambiguous structure: malformed part header"
    DUPLICATE_PARAMETER = "ambiguous structure: a Content-Type parameter occurs twice"
    NO_BOUNDARY = "ambiguous structure: multipart without a usable boundary parameter"
    NO_FIRST_BOUNDARY = "ambiguous structure: boundary line not found"
    NO_END_BOUNDARY = "ambiguous structure: missing end boundary"
    NO_PART_BETWEEN = "ambiguous structure: boundary lines with nothing between them"
    BARE_CR_BOUNDARY = "ambiguous structure: bare CR beside a boundary line"
    ENCODED_MULTIPART = "ambiguous structure: transfer encoding on a multipart"
    TOO_DEEP = "parts nested too deeply"
    TOO_MANY_PARTS = "too many parts"

    # One HTML part.
    BAD_CONTENT_TYPE = "unreadable Content-Type"
    UNKNOWN_ENCODING = "unknown transfer encoding"
    BAD_QUOTED_PRINTABLE = "undecodable quoted-printable"
    BAD_BASE64 = "undecodable base64"
    UNSAFE_CHARSET = "charset that cannot be edited in place"
    EMPTY_HTML = "empty HTML part"

    # One link.
    OPTED_OUT = "opt-out attribute"
    EMPTY = "empty link"
    ANCHOR = "anchor"
    OTHER_SCHEME = "not http or https"
    RELATIVE = "relative link"
    NO_SCHEME = "no scheme (//host)"
    TEMPLATE_HOST = "template tag in the host"
    ODD_URL = "unusual form of URL"
    ODD_HOST = "unusual host"
    CONTROL_CHARACTER = "control character in the URL"
    UNDECODABLE_URL = "URL does not decode in the declared charset"
    UNSUBSCRIBE = "unsubscribe link"
    ALREADY_TRACKED = "already tracked"
    TOO_LONG = "destination too long"
    LINE_TOO_LONG = "line would be too long"

    # The open image: where it went, or why there is none.
    BEFORE_BODY_END = "before </body>"
    BEFORE_HTML_END = "before </html>"
    AT_END = "at the end"
    AFTER_BODY_START = "after <body>"
    OPENS_OFF = "opens are off"
    NO_BODY_TAG = "needs <body>, which is missing"


class Unreadable(Exception):
    """The message cannot be edited safely; it stays untouched."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnreadablePart(Unreadable):
    """The content of one part cannot: that part stays, and the message with it if it is all."""
