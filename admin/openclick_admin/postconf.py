"""What Postfix is set up to do here, read by postconf(1), and Postfix's own commands.

Called by `openclick postfix`; the only module that runs Postfix's programs.  Promises: nothing is
read from main.cf or master.cf but by postconf, so that continuation lines, comments and `$name`
mean what Postfix takes them for.  Limits: one configuration directory a call (postmulti instances
are asked one by one).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_SECONDS = 60.0
_RAW = (
    "smtpd_milters",
    "non_smtpd_milters",
    "smtpd_milter_maps",
    "smtpd_sender_restrictions",
    "smtpd_sasl_auth_enable",
    "cleanup_service_name",
    "content_filter",
    "receive_override_options",
    "oc_split_destination_recipient_limit",
)
_EXPANDED = (
    "mail_version",
    "queue_directory",
    "mynetworks",
    "message_size_limit",
    "compatibility_level",
)


class PostfixFault(Exception):
    """Postfix's configuration cannot be read or changed; one line says why."""


@dataclass(frozen=True)
class Service:
    """One entry of master.cf: `overrides` are its `-o` options."""

    name: str
    type: str
    chrooted: bool
    program: str
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What postconf(1) calls it, such as submission/inet."""
        return f"{self.name}/{self.type}"


@dataclass(frozen=True)
class Postfix:
    """One Postfix as it is set up: main.cf with its defaults, and the services of master.cf.

    `is_usual` tells whether its directory is the one that Postfix's commands take by themselves.
    """

    config_directory: Path
    parameters: Mapping[str, str]
    services: tuple[Service, ...]
    is_usual: bool = False

    @property
    def where(self) -> tuple[str, ...]:
        """What Postfix's commands need to be told to mean this one."""
        return () if self.is_usual else ("-c", str(self.config_directory))

    def service(self, key: str) -> Service | None:
        """Return the entry of that name and type, if there is one."""
        return next((service for service in self.services if service.key == key), None)

    def value(self, service: Service, name: str) -> str:
        """Return what a parameter is for a service: its own option, or main.cf's value."""
        return service.overrides.get(name, self.parameters.get(name, ""))


def read_postfix(config_directory: Path | None = None) -> Postfix:
    """Ask postconf.  Raises PostfixFault where there is no Postfix, or it cannot be read."""
    is_usual = config_directory is None
    if config_directory is None:
        default = postconf(None, "-dh", "config_directory").strip()
        config_directory = Path(default or "/etc/postfix")
    directory = config_directory.resolve()
    parameters = parse_parameters(postconf(directory, *_RAW))
    parameters |= parse_parameters(postconf(directory, "-x", *_EXPANDED))
    services = parse_services(
        postconf(directory, "-F"),
        postconf(directory, "-P"),
        dash_is_chrooted=parameters.get("compatibility_level", "").startswith("0"),
    )
    return Postfix(directory, parameters, services, is_usual)


def parse_parameters(text: str) -> dict[str, str]:
    """Read `name = value` lines, as postconf prints them."""
    pairs = (line.partition(" =")[::2] for line in text.splitlines())
    return {name: value.strip() for name, value in pairs}


def parse_services(
    fields: str, overrides: str, *, dash_is_chrooted: bool = False
) -> tuple[Service, ...]:
    """Read what `postconf -F` and `postconf -P` print of master.cf.

    `dash_is_chrooted` tells what "-" in the chroot column means (postconf(5), chroot: yes below
    compatibility level 1).
    """
    own: dict[str, dict[str, str]] = {}
    for name, value in parse_parameters(overrides).items():
        key, _, parameter = name.rpartition("/")
        own.setdefault(key, {})[parameter] = value
    entries: dict[str, dict[str, str]] = {}
    for name, value in parse_parameters(fields).items():
        key, _, column = name.rpartition("/")
        entries.setdefault(key, {})[column] = value
    return tuple(
        Service(
            entry["service"],
            entry["type"],
            entry["chroot"] == "y" or (entry["chroot"] == "-" and dash_is_chrooted),
            entry["command"].split()[0],
            own.get(key, {}),
        )
        for key, entry in entries.items()
    )


def postconf(config_directory: Path | None, *arguments: str) -> str:
    """Run postconf and return what it prints.  Raises PostfixFault where it fails."""
    where = () if config_directory is None else ("-c", str(config_directory))
    return _run("postconf", *where, *arguments)


def is_running(config_directory: Path) -> bool:
    """Tell whether this Postfix is running."""
    try:
        _run("postfix", "-c", str(config_directory), "status")
    except PostfixFault:
        return False
    return True


def reload_postfix(config_directory: Path) -> None:
    """Have a running Postfix read its configuration.  Raises PostfixFault."""
    _run("postfix", "-c", str(config_directory), "reload")


def _run(program: str, *arguments: str) -> str:
    path = shutil.which(program, path=_PATH)
    if path is None:
        raise PostfixFault(f"{program}: no such program in {_PATH}: Postfix is needed")
    try:
        done = subprocess.run(  # noqa: S603 - Postfix's own program, from the system's path
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={"PATH": _PATH, "LC_ALL": "C"},
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PostfixFault(f"{program}: no answer after {_SECONDS:g} s") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise PostfixFault(f"{said[-1]} ({program} {' '.join(arguments)})")
    return done.stdout
