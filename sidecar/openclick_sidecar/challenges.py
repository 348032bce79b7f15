"""What a CA asks for below /.well-known/acme-challenge, to see that a name is ours (RFC 8555, 8.3).

Called by `site` for paths that are nothing else's.  The answer is one that our own ACME is waiting
to have asked for, or a file that another ACME client (certbot --webroot) has put there.

Promises: any name is answered, since the token alone is what counts; nothing outside of the one
folder is ever read, and no more than a few hundred bytes of it.  Safe to use from several threads.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from openclick.store import Store
from openclick_sidecar.answers import Answer, text_page

PREFIX = "/.well-known/acme-challenge/"
# A token is base64url; the file's name is it (RFC 8555, 8.3).
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")
_MOST_ANSWER_BYTES = 1024


def webroot_directory(store: Store, setting: str) -> Path:
    """Return where another ACME client puts its files; `setting` is tls.acme_webroot."""
    return Path(setting) if setting else store.directory / "acme-webroot"


class Challenges:
    """The answers to CAs."""

    def __init__(self, webroot: Path) -> None:
        self._folder = str(webroot / ".well-known" / "acme-challenge")
        self._pending: dict[str, bytes] = {}

    def offer(self, token: str, answer: str) -> None:
        """Answer `token` from now on."""
        self._pending[token] = answer.encode("ascii")

    def withdraw(self, token: str) -> None:
        """Answer it no more."""
        self._pending.pop(token, None)

    def page(self, path: str) -> Answer | None:
        """Return the answer to a request for `path`, None where there is none."""
        if not path.startswith(PREFIX):
            return None
        token = path[len(PREFIX) :]
        if not _TOKEN.match(token):
            return None
        content = self._pending.get(token) or self._file(token)
        return None if content is None else text_page(content)

    def _file(self, token: str) -> bytes | None:
        try:
            # O_NONBLOCK, because a pipe put there would hold the reactor.
            descriptor = os.open(f"{self._folder}/{token}", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            content = os.read(descriptor, _MOST_ANSWER_BYTES + 1)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return content if len(content) <= _MOST_ANSWER_BYTES else None
