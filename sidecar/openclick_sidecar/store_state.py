"""What the store says at one moment of the milter, the tracking domains and itself.

Called by `service` for /metrics and /readyz, and by the status page, in a thread: it stands in
files.  Promises: it takes some milliseconds, and what cannot be read is a fault with its sentence.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from openclick.domains import SendingDomain
from openclick.free_space import free_bytes
from openclick.instants import SECOND, Instant
from openclick.store import FileSize, Heartbeat, Store, StoreFault
from openclick.tracking_certificates import TrackingCertificate

SILENT_SECONDS = 60
"""A heartbeat comes every 10 s; after this long without one the milter does not run."""


@dataclass(frozen=True)
class StoreState:
    """What was read; `heartbeat` is None where the milter never ran, or it cannot be read.

    `free_bytes` is None where nobody can tell; `faults` say what cannot be read.
    """

    heartbeat: Heartbeat | None = None
    domains: tuple[SendingDomain, ...] = ()
    certificates: tuple[TrackingCertificate, ...] = ()
    files: tuple[FileSize, ...] = ()
    free_bytes: int | None = None
    faults: tuple[str, ...] = ()

    def reasons(self, now: Instant) -> list[str]:
        """Return why mail cannot be tracked as promised; nothing where it can."""
        found = [f"store: {fault}" for fault in self.faults]
        if self.heartbeat is None:
            return [*found, "milter: has never run on this store"]
        silent = (now - self.heartbeat.beat_at) / SECOND
        if silent > SILENT_SECONDS:
            found.append(f"milter: its last sign of life is {silent:.0f} s old")
        return found


def read_state(store: Store) -> StoreState:
    """Read everything."""
    faults: list[str] = []
    heartbeat = None
    domains: tuple[SendingDomain, ...] = ()
    certificates: tuple[TrackingCertificate, ...] = ()
    try:
        # On a fresh installation the milter still is to make the file: that is no fault of it.
        if store.has_messages():
            with closing(store.message_reader()) as messages:
                heartbeat = messages.maybe_heartbeat()
    except StoreFault as fault:
        faults.append(str(fault))
    try:
        with closing(store.registry_reader()) as registry:
            domains = tuple(registry.domains.many_domains())
            certificates = tuple(registry.certificates.many_certificates())
    except StoreFault as fault:
        faults.append(str(fault))
    return StoreState(
        heartbeat,
        domains,
        certificates,
        tuple(store.file_sizes()),
        free_bytes(store.directory),
        tuple(faults),
    )
