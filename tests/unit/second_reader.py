"""What the tests of the milter's pure core share: a minter without keys, and independent readers.

The readers are other people's code (stdlib `email`, turbohtml's tokenizer), so that a mistake of
ours cannot vouch for itself.
"""

from __future__ import annotations

import base64
import email.message
import email.parser
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hypothesis import settings

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
NO_CORPUS = "the shared corpus is not beside this checkout"

no_deadline = settings(deadline=None)
"""For property tests: a busy machine must not fail them."""

LINK_BASE = "https://track.example.com/c/"
IMAGE_BASE = "https://track.example.com/o/"


class FakeMinter:
    """Seals nothing, but makes URLs of the form and length that real tokens have."""

    def link_urls(self, links: Sequence[tuple[int, str]]) -> list[str | None]:
        return [self.link_url(index, destination) for index, destination in links]

    def link_url(self, index: int, destination: str) -> str | None:
        text = f"{index:05d} {destination}".encode("utf-8", "surrogatepass")
        url = LINK_BASE + base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")
        return url if len(url) <= 2000 else None

    def image_url(self) -> str:
        return IMAGE_BASE + "B" * 54

    def is_own(self, url: str) -> bool:
        return url.startswith((LINK_BASE, IMAGE_BASE))


IMAGE = f'<img src="{FakeMinter().image_url()}" width="1" height="1" alt="">'.encode("ascii")


def split_message(raw: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Split a message with CRLF as Postfix and pymilter hand it over: fields, body.

    As with Postfix, the body begins after the blank line, or at a line that is no header field.
    """
    fields: list[tuple[str, str]] = []
    position = 0
    for line in raw.splitlines(keepends=True):
        text = line.decode("ascii", "surrogateescape").removesuffix("\r\n")
        field = re.match(r"([!-9;-~]+)[ \t]*:[ ]?(.*)", text, re.DOTALL)
        if text[:1] in (" ", "\t") and fields:
            name, value = fields[-1]
            fields[-1] = (name, f"{value}\n{text}")
        elif field:
            fields.append((field[1], field[2]))
        else:
            position += 0 if text else len(line)
            break
        position += len(line)
    return fields, raw[position:]


def join_message(fields: list[tuple[str, str]], body: bytes) -> bytes:
    """Put a message together again, for a reader of whole messages."""
    lines = [f"{name}: {value}".replace("\n", "\r\n") + "\r\n" for name, value in fields]
    return "".join(lines).encode("ascii", "surrogateescape") + b"\r\n" + body


def read_message(fields: list[tuple[str, str]], body: bytes) -> email.message.Message:
    """Read a message with the standard library."""
    return email.parser.BytesParser().parsebytes(join_message(fields, body))


def html_by_email(fields: list[tuple[str, str]], body: bytes) -> list[bytes]:
    """Return the decoded content of each text/html leaf, attachments included."""
    found = []
    for part in read_message(fields, body).walk():
        if part.get_content_type() == "text/html" and not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append(content)
    return found


def corpus_messages() -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes, with CRLF and without mbox line, of each message of the corpus."""
    for path in sorted(CORPUS.glob("*/**/*.eml")):
        raw = re.sub(rb"\AFrom .*\n", b"", path.read_bytes())
        yield str(path.relative_to(CORPUS)), re.sub(rb"\r?\n", b"\r\n", raw)
