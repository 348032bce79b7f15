"""The name under which the internet finds this machine, where the settings do not tell it.

Called by the sidecar's `main` and by the command, so that both mean the same name.  Tracking
domains point to it.  Where `sidecar.public_hostname` is empty it is Postfix's myhostname, by which
this machine greets other mail servers and which they look up, so that on a mail server it is a
public name; where there is no Postfix it is the machine's own name.

Promises: no name server is asked, so that a daemon starts without one.  A name that only insiders
can know is not taken, and `fault` says which one it was.  Limits: whether the name leads here is
found out by the check of each tracking domain, not here.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from openclick.option_kinds import HOST_NAME
from openclick.reload import with_option
from openclick.settings import Config

_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_SECONDS = 10.0
_SETTING = "sidecar.public_hostname"

# RFC 6761 and 6762 (localhost, invalid, local), RFC 8375 (home.arpa), what ICANN has set aside
# (internal) or never delegates for their use inside (corp, home, lan), and what Postfix and Linux
# append where no domain is known (localdomain).
_INSIDE = (
    *("localhost", "invalid", "local", "home.arpa", "internal"),
    *("corp", "home", "lan", "localdomain"),
)


@dataclass(frozen=True)
class PublicName:
    """`name` is "" where there is none; `fault` then says why.  `origin` says whose word it is."""

    name: str
    origin: str
    fault: str = ""

    def given_to(self, config: Config) -> Config:
        """Return the settings with this name in them."""
        return with_option(config, "sidecar", "public_hostname", self.name)


def public_name(config: Config) -> PublicName:
    """Return the name that the settings tell, or this machine's own."""
    configured = config.sidecar.public_hostname
    return PublicName(configured, _SETTING) if configured else own_name()


def own_name(
    ask_postfix: Callable[[], str] | None = None,
    ask_machine: Callable[[], str] | None = None,
) -> PublicName:
    """Return what this machine calls itself, where that is a name for the internet."""
    name, origin = (ask_postfix or _myhostname)(), "Postfix's myhostname"
    if not name:
        name, origin = (ask_machine or socket.gethostname)(), "this machine's name"
    name = name.strip().rstrip(".").lower()
    unfit = _unfit(name)
    if not unfit:
        return PublicName(name, origin)
    return PublicName("", origin, f'{_SETTING} is not set, and {origin}, "{name}", {unfit}')


def _unfit(name: str) -> str:
    """Return why the internet cannot know a machine by this name, "" where it can."""
    if "." not in name:
        return "has no dot"
    if not HOST_NAME.match(name) or name.rpartition(".")[2].isdecimal():
        return "is no host name"
    if any(name.endswith(f".{suffix}") for suffix in _INSIDE):
        return "is a name for inside only"
    return ""


def _myhostname() -> str:
    """Ask Postfix, whose defaults and `$name` only postconf(1) knows; "" where it says nothing."""
    program = shutil.which("postconf", path=_PATH)
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - Postfix's own program, from the system's path
            [program, "-xh", "myhostname"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={"PATH": _PATH, "LC_ALL": "C"},
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
