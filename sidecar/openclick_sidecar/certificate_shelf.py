"""The directory of certificates, one file a name, read when a name is first asked for.

Called by `tls` at each hello, by `renewals` and the verifier.  A name's file is NAME.pem; a file
*.example.com.pem, whose certificate must be for that very wildcard, serves every name right below
example.com that has none of its own.

Promises: a file that has changed is read before it is used next; a file that cannot be used changes
nothing: what was read before is served on until the process ends, and the log says why, once.  A
valid certificate is not given up for an expired one, nor hidden by one.  Nothing is read for a name
without a file, so that strangers cannot fill the memory.  Safe to use from several threads.

Limits: one stat a hello, two where the name has no valid file; the directory lies on a local disk.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openclick.instants import Instant, iso
from openclick.logs import line
from openclick.store import Store
from openclick_sidecar.certificates import BadCertificate, Certificate, read_certificate

log = logging.getLogger(__name__)

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})+\Z")
_MOST_NAME_CHARS = 253
_MOST_FILE_BYTES = 262_144
_Mark = tuple[int, int, int, int]


def certificates_directory(store: Store, setting: str) -> Path:
    """Return where the certificates are; `setting` is tls.certificates_directory."""
    return Path(setting) if setting else store.directory / "certificates"


@dataclass
class Slot:
    """What is known of one file.

    `certificate` is what is served, None where nothing ever could be; `fault` is why the file
    itself cannot be used, empty where it is what is served.
    """

    stem: str
    mark: _Mark | None = None
    certificate: Certificate | None = None
    fault: str = ""


class CertificateShelf:
    """The certificates by name.  `now` is the wall clock."""

    def __init__(self, directory: Path, now: Callable[[], Instant]) -> None:
        self._directory = str(directory)  # a path object would be walked at each hello
        self._now = now
        self._lock = threading.Lock()
        self._slots: dict[str, Slot] = {}

    def path(self, stem: str) -> Path:
        """Return where the file of a name stands."""
        return Path(self._directory, f"{stem}.pem")

    def find(self, name: str) -> Slot | None:
        """Return the slot that serves `name`, an A-label in lower case; None where none does.

        A slot without a certificate is returned where its file stands there and cannot be used.
        """
        if len(name) > _MOST_NAME_CHARS or not _NAME.match(name):
            return None
        with self._lock:
            own = self._slot(name)
            if own is not None and all(self._merits(own)):
                return own
            wild = self._slot(f"*.{name.partition('.')[2]}")
            known = [slot for slot in (own, wild) if slot is not None]
            return max(known, key=self._merits, default=None)

    def serves(self, name: str) -> bool:
        """Tell whether browsers can be served https for `name` now."""
        slot = self.find(name)
        return slot is not None and self._merits(slot)[1]

    def _merits(self, slot: Slot) -> tuple[bool, bool, bool]:
        """Tell what speaks for a slot: it has a certificate, a valid one, and its file is there."""
        certificate = slot.certificate
        is_valid = certificate is not None and not certificate.has_expired(self._now())
        return certificate is not None, is_valid, slot.mark is not None

    def _slot(self, stem: str) -> Slot | None:
        """Return the slot of a file, with the file read again where it is another one by now."""
        slot = self._slots.get(stem)
        mark = self._mark(stem)
        if slot is None:
            if mark is None:
                return None
            slot = self._slots[stem] = Slot(stem)
        if slot.mark != mark:
            slot.mark = mark
            self._read(slot)
        return slot

    def _mark(self, stem: str) -> _Mark | None:
        try:
            found = os.stat(f"{self._directory}/{stem}.pem")
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino

    def _read(self, slot: Slot) -> None:
        path = self.path(slot.stem)
        try:
            found = read_certificate(_content(path), slot.stem)
            self._refuse_expired(found, slot.certificate)
        except OSError as error:
            slot.fault = f"cannot be read: {error.strerror}"
        except BadCertificate as error:
            slot.fault = str(error)
        else:
            slot.certificate, slot.fault = found, ""
            expires = iso(found.not_after_at)
            log.info(line(slot.stem, "certificate read", file=path, expires=expires))
            return
        serving = "the one read before is served on" if slot.certificate else "nothing is served"
        log.error(line(slot.stem, f"certificate file: {slot.fault}; {serving}", file=path))

    def _refuse_expired(self, found: Certificate, held: Certificate | None) -> None:
        now = self._now()
        if found.has_expired(now) and held is not None and not held.has_expired(now):
            raise BadCertificate(f"has expired at {iso(found.not_after_at)}; need a valid one")


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_FILE_BYTES)
