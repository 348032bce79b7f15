"""One OpenClick installation in a directory of its own: settings, store, keys, both daemons.

Who calls: functional tests, the demo and the bench. Promises: the daemons run as two users of one
group, neither of which has an account, so nothing under /etc is touched; the rights are what
`openclick init` makes; everything ends with `close`. Limits: needs root, to change users.
"""

import grp
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclick.config import toml_value
from openclick.store import Store, open_store
from support.closing import ClosedAtTheEnd
from support.processes import LOOPBACK, Daemon, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = (
    "core/openclick",
    "milter/openclick_milter",
    "sidecar/openclick_sidecar",
    "admin/openclick_admin",
)
PUBLIC_HOSTNAME = "mail.openclick.example"
_FIRST_ID = 61_500  # Debian keeps 60000 to 64999 for itself, and uses few of them


class InstallationError(Exception):
    """The installation cannot be made on this machine; one line says why."""


class InstallationUnavailable(InstallationError):
    """This machine, or this user, cannot have one; tests skip for it, and for nothing else."""


@dataclass(frozen=True)
class Programs:
    """How the three programs are started."""

    milter: tuple[str, ...]
    sidecar: tuple[str, ...]
    openclick: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


def programs_from_source(directory: Path) -> Programs:
    """Copy the packages into `directory` and run them by this interpreter.

    A copy, because the daemons' users may not be able to reach a checkout in somebody's home.
    """
    site = directory / "site"
    for package in PACKAGES:
        shutil.copytree(
            REPOSITORY / package,
            site / Path(package).name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    python = (sys.executable, "-P", "-m")
    return Programs(
        milter=(*python, "openclick_milter"),
        sidecar=(*python, "openclick_sidecar"),
        openclick=(*python, "openclick_admin"),
        env={"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def programs_from_prefix(prefix: Path) -> Programs:
    """Run the programs that are installed below `prefix`, a virtual environment."""
    names = ("openclick-milter", "openclick-sidecar", "openclick")
    milter, sidecar, openclick = ((str(prefix / "bin" / name),) for name in names)
    return Programs(milter, sidecar, openclick)


class Installation(ClosedAtTheEnd):
    """The files, and the daemons once they are started.

    Without `programs` the packages of this checkout run by this interpreter. The directory of the
    milter's socket must belong to `milter_uid`: see `PrivatePostfix.milter_socket_dir`.
    """

    def __init__(self, programs: Programs | None = None, parent: Path | None = None) -> None:
        if os.geteuid() != 0:
            raise InstallationUnavailable("two users are needed for the daemons: run this as root")
        self.directory = Path(tempfile.mkdtemp(prefix="openclick-", dir=parent))
        self.directory.chmod(0o755)
        self.milter_uid, self.sidecar_uid = _free_uids(2)
        self.gid = _free_gid()
        self.state = self.directory / "state"
        self.certificates = self.state / "certificates"
        self.config_path = self.directory / "openclick.toml"
        self.hit_port = free_port()
        self.metrics_port = free_port()
        self.api_port = free_port()
        self.programs = programs or programs_from_source(self.directory)
        self.extra_env: dict[str, str] = {}
        self.milter: Daemon | None = None
        self.sidecar: Daemon | None = None

    @property
    def store(self) -> Store:
        """The store, to look into."""
        return open_store(f"sqlite:{self.state}")

    def configure(
        self, milter_socket: str, dns_port: int, **sections: Mapping[str, object]
    ) -> None:
        """Write openclick.toml: what every test needs, and `sections` over it."""
        settings: dict[str, dict[str, object]] = {
            "store": {"url": f"sqlite:{self.state}"},
            "keys": {"directory": str(self.state / "keys")},
            "links": {"scheme": "http", "port": self.hit_port},
            "milter": {"socket": milter_socket},
            "sidecar": {
                "listen": [f"{LOOPBACK}:{self.hit_port}"],
                "metrics_listen": [f"{LOOPBACK}:{self.metrics_port}"],
                "public_hostname": PUBLIC_HOSTNAME,
                "hold_seconds": 0.3,
            },
            "api": {"listen": [f"{LOOPBACK}:{self.api_port}"], "submit_timeout_seconds": 10},
            "dns": {"nameservers": [f"{LOOPBACK}:{dns_port}"], "timeout_seconds": 2},
            "webhooks": {
                "allow_http": True,
                "allow_private_networks": [f"{LOOPBACK}/32"],
                "timeout_seconds": 5,
            },
            "log": {"level": "debug"},
        }
        for section, options in sections.items():
            settings[section] = settings.get(section, {}) | dict(options)
        self.config_path.write_text(_as_toml(settings), "utf-8")

    def openclick(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command as root."""
        argv = [*self.programs.openclick, "--config", str(self.config_path), *args]
        done = subprocess.run(
            argv, env=self._env(), capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode != 0:
            raise InstallationError(f"openclick {' '.join(args)}: {done.stderr.strip()}")
        return done

    def openclick_json(self, *args: str) -> Any:
        """Run the command with --json and return what it printed."""
        return json.loads(self.openclick(*args, "--json").stdout)

    def init(self) -> None:
        """Make the store and the first key."""
        self.openclick("init", "--group", str(self.gid))

    def start_milter(self) -> Daemon:
        """Start the milter under its user; on return Postfix can reach it."""
        self.milter = self._start("milter", self.programs.milter, self.milter_uid)
        return self.milter

    def start_sidecar(self) -> Daemon:
        """Start the sidecar under its user; on return it answers."""
        self.sidecar = self._start("sidecar", self.programs.sidecar, self.sidecar_uid)
        return self.sidecar

    def close(self) -> None:
        """End the daemons and remove the directory.  Idempotent."""
        for daemon in (self.milter, self.sidecar):
            if daemon is not None:
                daemon.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self, name: str, program: Sequence[str], uid: int) -> Daemon:
        log_path = self.directory / f"{name}.log"
        seen = log_path.stat().st_size if log_path.exists() else 0
        daemon = Daemon(
            [*program, "--config", str(self.config_path)],
            log_path=log_path,
            name=f"openclick-{name}",
            uid=uid,
            gid=self.gid,
            extra_groups=[],
            env=self._env(),
            cwd=self.directory,
        )
        try:
            daemon.wait_ready(lambda: " ready " in daemon.log_text()[seen:], timeout=20)
        except BaseException:
            daemon.close()
            raise
        return daemon

    def _env(self) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"} | {
            **self.programs.env,
            **self.extra_env,
        }


def _free_uids(count: int) -> list[int]:
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return [uid for uid in range(_FIRST_ID, _FIRST_ID + 400) if uid not in taken][:count]


def _free_gid() -> int:
    taken = {entry.gr_gid for entry in grp.getgrall()}
    return next(gid for gid in range(_FIRST_ID, _FIRST_ID + 400) if gid not in taken)


def _as_toml(settings: Mapping[str, Mapping[str, object]]) -> str:
    lines: list[str] = []
    for section, options in settings.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {toml_value(value)}" for name, value in options.items()]
    return "\n".join(lines) + "\n"
