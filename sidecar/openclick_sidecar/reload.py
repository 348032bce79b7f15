"""What SIGHUP does to the sidecar: its settings are read again, and what can change does.

Called by `main`, in the reactor's thread.  Promises: a fault in the new settings changes nothing
and is named; so is every option that only a restart can change, which keeps its old value.  Limits:
one small file is read in the reactor's thread.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from openclick.config import ConfigError, load_config
from openclick.logs import line
from openclick.reload import SIDECAR_RELOAD, changed, sidecar_reads, with_option
from openclick.settings import Config

log = logging.getLogger(__name__)


@dataclass
class Reload:
    """The settings that hold, and the file that they came from."""

    config: Config
    path: str

    def __call__(self) -> None:
        """Read the file again."""
        try:
            new = load_config(self.path)
        except ConfigError as error:
            for fault in error.faults:
                log.error(line("settings", f"{fault}; the settings stay as they were"))
            return
        for section, name in changed(self.config, new):
            if (section, name) in SIDECAR_RELOAD:
                value = getattr(getattr(new, section), name)
                self.config = with_option(self.config, section, name, value)
            elif sidecar_reads(section, name):
                log.warning(line("settings", f"{section}.{name} has changed: restart needed"))
        logging.getLogger().setLevel(self.config.log.level.upper())
        log.info(line("settings", "read again", file=self.path))
