"""The directory of link keys: one file a key, read by both daemons, written by the command.

A key's file is called NNN.v1.key: NNN is the key id that its tokens begin with (000 to 255, never
used twice), v1 the token format.  It holds 64 random bytes in base64, one line.  Files are 0640, so
that only the group of the directory reads them.

Promises: a key that cannot be read is named, with the reason; no daemon ever seals with a key that
is not on disk.  Limits: after key 255 there is no further rotation.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from openclick.tokens import KEY_BYTES, KeyRing

MAX_KEY_ID = 255
_FILE_NAME = re.compile(r"(\d{3})\.v1\.key\Z")
_REREAD_SECONDS = 1.0


class KeyFault(Exception):
    """Keys that cannot be used; the message says where, what was found and what is needed."""


class KnownKeyFault(KeyFault):
    """The fault of a moment ago, told again without a look at the directory: not worth a line."""


def load_keys(directory: str) -> KeyRing:
    """Read every key of `directory`.

    Raises KeyFault where there is none, or where one cannot be read: a link sealed with a missing
    key would be dead, so a partial ring is refused.
    """
    secrets: dict[int, bytes] = {}
    for key_id, path in _key_files(directory):
        secrets[key_id] = _read_key(path)
    if not secrets:
        raise KeyFault(f"{directory}: holds no key; need one, made by: openclick keys rotate")
    return KeyRing(secrets)


def rotate_keys(directory: str, randomness: Callable[[int], bytes] = os.urandom) -> Path:
    """Add a key, which seals from now on; return its file.

    The file takes the directory's group.  Raises KeyFault where key 255 exists or where the
    directory cannot be written.
    """
    key_id = max((key_id for key_id, _ in _key_files(directory)), default=-1) + 1
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

    Safe to use from several threads.  `monotonic` is a clock in seconds.
    """

    def __init__(self, directory: str, monotonic: Callable[[], float]) -> None:
        self._directory = directory
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ring: KeyRing | None = None
        self._fault = ""
        self._read_at = float("-inf")

    def ring(self) -> KeyRing:
        """Return the keys held; reads them where none are.  Raises KeyFault."""
        return self._ring or self.reread()

    def holds_keys(self) -> bool:
        """Tell whether keys are held, without a look at the directory."""
        return self._ring is not None

    def reread(self) -> KeyRing:
        """Read the directory again, at most once a second.

        Within that second the ring held is returned, or KnownKeyFault raised where there is none.
        Raises KeyFault; the ring held stays.
        """
        with self._lock:
            fresh = self._monotonic() - self._read_at < _REREAD_SECONDS
            if not fresh:
                self._read_at = self._monotonic()
                self._read()
            if self._ring is None:
                raise KnownKeyFault(self._fault)
            return self._ring

    def _read(self) -> None:
        try:
            self._ring = load_keys(self._directory)
        except KeyFault as fault:
            self._fault = str(fault)
            raise


def _key_files(directory: str) -> list[tuple[int, Path]]:
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise KeyFault(f"{directory}: cannot be listed: {error.strerror}") from error
    matches = ((_FILE_NAME.match(name), name) for name in names)
    return [(int(match[1]), Path(directory, name)) for match, name in matches if match]


def _read_key(path: Path) -> bytes:
    if int(path.name[:3]) > MAX_KEY_ID:
        raise KeyFault(f"{path}: key ids end at {MAX_KEY_ID}")
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
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.fchown(descriptor, -1, path.parent.stat().st_gid)
        os.fchmod(descriptor, 0o640)
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.link(temporary, path)
    os.unlink(temporary)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
