"""How a daemon begins: its command line, its settings, its log.

Called by the two daemons' `main`.  Exit status 78 where the settings are at fault, after one line a
fault on standard error; 0 after --check-config.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from openclick import __version__
from openclick.config import DEFAULT_PATH, EX_CONFIG, ConfigError, load_config
from openclick.logs import start_logging
from openclick.settings import Config

EX_UNAVAILABLE = 69
"""Exit status of a daemon whose socket or port cannot be opened (sysexits.h)."""


def begin(
    program: str,
    description: str,
    argv: list[str] | None,
    also_check: Callable[[Config], object] = lambda _config: None,
) -> tuple[Config, str]:
    """Return the settings and the path that they came from, with logging started.

    `also_check` reads the files that the settings name, for --check-config; it raises ConfigError.
    Ends the process for --help, --version, --check-config, and where the settings are at fault.
    """
    options = command_line(program, description).parse_args(argv)
    try:
        config = load_config(options.config)
        if options.check_config:
            also_check(config)
    except ConfigError as error:
        print(f"{error}\n{program} not started", file=sys.stderr)
        sys.exit(EX_CONFIG)
    if options.check_config:
        print(f"{options.config}: no fault found")
        sys.exit(0)
    start_logging(program, config.log.level, config.log.target)
    return config, options.config


def command_line(program: str, description: str) -> argparse.ArgumentParser:
    """Return what reads a daemon's command line; its manual page is made from it too."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--config", default=DEFAULT_PATH, metavar="FILE", help="the settings")
    parser.add_argument("--check-config", action="store_true", help="check the settings and end")
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    return parser
