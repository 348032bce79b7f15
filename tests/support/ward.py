"""An installation for the doctor to look at: Postfix set up by `openclick postfix`, both daemons.

Who calls: tests of `openclick doctor`. Promises: what the doctor says is read from its JSON; each
plant is taken back by the context that made it. Limits: as those of `support.postfix`.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.deployment import DOMAIN, TRACKING_DOMAIN
from support.dns_server import DnsServer
from support.installation import PUBLIC_HOSTNAME, Installation
from support.postfix import Listener, PrivatePostfix
from support.postfix_machine import program_path
from support.processes import LOOPBACK

Finding = dict[str, Any]


@dataclass
class Looked:
    """What the doctor found, and how it ended."""

    status: int
    findings: list[Finding]

    def bad(self, level: str) -> list[tuple[str, str]]:
        """Return (check, line) of each finding of a level."""
        return [
            (each["check"], f"{each['subject']}: {each['found']} -> {each['to_do']}")
            for each in self.findings
            if each["level"] == level
        ]

    def faults(self, check: str) -> list[str]:
        """Return the faults of one check, one line each."""
        return [line for name, line in self.bad("fault") if name == check]

    def warnings(self, check: str) -> list[str]:
        """Return the warnings of one check."""
        return [line for name, line in self.bad("warning") if name == check]


def examine(installation: Installation, *options: str) -> Looked:
    """Run the doctor."""
    done = installation.openclick("doctor", "--json", *options, check=False)
    assert done.stdout, done.stderr
    return Looked(done.returncode, json.loads(done.stdout)["findings"])


@dataclass
class Ward:
    """The installation; `listener` is the Postfix service that apps submit to."""

    postfix: PrivatePostfix
    installation: Installation
    dns: DnsServer
    listener: Listener

    @property
    def service(self) -> str:
        """What postconf calls the listener."""
        return f"{LOOPBACK}:{self.listener.port}/inet"

    def examine(self) -> Looked:
        """Run the doctor on this Postfix."""
        return examine(self.installation, "--postfix-config", str(self.postfix.config_dir))

    def publish(self) -> None:
        """Publish the names as they should be."""
        self.dns.set(PUBLIC_HOSTNAME, "A", LOOPBACK)
        self.dns.set(TRACKING_DOMAIN, "CNAME", f"{PUBLIC_HOSTNAME}.")

    def set_up(self) -> None:
        """Do what an admin does, up to the first tracked mail."""
        self.installation.init()
        self.publish()
        self.installation.start_milter()
        self.installation.start_sidecar()
        self.installation.openclick("domain", "add", DOMAIN, "--opens", "--clicks")
        self.installation.openclick("domain", "verify", DOMAIN)
        where = ("--postfix-config", str(self.postfix.config_dir))
        self.installation.openclick("postfix", *where, "--apply")

    @contextmanager
    def changed(self, *calls: tuple[str, str]) -> Iterator[None]:
        """Change Postfix's files by postconf (option, argument), and put them back.

        Postfix itself is not told: the doctor reads the files.
        """
        paths = [self.postfix.config_dir / name for name in ("main.cf", "master.cf")]
        before = [path.read_bytes() for path in paths]
        where = ("-c", str(self.postfix.config_dir))
        try:
            for call in calls:
                subprocess.run([program_path("postconf"), *where, *call], check=True, timeout=30)
            yield
        finally:
            for path, content in zip(paths, before, strict=True):
                path.write_bytes(content)

    @contextmanager
    def mode(self, path: os.PathLike[str], mode: int) -> Iterator[None]:
        """Give a file or directory other rights for a while."""
        before = os.stat(path).st_mode & 0o7777
        os.chmod(path, mode)
        try:
            yield
        finally:
            os.chmod(path, before)
