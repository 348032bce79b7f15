"""The hrefs of a document, by our scanner and by turbohtml's tokenizer, the independent reader."""

from __future__ import annotations

import re

import pytest

from openclick_milter.attributes import decode_attribute
from openclick_milter.links import scan

NO_ORACLE = "turbohtml is not in Debian; pip has it"


def hrefs(html: bytes, *, conditional_comments: bool = False) -> list[bytes]:
    """Return the raw href values that the scanner finds."""
    found = scan(html, conditional_comments=conditional_comments)
    return [html[link.start : link.end] for link in found.links]


def hrefs_by_tokenizer(html: bytes) -> tuple[list[str], int | None]:
    """Return the decoded href of each `a` and `area`, and the last `</body>`'s offset.

    Offsets hold for input without CR.  The tokenizer takes noscript for raw text, as with scripts
    on; a mail client has them off, so the word is replaced by another of its length.
    """
    turbohtml = pytest.importorskip("turbohtml", reason=NO_ORACLE)
    text = without_noscript(html.decode("latin-1"))
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    found, last_body_end = [], None
    for token in turbohtml.tokenize(text):
        if token.type == turbohtml.TokenType.START_TAG and token.tag in ("a", "area"):
            value = token.attr("href")
            found += [value] if value else []
        elif token.type == turbohtml.TokenType.END_TAG and token.tag == "body":
            last_body_end = lines[token.line - 1] + token.col
    return found, last_body_end


def without_noscript(text: str) -> str:
    """Return text without that word, which may stand in a value as well."""
    return re.sub(r"(?i)noscript", "noscrypt", text)


def hrefs_by_us(html: bytes) -> list[str]:
    """Return our hrefs in the tokenizer's form: decoded, newlines normalised, NUL replaced."""
    found = []
    for raw in hrefs(html):
        text = raw.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
        value = decode_attribute(without_noscript(text.replace("\0", "\ufffd")))
        found += [value] if value else []
    return found
