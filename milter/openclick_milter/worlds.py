"""The world that submissions live in, and how SIGHUP changes it.

Called by `main`.  A submission keeps the world that it began in; a reload puts another in place for
those that come after.  Promises: a broken new configuration changes nothing, and each of its faults
is named in one line; so do keys that can be read no more while others are held; an option that only
a restart can change is named, and keeps its old value.
"""

from __future__ import annotations

import dataclasses
import logging
import time

from openclick.config import ConfigError, load_config
from openclick.free_space import FreeSpace
from openclick.instants import now
from openclick.keys import KeyDirectory, KeyFault
from openclick.logs import line
from openclick.reload import MILTER_RESTART, changed, with_option
from openclick.settings import Config
from openclick.store import StoreFault, open_store
from openclick.systemd import notify
from openclick_milter.counters import Counters
from openclick_milter.directory import DomainDirectory
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.recorder import MessageRecorder
from openclick_milter.rows import MessageRows
from openclick_milter.submission import World

log = logging.getLogger(__name__)


class Worlds:
    """The present world, and its replacement."""

    def __init__(self, config: Config, config_path: str) -> None:
        self._config_path = config_path
        store = open_store(config.store.url)
        counters = Counters()
        housekeeping = Housekeeping(counters, self._messages_days, now, now())
        space = FreeSpace(store.directory, config.store.reserve_bytes, time.monotonic)
        self._world = World(
            config=config,
            keys=KeyDirectory(config.keys.directory, time.monotonic),
            domains=DomainDirectory(store),
            recorder=MessageRecorder(
                store,
                housekeeping,
                time.monotonic,
                alive=lambda: notify("WATCHDOG=1"),
                require_room=lambda message_log: space.require(message_log.spare_bytes),
            ),
            rows=MessageRows(store),
            counters=counters,
        )

    def current(self) -> World:
        """Return the world for a submission that begins now."""
        return self._world

    def start(self) -> None:
        """Start the recorder, and say what keeps mail from being tracked, before one is sent."""
        self._world.recorder.start()
        try:
            self._world.keys.sealing_ring()
        except KeyFault as fault:
            log.error(line("keys", f"{fault}; mail passes untouched until there is one"))
        try:
            self._world.domains.lookup("")
        except StoreFault as fault:
            log.error(line("store", f"{fault}; mail passes untouched until it can be read"))

    def stop(self) -> None:
        """Write what is queued."""
        self._world.recorder.stop()

    def retire(self) -> None:
        """A successor takes over: only what is under way is still written."""
        self._world.recorder.retire()

    def stay(self) -> None:
        """No successor has taken over: this process is again the one that writes."""
        self._world.recorder.stay()

    def reload(self) -> None:
        """Read the settings again, and the keys with them."""
        try:
            config = load_config(self._config_path)
        except ConfigError as error:
            for fault in error.faults:
                log.error(line("settings", f"{fault}; the settings stay as they were"))
            return
        keys = KeyDirectory(config.keys.directory, time.monotonic)
        try:
            keys.sealing_ring()
        except KeyFault as fault:
            if self._world.keys.may_seal():
                log.error(line("keys", f"{fault}; keys and settings stay as they were"))
                return
            log.error(line("keys", f"{fault}; mail passes untouched until there is one"))
        config = _keep_what_needs_a_restart(self._world.config, config)
        logging.getLogger().setLevel(config.log.level.upper())
        self._world = dataclasses.replace(self._world, config=config, keys=keys)
        log.info(line("settings", "read again", file=self._config_path))

    def _messages_days(self) -> int:
        return self._world.config.retention.messages_days


def _keep_what_needs_a_restart(old: Config, new: Config) -> Config:
    for section, name in changed(old, new):
        if (section, name) in MILTER_RESTART:
            log.warning(line("settings", f"{section}.{name} has changed: restart needed"))
            new = with_option(new, section, name, getattr(getattr(old, section), name))
    return new
