"""Makes the tracking links and the open image's address of one copy of a message.

The bridge between `instrument`, which knows no keys, and `openclick.tokens`.  One minter serves one
copy and is thrown away with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from openclick.names import domain_name
from openclick.settings import LinkSettings
from openclick.tokens import (
    MAX_TRACKING_URL_CHARS,
    BadToken,
    KeyRing,
    Kind,
    Token,
    tracking_path,
)

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class TokenMinter:
    """Seals links for one copy; `tracking_domain` is an A-label name in lower case."""

    ring: KeyRing
    links: LinkSettings
    tracking_domain: str
    email_id: bytes
    copy: bytes

    def link_urls(self, links: Sequence[tuple[int, str]]) -> list[str | None]:
        """Return the tracking link of each number and destination, in their order.

        None stands where the URL would be too long to travel.
        """
        # What is too long as it is need not be sealed; in a hostile mail that may be megabytes.
        short = [link for link in links if len(link[1]) <= MAX_TRACKING_URL_CHARS]
        tokens = [Token(self.email_id, self.copy, *link) for link in short]
        urls = iter(self._urls(Kind.CLICK, tokens))
        found = (next(urls) if len(text) <= MAX_TRACKING_URL_CHARS else text for _, text in links)
        return [url if len(url) <= MAX_TRACKING_URL_CHARS else None for url in found]

    def image_url(self) -> str:
        """Return the address of the open image."""
        return self._urls(Kind.OPEN, [Token(self.email_id, self.copy)])[0]

    def is_own(self, url: str) -> bool:
        """Tell whether `url` is a tracking link or an open image that our keys open."""
        return self.maybe_token(url) is not None

    def maybe_token(self, url: str) -> Token | None:
        """Return the token of a tracking link or an open image of ours, None for any other URL."""
        if "/c/" not in url and "/o/" not in url:  # nearly all: spare them the parser
            return None
        try:
            parts = urlsplit(url)
            kind, _, text = parts.path.lstrip("/").partition("/")
            return self.ring.open(Kind(kind), domain_name(parts.hostname or ""), text)
        except (ValueError, BadToken):
            return None

    def _urls(self, kind: Kind, tokens: list[Token]) -> list[str]:
        port = self.links.port
        authority = self.tracking_domain
        if port and port != _DEFAULT_PORTS[self.links.scheme]:
            authority = f"{authority}:{port}"
        begin = f"{self.links.scheme}://{authority}"
        sealed = self.ring.seal_many(kind, self.tracking_domain, tokens)
        return [begin + tracking_path(kind, text) for text in sealed]
