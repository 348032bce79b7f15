"""CPU of a hit by https on a connection of its own: ours and nginx's, full and resumed handshakes.

Ours is the whole sidecar: handshake, token, disk, answer, judge.  nginx answers an image and writes
its access log, which nobody syncs, with the same certificate and a session cache of its own.  What
is compared is the CPU time of the server's processes by answered hits: the clients, in Python, are
slower than either server.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench import floor, servers
from bench.experiment import BenchFault, Experiment, Scale, Values, in_turn
from bench.message_rows import TRACKING_DOMAIN
from bench.processors import pinned_to, processors
from bench.servers import Server, Start
from bench.tracker import Tracker
from bench.world import World

FULL, RESUMED = "full", "resumed"
_PROGRAMS = {"nginx": "nginx-light", "taskset": "util-linux"}
_GRACE_SECONDS = 60


def point(server: str, kind: str) -> str:
    """Return the name of what a server did with a kind of handshake."""
    return f"{server} tls {kind}"


class TlsHits(Experiment):
    """Values, for each point: microseconds of CPU a hit."""

    name = "tls hits"

    def __init__(self, world: World, scale: Scale, say: Callable[[str], None]) -> None:
        super().__init__(world, scale, say)
        self._starts: dict[str, Start] = {}

    @property
    def note(self) -> str:
        """How long a point is, and what is shaken hands with."""
        return f"TLS 1.3, ECDSA P-256, 64 clients, {self._seconds} s a point"

    @property
    def _seconds(self) -> int:
        return self.scale.of(usual=3, quick=1)

    @property
    def _tracker(self) -> Tracker:
        return self.world.tracker

    def prepare(self) -> None:
        """Say what each server is."""
        if missing := servers.missing_reason(_PROGRAMS):
            raise BenchFault(missing)
        tracker, directory = self._tracker, self.world.directory
        (directory / "root.pem").write_bytes(tracker.authority.root_pem)
        (directory / "chain.pem").write_bytes(tracker.certificate.chain)
        (directory / "key.pem").write_bytes(tracker.certificate.key)
        self._starts = {
            "sidecar": tracker.serving_afresh,
            "nginx": partial(servers.nginx_tls, directory),
        }

    def round(self, backwards: bool) -> Values:
        """Load each server in turn, with each kind of handshake."""
        values: dict[str, float] = {}
        for name in in_turn(tuple(self._starts), backwards):
            with self._starts[name]() as server:
                port = self._tracker.tls_port if name == "sidecar" else server.port
                for kind in in_turn((FULL, RESUMED), backwards):
                    self.say(f"tls hits: {point(name, kind)}")
                    values[point(name, kind)] = self._measure(server, port, kind)
        return values

    def _measure(self, server: Server, port: int, kind: str) -> float:
        self._ask(port, kind, 1)
        before = server.cpu_seconds()
        answered = self._ask(port, kind, self._seconds)
        return (server.cpu_seconds() - before) / answered * 1e6

    def _ask(self, port: int, kind: str, seconds: int) -> int:
        root = Path(self.world.directory, "root.pem")
        argv = [
            *pinned_to(processors().load),
            *(floor.PYTHON, "-P", "-m", "bench.workers.tls_clients"),
            *(str(port), TRACKING_DOMAIN, str(root)),
            *(str(self._tracker.links), str(seconds), kind),
        ]
        done = subprocess.run(
            argv,
            env=floor.environment(),
            capture_output=True,
            text=True,
            timeout=seconds + _GRACE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise BenchFault(f"tls clients, {kind}: {done.stderr.strip()[-200:]}")
        said: dict[str, Any] = json.loads(done.stdout)
        return int(said["requests"])
