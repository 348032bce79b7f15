"""The form of every log line: subject first, then words, then key=value.

    4Xk2Q1z0: instrumented links=12 image=yes email_id=email_0199...

Called by both daemons.  Promises: one event is one line of printable text, whatever it quotes;
nothing that a stranger sends can forge a second line or an escape sequence.  Where lines go is
`log_targets`'s business.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import Any

from openclick.log_targets import JournalHandler, SyslogHandler, is_journal

_PLAIN = re.compile(r"[A-Za-z0-9@._:/+<>\[\]{}!?*%,;~^$&#()=-]+\Z")
_MAX_VALUE_CHARS = 300


def line(subject: str, text: str, /, **fields: Any) -> str:
    """Return one log line; fields that are None are left out."""
    pairs = [f"{key}={_value(value)}" for key, value in fields.items() if value is not None]
    return " ".join([f"{printable(subject)}: {printable(text)}", *pairs])


def start_logging(program: str, level: str, target: str = "stderr") -> None:
    """Send the root logger's lines to `target`, from `level` ("info", ...) upwards.

    `target` is "stderr", which may lead to systemd's journal, or "syslog".
    """
    handler: logging.Handler
    if target == "syslog":
        handler = SyslogHandler(program)
        handler.setFormatter(_OneLine("%(levelname)s %(message)s"))
    else:
        journal = is_journal(os.environ, 2)
        handler = JournalHandler(sys.stderr) if journal else logging.StreamHandler(sys.stderr)
        handler.setFormatter(_OneLine(f"{program} %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.addLevelName(logging.WARNING, "warning")
    logging.addLevelName(logging.ERROR, "error")
    logging.addLevelName(logging.INFO, "info")
    logging.addLevelName(logging.DEBUG, "debug")


def printable(text: str) -> str:
    """Spell out what a terminal or a log must not get: controls, direction marks, raw bytes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() and not 0xD800 <= ord(char) <= 0xDFFF else f"\\u{ord(char):04x}"
        for char in text
    )


class _OneLine(logging.Formatter):
    """Puts a traceback behind its message instead of below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        return " | ".join(printable(part) for part in super().format(record).splitlines())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = printable(str(value))
    if len(text) > _MAX_VALUE_CHARS:
        text = text[:_MAX_VALUE_CHARS] + "…"
    return text if _PLAIN.match(text) else '"' + text.replace('"', "'") + '"'
