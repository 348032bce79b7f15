"""Writes what is to be remembered of sends, many requests in one commit.

Called by `sending`.  While one commit waits for the disk, the notes of other requests gather, and
the next commit takes all of them: so the disk bounds how long a request waits, not how many there
are.  The bookkeeper's thread does the writing, because openclick.db has one writer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from openclick.sends import Claimed, SendNote
from openclick_sidecar.bookkeeper import Bookkeeper

_Waiting = tuple[SendNote, Deferred[Claimed | None]]


@dataclass
class Ledger:
    """The queue before the bookkeeper."""

    bookkeeper: Bookkeeper
    _waiting: list[_Waiting] = field(default_factory=list)
    _busy: bool = False

    def write(self, note: SendNote) -> Deferred[Claimed | None]:
        """Write a note; on disk when the Deferred fires, for a claim with what is known of it.

        Fails with StoreFault.
        """
        done: Deferred[Claimed | None] = Deferred()
        self._waiting.append((note, done))
        self._go_on()
        return done

    def _go_on(self) -> None:
        if self._busy or not self._waiting:
            return
        batch, self._waiting, self._busy = self._waiting, [], True
        notes = [note for note, _ in batch]
        writing = self.bookkeeper.run(lambda registry: registry.sends.write(notes))
        writing.addBoth(self._written, batch)

    def _written(self, result: list[Claimed | None] | Failure, batch: list[_Waiting]) -> None:
        self._busy = False
        for number, (_, done) in enumerate(batch):
            if isinstance(result, Failure):
                done.errback(result)
            else:
                done.callback(result[number])
        self._go_on()
