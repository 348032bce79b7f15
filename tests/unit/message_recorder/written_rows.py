"""Message rows by number: as they are handed to the recorder, and as a reader finds them.

Who calls: tests of this folder.
"""

from contextlib import closing

from openclick.messages import Message
from openclick.store import Store
from unit.samples import EMAIL_ID, a_message


def row(number: int, **fields: object) -> Message:
    """Return row `number`."""
    return a_message(copy=number.to_bytes(4, "big"), **fields)


def on_disk(store: Store, number: int = 1) -> Message | None:
    """Return row `number` as a reader finds it."""
    with closing(store.message_reader()) as reader:
        return reader.maybe_message(EMAIL_ID, number.to_bytes(4, "big"))
