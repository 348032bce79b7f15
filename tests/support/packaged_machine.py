"""A mail server with OpenClick from packages: a room, stock Postfix, and on its loopback a test's
servers.

Who calls: tests/packaging. Promises: Postfix is the distribution's, as its package configures an
"Internet Site", smtpd chrooted; OpenClick comes from .deb files through apt, whose questions would
fail; the units start the daemons. The only things of a test's own are the relay host, the milter's
line and the settings that point to its servers. Limits: as `room`; download once, then no network.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclick.config import toml_value
from support.closing import ClosedAtTheEnd
from support.dns_server import DnsServer
from support.postfix_config import Listener
from support.processes import LOOPBACK, wait_until
from support.room import Room, RoomError, chrooted, make_root, remove_root
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

DOMAIN = "kontor.example"
TRACKING_DOMAIN = f"track.{DOMAIN}"
PUBLIC_HOSTNAME = "mail.kontor.example"
SETTINGS = "/etc/openclick/openclick.toml"
MILTER = "{ unix:openclick/milter.sock, default_action=accept }"
PACKAGES = ("openclick", "openclick-milter", "openclick-sidecar", "python3-openclick")

_QUESTIONS = (
    "postfix postfix/main_mailer_type select Internet Site\n"
    f"postfix postfix/mailname string {PUBLIC_HOSTNAME}\n"
)
# The last is what the rpm asks for beside the libraries that the .deb files pull in.
_TOOLS = ("postfix", "bash-completion", "man-db", "rpm", "python3-typing-extensions")


class PackagedMachine(ClosedAtTheEnd):
    """One machine of one Debian; `builds` are folders of packages by name, the newest first."""

    def __init__(self, suite: str, builds: Mapping[str, Path]) -> None:
        self.root = make_root(suite)
        self._room: Room | None = None
        self._servers: list[Any] = []
        try:
            self._download(builds)
            self.room = self._room = Room(self.root)
            with self.room.network():
                self.sink = SmtpSink()
                self.receiver = WebhookReceiver()
                self.dns = DnsServer()
            self._servers = [self.sink, self.receiver, self.dns]
            self.listener = Listener("smtp", 25)
            self._install_postfix()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the servers and the room, and remove its files. Idempotent."""
        for server in self._servers:
            server.close()
        if self._room is not None:
            self._room.close()
        remove_root(self.root)

    def shell(self, script: str) -> str:
        """Run a script in the room as root; return what it says, errors included."""
        return self.room.run("sh", "-euc", f"exec 2>&1\n{script}").stdout

    def install(self, build: str) -> str:
        """Install or upgrade to a build, as an admin does; return what apt and dpkg say."""
        return self.shell(f"apt-get -q install -y --allow-downgrades /srv/{build}/*.deb")

    def remove(self, *, purge: bool = False) -> str:
        """Remove the packages; return what apt and dpkg say."""
        return self.shell(f"apt-get -q {'purge' if purge else 'remove'} -y {' '.join(PACKAGES)}")

    def version(self) -> str:
        """Return the version of the installed package."""
        return self.shell("dpkg-query -W -f '${Version}' openclick")

    def openclick(self, *args: str) -> str:
        """Run the admin's command; raises RoomError where it does not exit with 0."""
        return self.room.run("openclick", *args).stdout

    def service(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.room.run("systemctl", "show", "--value", f"--property={name}", unit).stdout[:-1]

    def is_active(self, unit: str) -> bool:
        """Tell whether a unit runs."""
        return self.service(unit, "ActiveState") == "active"

    def schemas(self) -> dict[str, int]:
        """Return the schema of each file of the store."""
        done = self.room.run("openclick", "store", "check", "--json", check=False)
        return {entry["name"]: entry["schema"] for entry in json.loads(done.stdout)["files"]}

    def journal(self, unit: str) -> str:
        """Return what a service has logged."""
        return self.room.run("journalctl", "--no-pager", "--quiet", f"--unit={unit}").stdout

    def configure(self) -> None:
        """Write the settings, as far as the installed version knows them."""
        sample = self.openclick("config", "sample")
        wanted: dict[str, dict[str, object]] = {
            "links": {"scheme": "http"},
            "sidecar": {"public_hostname": PUBLIC_HOSTNAME, "hold_seconds": 0.3},
            "dns": {"nameservers": [f"{LOOPBACK}:{self.dns.port}"], "timeout_seconds": 2},
            "webhooks": {"allow_http": True, "allow_private_networks": ["127.0.0.0/8"]},
        }
        lines = ["# Written by hand."]
        for section, options in wanted.items():
            lines.append(f"[{section}]")
            lines += [
                f"{name} = {toml_value(value)}"
                for name, value in options.items()
                if f"\n#{name} = " in sample
            ]
        (self.root / SETTINGS[1:]).write_text("\n".join(lines) + "\n", "utf-8")
        self.openclick("config", "check")

    def set_up(self) -> str:
        """Do what README tells an admin to do, port 80 included; return the webhook's secret."""
        self.configure()
        self.shell(
            "systemctl stop openclick-sidecar\n"  # a build that starts it by itself
            "systemctl enable --now openclick-sidecar-http.socket openclick-sidecar\n"
            "systemctl reload openclick-milter"
        )
        self.dns.set(PUBLIC_HOSTNAME, "A", LOOPBACK)
        self.dns.set(TRACKING_DOMAIN, "CNAME", f"{PUBLIC_HOSTNAME}.")
        self.openclick("domain", "add", DOMAIN, "--opens", "--clicks")
        self.openclick("domain", "verify", DOMAIN)
        url = f"http://{LOOPBACK}:{self.receiver.port}/events"
        added = self.openclick("webhook", "add", url, "--json")
        return str(json.loads(added)["signing_secret"])

    def _download(self, builds: Mapping[str, Path]) -> None:
        for name, folder in builds.items():
            target = self.root / "srv" / name
            target.mkdir()
            for package in [*folder.glob("*.deb"), *folder.glob("*.noarch.rpm")]:
                shutil.copy(package, target)
        (self.root / "srv" / "questions").write_text(_QUESTIONS, "ascii")
        newest = next(iter(builds))
        chrooted(
            self.root,
            "sh",
            "-euc",
            "debconf-set-selections /srv/questions; apt-get -q update;"
            f" apt-get -q install -y --download-only {' '.join(_TOOLS)} /srv/{newest}/*.deb",
        )

    def _install_postfix(self) -> None:
        self.shell(f"apt-get -q install -y {' '.join(_TOOLS)}")
        self.shell(
            f"postconf -e 'relayhost = [{LOOPBACK}]:{self.sink.port}'\n"
            f"postconf -e 'smtpd_milters = {MILTER}'\n"
            "systemctl restart postfix"
        )
        wait_until(self._postfix_answers, 30, "Postfix on port 25", 0.1)
        if self.shell("postconf -F smtp/inet/chroot").split() != ["smtp/inet/chroot", "=", "y"]:
            raise RoomError("the stock smtpd is not chrooted any more: the test must see to it")

    def _postfix_answers(self) -> bool:
        # 0100007F:0019 or any address, port 25, in state LISTEN.
        return ":0019 " in self.room.run("cat", "/proc/net/tcp").stdout
