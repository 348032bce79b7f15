"""A CA that speaks ACME, on loopback: Debian's pebble, and the name server that it asks.

Who calls: functional tests of ACME. Promises: every name is on this machine; HTTP-01 is asked at
the port that is given; it issues what is asked for and validates for real. `stop` and `start` play
a CA that is down; its accounts are lost with it, as pebble keeps nothing.
"""

import json
import shutil
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from support.authority import Authority
from support.http_client import fetch
from support.processes import LOOPBACK, Daemon, free_port, port_listens

PEBBLE, NAMES = "pebble", "pebble-challtestsrv"


def unavailable_reason() -> str | None:
    """Say what is missing here; None where nothing is."""
    missing = [name for name in (PEBBLE, NAMES) if shutil.which(name) is None]
    return f"Debian's package pebble is needed: no {', '.join(missing)}" if missing else None


class Pebble:
    """The CA; `http_port` is where it asks for challenges."""

    def __init__(self, http_port: int, *, eab: Mapping[str, str] | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="openclick-pebble-"))
        self._directory.chmod(0o755)  # the sidecar's user reads the root from it
        self._ca = Authority("pebble's own https")
        own = self._ca.issue("localhost")
        self.ca_file = self._directory / "ca.pem"
        self.ca_file.write_bytes(self._ca.root_pem)
        self.ca_file.chmod(0o644)
        (self._directory / "own.pem").write_bytes(own.chain)
        (self._directory / "own.key").write_bytes(own.key)
        self.port, self._management = free_port(), free_port()
        self._dns, self._dns_management = free_port(), free_port()
        self._settings: dict[str, Any] = {
            "listenAddress": f"{LOOPBACK}:{self.port}",
            "managementListenAddress": f"{LOOPBACK}:{self._management}",
            "certificate": str(self._directory / "own.pem"),
            "privateKey": str(self._directory / "own.key"),
            "httpPort": http_port,
            "tlsPort": free_port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(eab),
            "externalAccountMACKeys": dict(eab or {}),
        }
        self._daemons: list[Daemon] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def directory_url(self) -> str:
        """What the settings name."""
        return f"https://localhost:{self.port}/dir"

    def client(self) -> ssl.SSLContext:
        """Return a context that trusts what pebble issues."""
        answer = fetch(
            f"https://localhost:{self._management}/roots/0",
            (LOOPBACK, self._management),
            tls=self._ca.client(),
        )
        return ssl.create_default_context(cadata=answer.body.decode("ascii"))

    def start(self) -> None:
        """Start both programs; on return they answer."""
        config = self._directory / "pebble.json"
        config.write_text(json.dumps({"pebble": self._settings}), "utf-8")
        names = [
            *(NAMES, "-defaultIPv4", LOOPBACK, "-defaultIPv6", ""),
            *(
                "-dns01",
                f"{LOOPBACK}:{self._dns}",
                "-management",
                f"{LOOPBACK}:{self._dns_management}",
            ),
            *("-http01", "", "-https01", "", "-tlsalpn01", ""),
        ]
        self._run(NAMES, names, self._dns_management)
        server = f"{LOOPBACK}:{self._dns}"
        argv = [PEBBLE, "-config", str(config), "-dnsserver", server, "-strict"]
        self._run(PEBBLE, argv, self.port)

    def _run(self, name: str, argv: list[str], port: int) -> None:
        log = self._directory / f"{name}.log"
        env = {"PATH": "/usr/bin:/bin", "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5"}
        daemon = Daemon(argv, log_path=log, name=name, env=env, cwd=self._directory)
        self._daemons.append(daemon)
        daemon.wait_ready(lambda: port_listens(port), timeout=20)

    def stop(self) -> None:
        """End both.  Idempotent."""
        while self._daemons:
            self._daemons.pop().close()
