"""Makes the tracking links and the open image's address of one copy of a message.

The bridge between `instrument`, which knows no keys, and `openclick.tokens`.  One minter serves one
copy and is thrown away with it.  A token of a key that is not held has the keys read again, since
it may have been sealed with one that is a moment old.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from openclick.keys import KeyFault
from openclick.logs import line
from openclick.names import domain_name
from openclick.settings import LinkSettings
from openclick.tokens import (
    MAX_TRACKING_URL_CHARS,
    BadToken,
    KeyRing,
    Kind,
    Token,
    UnknownKey,
    tracking_path,
)

log = logging.getLogger(__name__)


@dataclass
class TokenMinter:
    """Seals links for one copy; `tracking_domain` is an A-label name in lower case.

    `scheme` is that of its links, "https" or "http" (`SendingDomain.link_scheme`).
    `with_image` says that the open image's address will be asked for: it is then sealed together
    with the first links, at a tenth of the cost.
    `reread` reads the keys again, at most once a second (`KeyDirectory.reread`); without it a token
    of an unknown key is not ours.
    """

    ring: KeyRing
    links: LinkSettings
    tracking_domain: str
    email_id: bytes
    copy: bytes
    reread: Callable[[], KeyRing] | None = None
    with_image: bool = False
    scheme: str = "https"
    _image_url: str = field(default="", init=False)

    def link_urls(self, links: Sequence[tuple[int, str]]) -> list[str | None]:
        """Return the tracking link of each number and destination, in their order.

        None stands where the URL would be too long to travel.
        """
        # What is too long as it is need not be sealed; in a hostile mail that may be megabytes.
        short = [link for link in links if len(link[1]) <= MAX_TRACKING_URL_CHARS]
        tokens = [(Kind.CLICK, Token(self.email_id, self.copy, *link)) for link in short]
        urls = iter(self._urls(tokens))
        found = (next(urls) if len(text) <= MAX_TRACKING_URL_CHARS else text for _, text in links)
        return [url if len(url) <= MAX_TRACKING_URL_CHARS else None for url in found]

    def image_url(self) -> str:
        """Return the address of the open image."""
        if not self._image_url:
            self.with_image = True
            self._urls([])
        return self._image_url

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
            return self._opened(Kind(kind), domain_name(parts.hostname or ""), text)
        except (ValueError, BadToken):
            return None
        except KeyFault as fault:
            log.warning(line("keys", "not read again", reason=fault))
            return None

    def _opened(self, kind: Kind, domain: str, text: str) -> Token:
        """Open a token.  Raises BadToken, and KeyFault where the keys cannot be read again."""
        try:
            return self.ring.open(kind, domain, text)
        except UnknownKey:
            if self.reread is None:
                raise
            return self.reread().open(kind, domain, text)

    def _urls(self, tokens: list[tuple[Kind, Token]]) -> list[str]:
        """Return the tokens' URLs; the image's is kept in passing, where it is wanted."""
        if self.with_image and not self._image_url:
            urls = self._sealed([(Kind.OPEN, Token(self.email_id, self.copy)), *tokens])
            self._image_url = urls.pop(0)
            return urls
        return self._sealed(tokens)

    def _sealed(self, tokens: list[tuple[Kind, Token]]) -> list[str]:
        port = self.links.port_of(self.scheme)
        begin = f"{self.scheme}://{self.tracking_domain}"
        if port:
            begin = f"{begin}:{port}"
        sealed = self.ring.seal_many(self.tracking_domain, tokens)
        return [
            begin + tracking_path(kind, text)
            for (kind, _), text in zip(tokens, sealed, strict=True)
        ]
