"""Puts a file in the place of another, whole and on disk, or not at all.

Called by `renewals` and `acme_client`.  The new file is begun before its content is known, so that
a directory that cannot be written shows before a CA has been asked for anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openclick.durable import sync_directory


@contextmanager
def fresh_file(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Give a function that puts a content at `path`, readable by its owner alone.

    Where it was not called at the end of the block, nothing has changed.  Raises OSError.
    """
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)  # of a process that was killed
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def place(content: bytes) -> None:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
        os.replace(temporary, path)
        sync_directory(path.parent)

    with open(descriptor, "wb") as file:
        try:
            yield place
        finally:
            temporary.unlink(missing_ok=True)
