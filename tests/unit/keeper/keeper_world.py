"""What tests of the keeper stand on: a store, its keeper, and a clock that stands still.

Who calls: tests of this folder.  Limits: all work is done in the caller's thread.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from openclick.hits import Hit
from openclick.store import JudgeCursor, open_store
from openclick_sidecar.free_space import FreeSpace
from openclick_sidecar.journal import Journal, read_page
from openclick_sidecar.keeper import HitKeeper, journal_directory
from support.clock import Clock
from unit.samples import NOW, a_hit, a_judgement


class World:
    """A store, its keeper, and a clock that stands still."""

    def __init__(self, directory: Path, reserve_bytes: int = 0) -> None:
        self.store = open_store(f"sqlite:{directory}")
        self.path = directory / "hits.db"
        self.clock = Clock()
        self.now = NOW
        self.space = FreeSpace(directory, reserve_bytes, self.clock.monotonic)
        self.keeper = self.make_keeper()

    def make_keeper(self) -> HitKeeper:
        """Return what a process that starts now has."""
        directory = journal_directory(self.store, "")
        plenty = FreeSpace(directory, 0, self.clock.monotonic)
        self.journal = Journal(directory, plenty, lambda: NOW)
        return HitKeeper(
            self.store, self.journal, self.space, lambda: 30, lambda: self.now, self.clock.monotonic
        )

    def keep(self, *numbers: int) -> frozenset[bytes]:
        """Keep hits of these numbers in one batch."""
        return self.keeper.keep([a_hit(number) for number in numbers])

    def tend(self, seconds: float = 0.0) -> None:
        """Let time pass and do what is due."""
        self.clock.advance(seconds)
        for _ in range(20):
            self.keeper.tend()

    def judged_up_to(self, position: int, number: int) -> None:
        """Let the judge have come to hit `number`, which stands at `position`."""
        with closing(self.store.hit_reader()) as reader:
            cursor = JudgeCursor(reader.file_id(), position, a_hit(number).hit_id)
        with closing(self.store.registry(owner=True)) as registry:
            registry.events.record_judgements([a_judgement(number)], cursor, NOW)

    def stored(self) -> list[int]:
        """Return the numbers of the hits in the store, as the judge would read them."""
        with closing(self.store.hit_reader()) as reader:
            return numbers(hit for _, hit in reader.many_after(0, 100_000, 100_000))

    def journaled(self) -> list[int]:
        """Return the numbers of the hits in the journal's files."""
        self.journal.close_file()
        pages = [read_page(path, 0, 10_000) for path in self.journal.files()]
        return numbers(hit for page in pages if page for hit in page.hits)

    def file_id(self) -> str:
        """Return the name of the present hits.db."""
        with closing(self.store.hit_reader()) as reader:
            return reader.file_id()


def numbers(found: Iterator[Hit]) -> list[int]:
    """Return the numbers that sample hits were made from."""
    return [int.from_bytes(hit.hit_id, "big") for hit in found]


def remove(world: World) -> None:
    """Delete the file and its companions."""
    for path in world.store.directory.glob("hits.db*"):
        path.unlink()
