"""OpenDKIM signing for the private Postfix: the anchor that every mail server knows.

Who calls: world.  Promises: a configuration of its own (2048 bits, relaxed/simple, one Unix socket,
no log), nothing below /etc is read or written; it runs as the package's user.  What is missing is
told in one line.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

from bench.experiment import BenchFault
from bench.floor import program_missing
from support.opendkim import SELECTOR, SigningKey
from support.postfix import PrivatePostfix
from support.processes import Daemon

_PROGRAMS = {"opendkim": "opendkim"}
_PATH = ("/usr/sbin", "/usr/bin")
_USER = "opendkim"
_CONFIGURATION = """\
Background no
Syslog no
UMask 007
Mode s
Socket local:{socket}
Domain {domain}
Selector {selector}
KeyFile {key}
RequireSafeKeys no
Canonicalization relaxed/simple
InternalHosts 127.0.0.1
OversignHeaders From
"""


def milter(name: str) -> str:
    """Return the socket of the instance `name`, as a listener's `smtpd_milters` names it."""
    return f"unix:{name}/opendkim.sock"


def missing_reason() -> str:
    """Say which Debian package is missing; empty where nothing is."""
    missing = program_missing(_PROGRAMS, _PATH)
    return f"OpenDKIM: {missing}" if missing else ""


def start_opendkim(postfix: PrivatePostfix, directory: Path, name: str, domain: str) -> Daemon:
    """Make a key in `directory` and have an instance sign mail of `domain`.  Raises BenchFault."""
    if missing_reason():
        raise BenchFault(missing_reason())
    try:
        user = pwd.getpwnam(_USER)
    except KeyError:
        raise BenchFault(
            f"OpenDKIM: no user {_USER}: Debian's package opendkim is needed"
        ) from None
    socket = postfix.milter_socket_dir(user.pw_uid, name=name) / "opendkim.sock"
    settings = directory / "opendkim.conf"
    settings.write_text(
        _CONFIGURATION.format(
            socket=socket, domain=domain, selector=SELECTOR, key=_make_key(directory, user)
        ),
        "utf-8",
    )
    return _start(settings, socket, directory, user)


def version() -> str:
    """Return what `opendkim -V` says first."""
    done = subprocess.run(["/usr/sbin/opendkim", "-V"], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).partition("\n")[0].removeprefix("opendkim: ")


def _make_key(directory: Path, user: pwd.struct_passwd) -> Path:
    key = directory / "opendkim.private"
    SigningKey(key)
    os.chown(key, user.pw_uid, -1)
    return key


def _start(settings: Path, socket: Path, directory: Path, user: pwd.struct_passwd) -> Daemon:
    daemon = Daemon(
        ["/usr/sbin/opendkim", "-f", "-x", settings],
        log_path=directory / "opendkim.log",
        uid=user.pw_uid,
        gid=user.pw_gid,
        extra_groups=[],
        env={"PATH": ":".join(_PATH)},
        cwd=Path("/"),
    )
    daemon.wait_ready(socket.exists)
    return daemon
