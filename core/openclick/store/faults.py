"""What goes wrong with the store, as its callers see it.

Everything that SQLite raises becomes a `StoreFault` at the store's door, so that the daemons can
carry on without knowing what the store is made of.
"""

from __future__ import annotations


class StoreFault(Exception):
    """The store, or one of its files, cannot be used now; the message says which and why."""


class StoreTooNew(StoreFault):
    """A store file was written by a later version of OpenClick than this one."""
