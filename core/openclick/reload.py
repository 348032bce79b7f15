"""When a changed setting takes effect: which daemon reads it, and whether SIGHUP is enough.

Called by both daemons when they reload, and by docs/generate.py, which writes it under each
setting.  Pure.  A test compares the sections with those that each package reads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from openclick.settings import Config

MILTER_SECTIONS = frozenset({"milter", "links", "keys", "log"})
_ALSO_MILTER = frozenset(
    {("store", "url"), ("store", "reserve_bytes"), ("retention", "messages_days")}
)
MILTER_RESTART = (
    ("store", "url"),
    ("store", "reserve_bytes"),
    ("milter", "socket"),
    ("log", "target"),
)
"""What of all that openclick-milter reads it cannot change while it runs."""

_NOT_SIDECAR = frozenset({("retention", "messages_days")})
_ALSO_SIDECAR = frozenset({("milter", "header_prefix")})  # the API writes control headers
SIDECAR_RELOAD = (("log", "level"),)
"""What openclick-sidecar can change while it runs."""


def milter_reads(section: str, name: str) -> bool:
    """Tell whether an option is any of openclick-milter's business."""
    return section in MILTER_SECTIONS or (section, name) in _ALSO_MILTER


def sidecar_reads(section: str, name: str) -> bool:
    """Tell whether an option is any of openclick-sidecar's business."""
    option = (section, name)
    return option in _ALSO_SIDECAR or (section != "milter" and option not in _NOT_SIDECAR)


def effect(section: str, name: str) -> str:
    """Return in words when a change of an option takes effect."""
    option, words = (section, name), []
    if milter_reads(section, name):
        when = "restart" if option in MILTER_RESTART else "SIGHUP"
        words.append(f"openclick-milter on {when}")
    if sidecar_reads(section, name):
        when = "SIGHUP" if option in SIDECAR_RELOAD else "restart"
        words.append(f"openclick-sidecar on {when}")
    return ", ".join(words)


def changed(old: Config, new: Config) -> Iterator[tuple[str, str]]:
    """Yield (section, name) of each option that differs."""
    for section in dataclasses.fields(Config):
        before, after = getattr(old, section.name), getattr(new, section.name)
        for option in dataclasses.fields(before):
            if getattr(before, option.name) != getattr(after, option.name):
                yield section.name, option.name


def with_option(config: Config, section: str, name: str, value: object) -> Config:
    """Return the settings with one option changed."""
    of_section = dataclasses.replace(getattr(config, section), **{name: value})
    return dataclasses.replace(config, **{section: of_section})
