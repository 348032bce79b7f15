"""What tests of the tracking domain stand on: a site on a real store and real keys, and one client.

Who calls: tests of this folder.  Limits: the recorder writes when a test has it run.
"""

from collections.abc import Callable
from pathlib import Path

from openclick.hits import Hit
from openclick.keys import KeyDirectory, rotate_keys
from openclick.settings import StoreSettings
from openclick.store import Store, open_store
from openclick.tokens import Kind, Token
from openclick_sidecar.answers import Answer
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.hit_request import FieldMap, HitRequest
from openclick_sidecar.keeper import keeper_for
from openclick_sidecar.recorder import HitRecorder
from openclick_sidecar.site import TrackingSite
from openclick_sidecar.waiting_room import WaitingRoom
from support.clock import Clock
from unit.samples import COPY, DESTINATION, EMAIL_ID, NOW, TRACKING_DOMAIN
from unit.turns import Turns

CLICK = Token(EMAIL_ID, COPY, 7, DESTINATION)
OPEN = Token(EMAIL_ID, COPY)


class World:
    """A site on a real store and real keys, and the requests of one client."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.key_directory = directory / "keys"
        self.key_directory.mkdir()
        rotate_keys(str(self.key_directory))
        self.keys = KeyDirectory(str(self.key_directory), self.clock.monotonic)
        self.store: Store = open_store(f"sqlite:{directory}")
        self.turns = Turns()
        keeper = keeper_for(self.store, StoreSettings(), lambda: 30)
        self.recorder = HitRecorder(keeper, self.turns)
        self.room = WaitingRoom()
        self.counters = HitCounters()
        self.site = self.site_with(self.keys)
        self.answers: list[Answer] = []

    def site_with(
        self, keys: KeyDirectory, randomness: Callable[[int], bytes] = lambda size: b"r" * size
    ) -> TrackingSite:
        """Return a site with these keys."""
        return TrackingSite(keys, self.recorder, lambda: NOW, randomness, self.room, self.counters)

    def ask(
        self, path: str, method: str = "GET", host: str = TRACKING_DOMAIN, **fields: str
    ) -> None:
        """Send a request; its answer comes into `answers`, at once or later."""
        found = FieldMap()
        for name, value in fields.items():
            found.addRawHeader(name.replace("_", "-").encode(), value.encode())
        request = HitRequest(method, path, host, "192.0.2.7", found)
        self.site.on_request(request, self.answers.append)

    def run_recorder(self) -> None:
        """Have everything written that was handed over, and told."""
        self.recorder.start()
        self.recorder.stop()
        self.turns.run()

    def hits(self) -> list[Hit]:
        """Return what is on disk."""
        reader = self.store.hit_reader()
        try:
            return [hit for _, hit in reader.many_after(0, 100, 100)]
        finally:
            reader.close()

    def seal(self, kind: Kind, token: Token, domain: str = TRACKING_DOMAIN) -> str:
        """Return the path of a tracking URL."""
        return f"/{kind.value}/{self.keys.ring().seal(kind, domain, token)}"
