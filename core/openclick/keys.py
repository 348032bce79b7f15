"""The directory of link keys: one file a key, read by both daemons, written by the command.

A key's file is called NNN.v1.key: NNN is the key id that its tokens begin with (000 to 255, never
used twice), v1 the token format.  It holds 64 random bytes in base64, one line.  Files are 0640, so
that only the group of the directory reads them.

Promises: a key that cannot be read is named, with the reason, and costs no link of another key; no
daemon ever seals with a key that is not on disk.  Opening takes every key that can be read.
Sealing asks for more (ADR 0018): the newest, because an older one in its place would undo a
rotation, and the oldest, because ids derive from it.  Limits: after key 255 there is no further
rotation.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import os
import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openclick.durable import sync_directory
from openclick.logs import line
from openclick.tokens import KEY_BYTES, KeyRing

MAX_KEY_ID = 255
_FILE_NAME = re.compile(r"(\d{3})\.v1\.key\Z")
_REREAD_SECONDS = 1.0

log = logging.getLogger(__name__)


class KeyFault(Exception):
    """Keys that cannot be used; the message says where, what was found and what is needed."""


class KnownKeyFault(KeyFault):
    """The fault of a moment ago, told again without a look at the directory: not worth a line."""


@dataclass(frozen=True)
class FoundKeys:
    """What a key directory holds.

    `ring` holds every key that can be read.  `unreadable` tells of each other key, by key id, where
    it is and what is wrong; `strays` are files named like keys that can be none.
    """

    ring: KeyRing
    secrets: Mapping[int, bytes] = field(repr=False)
    unreadable: Mapping[int, str]
    strays: tuple[str, ...] = ()

    @property
    def sealing_fault(self) -> str:
        """Why nothing may be sealed, "" where it may: its newest or oldest key is unreadable."""
        every = (*self.secrets, *self.unreadable)
        ends = (self.unreadable.get(key_id) for key_id in (max(every), min(every)))
        return next((fault for fault in ends if fault), "")

    @property
    def faults(self) -> tuple[str, ...]:
        """Every file that is wrong, and how."""
        return (*self.unreadable.values(), *self.strays)


def find_keys(directory: str, held: Mapping[int, bytes] | None = None) -> FoundKeys:
    """Read every key of `directory` that can be read.

    `held` are keys read earlier: such a key still opens when its file has become unreadable.
    Raises KeyFault where there is no key to open with.
    """
    held = held or {}
    secrets: dict[int, bytes] = {}
    unreadable: dict[int, str] = {}
    files, strays = _key_files(directory)
    for key_id, path in files:
        try:
            secrets[key_id] = _read_key(path)
        except KeyFault as fault:
            unreadable[key_id] = str(fault)
    opening = {key_id: held[key_id] for key_id in unreadable if key_id in held} | secrets
    if not opening:
        raise KeyFault(
            "; ".join(unreadable.values())
            or f"{directory}: holds no key; need one, made by: openclick keys rotate"
        )
    return FoundKeys(KeyRing(opening), opening, unreadable, strays)


def load_keys(directory: str) -> KeyRing:
    """Return the keys of `directory`, to seal with.

    Raises KeyFault where there is none, or where sealing has to wait (`FoundKeys.sealing_fault`).
    """
    found = find_keys(directory)
    if found.sealing_fault:
        raise KeyFault(found.sealing_fault)
    return found.ring


def rotate_keys(directory: str, randomness: Callable[[int], bytes] = os.urandom) -> Path:
    """Add a key, which seals from now on; return its file.

    The file takes the directory's group.  Raises KeyFault where key 255 exists or where the
    directory cannot be written.
    """
    key_id = max((key_id for key_id, _ in _key_files(directory)[0]), default=-1) + 1
    if key_id > MAX_KEY_ID:
        raise KeyFault(f"{directory}: key {MAX_KEY_ID} exists; no further key can be made")
    path = Path(directory, f"{key_id:03d}.v1.key")
    try:
        _write_durably(path, base64.b64encode(randomness(KEY_BYTES)) + b"\n")
    except OSError as error:
        raise KeyFault(f"{path}: cannot be written: {error.strerror}") from error
    return path


class KeyDirectory:
    """The keys of a running daemon: read once, and again when a token names one not held.

    Files that are wrong are logged when they are seen to be.  Safe to use from several threads.
    `monotonic` is a clock in seconds.
    """

    def __init__(self, directory: str, monotonic: Callable[[], float]) -> None:
        self._directory = directory
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._found: FoundKeys | None = None
        self._sealing: KeyRing | None = None
        self._fault = ""
        self._told: tuple[str, ...] = ()
        self._read_at = float("-inf")

    def unreadable(self) -> int:
        """Return how many keys cannot be read; where there were some it looks again."""
        if self._found and self._found.unreadable:
            with contextlib.suppress(KeyFault):
                self.reread()
        return len(self._found.unreadable) if self._found else 0

    def ring(self) -> KeyRing:
        """Return the keys held, to open with; reads them where none are.  Raises KeyFault."""
        return self._found.ring if self._found else self.reread()

    def sealing_ring(self) -> KeyRing:
        """Return the keys held, to seal and derive with.

        Where that has to wait, the directory is read again, at most once a second.  Raises
        KeyFault.
        """
        if self._sealing is None:
            self.reread()
        sealing = self._sealing
        if sealing is None:
            raise KeyFault(self._found.sealing_fault if self._found else self._fault)
        return sealing

    def may_seal(self) -> bool:
        """Tell whether keys to seal with are held, without a look at the directory."""
        return self._sealing is not None

    def reread(self) -> KeyRing:
        """Read the directory again, at most once a second; return the keys to open with.

        Within that second the ring held is returned, or KnownKeyFault raised where there is none.
        Raises KeyFault; the ring held stays.
        """
        with self._lock:
            fresh = self._monotonic() - self._read_at < _REREAD_SECONDS
            if not fresh:
                self._read_at = self._monotonic()
                self._read()
            if self._found is None:
                raise KnownKeyFault(self._fault)
            return self._found.ring

    def _read(self) -> None:
        try:
            found = find_keys(self._directory, self._found.secrets if self._found else None)
        except KeyFault as fault:
            self._fault = str(fault)
            raise
        if not found.sealing_fault:
            self._sealing = found.ring
        elif self._sealing and self._sealing.sealing_id in found.unreadable:
            self._sealing = None  # a link sealed with it now might be dead after a restart
        self._found = found
        self._tell(found.faults)

    def _tell(self, faults: tuple[str, ...]) -> None:
        for fault in faults:
            if fault not in self._told:
                log.error(line("keys", f"{fault}; passed over: the other keys open as before"))
        if self._told and not faults:
            log.info(line("keys", "every key can be read again"))
        self._told = faults


def _key_files(directory: str) -> tuple[list[tuple[int, Path]], tuple[str, ...]]:
    """Return the files of keys with their ids, and what is wrong with those that can be none."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise KeyFault(f"{directory}: cannot be listed: {error.strerror}") from error
    matches = [
        (int(match[1]), Path(directory, match[0]))
        for match in map(_FILE_NAME.match, names)
        if match
    ]
    return (
        [(key_id, path) for key_id, path in matches if key_id <= MAX_KEY_ID],
        tuple(
            f"{path}: key ids end at {MAX_KEY_ID}"
            for key_id, path in matches
            if key_id > MAX_KEY_ID
        ),
    )


def _read_key(path: Path) -> bytes:
    try:
        secret = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise KeyFault(f"{path}: cannot be read: {error.strerror}") from error
    except binascii.Error as error:
        raise KeyFault(f"{path}: is not base64: need {KEY_BYTES} bytes in base64") from error
    if len(secret) != KEY_BYTES:
        raise KeyFault(f"{path}: holds {len(secret)} bytes: need {KEY_BYTES}")
    return secret


def _write_durably(path: Path, content: bytes) -> None:
    """Make `path` appear at once and whole, on disk, and never over an existing file."""
    # A name of its own: two who rotate at once must not write into each other's file.
    descriptor, temporary = tempfile.mkstemp(".new", f"{path.name}.", path.parent)
    try:
        try:
            os.fchown(descriptor, -1, path.parent.stat().st_gid)
            os.fchmod(descriptor, 0o640)
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(temporary, path)
    finally:
        os.unlink(temporary)
    sync_directory(path.parent)
