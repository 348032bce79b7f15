"""Has a directory's names on disk: of what was made, renamed or removed in it.

Called by whoever puts files in place that must outlive a power cut: link keys, certificates, the
journal, back-ups, a corrupt file that is set aside.  A file's own content is its writer's business,
who has synced it before.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Wait until the names in `directory` are on disk.  Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
