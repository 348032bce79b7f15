"""Instruments the same mails in two ways and prints how many a second of CPU each way does.

    ours     openclick_milter.instrument, as the milter calls it: fields and body in, edits out
    email    the standard library's email package and BeautifulSoup with html.parser: parse, set the
             same sealed links, append the same image, write the message out again

The second way is given every help: the HTML reaches BeautifulSoup decoded, so that it guesses no
charset, and goes back to quoted-printable in C.
"""

from __future__ import annotations

import argparse
import json
import quopri
import time
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from typing import Any

from bs4 import BeautifulSoup

from bench import mails
from openclick.settings import LinkSettings
from openclick.tokens import KEY_BYTES, KeyRing
from openclick_milter.instrument import Instrumented, Limits, Request, instrument
from openclick_milter.minter import TokenMinter

_MAILS = 20
_WEB = ("http://", "https://")
_KEYS = KeyRing({0: bytes(range(KEY_BYTES))})
_REQUEST = Request(opens=True, clicks=True)


def _minter() -> TokenMinter:
    """Return a fresh one: each mail has its own."""
    return TokenMinter(
        _KEYS, LinkSettings(), "track.kontor.example", b"e" * 16, b"copy", with_image=True
    )


def main() -> None:
    """Measure both ways for a while each, in the order asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--backwards", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.5)
    options = parser.parse_args()
    raw = [mails.newsletter(seed) for seed in range(_MAILS)]
    ways: dict[str, Callable[[], None]] = {"ours": _ours(raw), "email": _email(raw)}
    names = reversed(ways) if options.backwards else iter(ways)
    print(json.dumps({name: _mails_a_second(ways[name], options.seconds) for name in names}))


def _mails_a_second(way: Callable[[], None], seconds: float) -> float:
    """Count against CPU time, which other processes' load does not move much."""
    way()
    passes, began = 0, time.process_time()
    while (passed := time.process_time() - began) < seconds:
        way()
        passes += 1
    return passes * _MAILS / passed


def _ours(raw: list[bytes]) -> Callable[[], None]:
    # Postfix hands fields and body over apart; so they are split before the clock runs.
    split = [_fields_and_body(mail) for mail in raw]

    def run() -> None:
        for fields, body in split:
            done = instrument(fields, body, _REQUEST, _minter(), Limits(), lambda: None)
            assert isinstance(done, Instrumented), done
            assert sum(link.tracked for link in done.links) == mails.LINKS

    return run


def _email(raw: list[bytes]) -> Callable[[], None]:
    def run() -> None:
        for mail in raw:
            message = message_from_bytes(mail)
            for part in message.walk():
                if part.get_content_type() == "text/html":
                    assert _rewrite(part) == mails.LINKS
            message.as_bytes()

    return run


def _rewrite(part: Message) -> int:
    charset = part.get_content_charset("utf-8")
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    soup: Any = BeautifulSoup(content.decode(charset), "html.parser")
    links = [tag for tag in soup.find_all(["a", "area"], href=True) if tag["href"].startswith(_WEB)]
    minter = _minter()
    urls = minter.link_urls([(index, tag["href"]) for index, tag in enumerate(links)])
    for tag, url in zip(links, urls, strict=True):
        tag["href"] = url
    image = soup.new_tag("img", src=minter.image_url(), width="1", height="1", alt="")
    soup.body.append(image)
    part.set_payload(quopri.encodestring(str(soup).encode(charset)).decode("ascii"))
    return len(links)


def _fields_and_body(raw: bytes) -> tuple[list[tuple[str, str]], bytes]:
    header, _, body = raw.partition(b"\r\n\r\n")
    message = message_from_bytes(header + b"\r\n\r\n")
    return [(name, str(value)) for name, value in message.items()], body


if __name__ == "__main__":
    main()
