"""`python3 -m openclick.upgrade`: what a package does between new code on disk and new daemons.

Called by the packages' scripts, as root, while the daemons of the old version serve.  Brings
openclick.db to the newest schema: the milter reads that file and does not own it, so a new milter
that met an older one would leave mail untracked until the sidecar has come round.  The other two
files are migrated by the daemons that own them, when these start.

Promises: runs once or many times with the same outcome; checkpoints are left to the sidecar, which
may have the file open.  Exit status 0 where there is nothing to do any more, 69 for a store that
cannot be used, 78 for settings at fault, after one line on standard error.
"""

from __future__ import annotations

import sys

from openclick.config import DEFAULT_PATH, EX_CONFIG, ConfigError, load_config
from openclick.startup import EX_UNAVAILABLE
from openclick.store import StoreFault, open_store

_FILE = "openclick.db"


def main(config_path: str = DEFAULT_PATH) -> int:
    """Bring openclick.db to the newest schema; return the exit status."""
    try:
        done = open_store(load_config(config_path).store.url).migrate(_FILE)
    except ConfigError as error:
        print(f"{error}\nopenclick: the store is not migrated", file=sys.stderr)
        return EX_CONFIG
    except StoreFault as fault:
        print(f"openclick: {fault}; the store is not migrated", file=sys.stderr)
        return EX_UNAVAILABLE
    if done is not None and done[0] != done[1]:
        print(f"openclick: {_FILE}: schema {done[0]} -> {done[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
